"""What the placeholders of [service] stand for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from urllib.parse import quote

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.service import Endpoint


def for_this_process(database: Database | None, cache: Cache | None) -> dict[str, str]:
    """The values on this machine; {port} is the application's own."""
    return {"python": sys.executable, **of_servers(database, cache)}


def of_servers(database: Database | None, cache: Cache | None) -> dict[str, str]:
    """The values of the servers, at the addresses that their handles say."""
    values: dict[str, str] = {}
    if database is not None:
        primary = _named("postgres", database)
        values |= primary | of_replica(primary, database.reached_at)
    if cache is not None:
        values |= _named("redis", cache)
    return values


def of_replica(values: Mapping[str, str], where: Endpoint) -> dict[str, str]:
    """Those of a replica at this address, of the primary with these values."""
    primary = Endpoint(values["postgres.host"], int(values["postgres.port"]))
    url = values["postgres.url"].replace(f"@{primary}/", f"@{where}/", 1)
    found = {"url": url, "host": where.host, "port": str(where.port)}
    return {f"postgres.replica_{part}": value for part, value in found.items()}


def of_database(values: Mapping[str, str], name: str) -> dict[str, str]:
    """Those of another database of the same server."""
    path, other = (f"/{quote(each, safe='')}?" for each in (values["postgres.database"], name))
    urls = [key for key in values if key.startswith("postgres.") and key.endswith("url")]
    return {"postgres.database": name, **{key: values[key].replace(path, other, 1) for key in urls}}


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
