"""What the placeholders of [service] stand for."""

from __future__ import annotations

import sys

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database


def for_this_process(database: Database | None, cache: Cache | None) -> dict[str, str]:
    """The values on this machine; {port} is the application's own."""
    return {"python": sys.executable, **of_servers(database, cache)}


def of_servers(database: Database | None, cache: Cache | None) -> dict[str, str]:
    """The values of the servers, at the addresses that their handles say."""
    values: dict[str, str] = {}
    if database is not None:
        values |= _named("postgres", database)
    if cache is not None:
        values |= _named("redis", cache)
    return values


def _named(name: str, server: Database | Cache) -> dict[str, str]:
    where = server.reached_at
    values = {
        "url": server.url(),
        "host": where.host,
        "port": str(where.port),
        "password": server.password,
        "ca_file": str(server.ca_file or ""),
    }
    if isinstance(server, Database):
        values |= {"user": server.user, "database": server.name}
    return {f"{name}.{part}": value for part, value in values.items()}
