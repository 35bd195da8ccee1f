"""What a service in a container sees of its servers: addresses on the run's network, files of its own."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.containers.box import File
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.values import of_servers
from pytest_prodready.errors import ConfigError

FOLDER = Path("/etc/prodready")
# Whoever needs an interpreter in a container needs the image's own.
PYTHON = "python"

Server = TypeVar("Server", Database, Cache)


def inside(database: Database | None, cache: Cache | None) -> tuple[dict[str, str], tuple[File, ...]]:
    """The placeholders' values for a container, and the files that they name."""
    files: dict[str, File] = {}
    seen_database = _seen("postgres", database, files) if database is not None else None
    seen_cache = _seen("redis", cache, files) if cache is not None else None
    values = {"python": PYTHON, **of_servers(seen_database, seen_cache)}
    return values, tuple(files.values())


def _seen(name: str, server: Server, files: dict[str, File]) -> Server:
    where = server.seen_at
    if server.origin == "external" and _is_loopback(where.host):
        raise ConfigError(
            "A service in a container can't reach a server on this machine's loopback.",
            value=where,
            source=f"[{name}] url",
            remedy="give the address by which containers reach it, or start the service by command",
        )
    url, ca_file = server.given_url, server.ca_file
    if ca_file is not None:
        path = FOLDER / ("ca.pem" if server.origin == "gate" else f"{name}-ca.pem")
        files[str(path)] = File(str(path), ca_file.read_bytes())
        url = url.replace(quote(str(ca_file)), quote(str(path))) if url is not None else None
        ca_file = path
    return replace(server, endpoint=where, proxied=None, inside=None, ca_file=ca_file, given_url=url)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
