"""Servers that the user owns: found at their addresses, never started or stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis
from psycopg.conninfo import conninfo_to_dict

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.secrets import Redactor
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.settings import PostgresSettings, RedisSettings

CONNECT_WITHIN_S = 5


def given_database(settings: PostgresSettings, folder: Path, redact: Redactor) -> Database:
    """The database at [postgres] url; an error when it can't be reached."""
    assert settings.url is not None
    ca_file = (folder / settings.ca).resolve() if settings.ca else None
    url = _verified(settings.url.get_secret_value(), ca_file)
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # Its text may hold a part of the password.
        raise ConfigError(
            "The address of Postgres can't be read.",
            source="[postgres] url",
            remedy="write postgresql://user:password@host:port/database, special characters percent-encoded",
        ) from None
    password = str(parts.get("password") or "")
    admin_url = settings.admin_url.get_secret_value() if settings.admin_url else None
    redact.add(password, _password(admin_url))
    endpoint = Endpoint(str(parts.get("host") or "localhost"), int(parts.get("port") or 5432))
    return Database(
        endpoint=endpoint,
        user=str(parts.get("user") or ""),
        name=str(parts.get("dbname") or parts.get("user") or ""),
        password=password,
        version=_postgres_version(url, endpoint, redact),
        origin="external",
        ca_file=ca_file,
        given_url=url,
        admin_url=_verified(admin_url, ca_file) if admin_url else None,
    )


def given_cache(settings: RedisSettings, folder: Path, redact: Redactor) -> Cache:
    """The Redis at [redis] url; an error when it can't be reached."""
    assert settings.url is not None
    try:
        ca_file = (folder / settings.ca).resolve() if settings.ca else None
        cache = Cache.external(settings.url.get_secret_value(), ca_file)
    except ValueError:
        raise ConfigError(
            "The address of Redis can't be read.",
            source="[redis] url",
            remedy="write redis://user:password@host:port/0, special characters percent-encoded",
        ) from None
    redact.add(cache.password)
    try:
        with cache.client(timeout_s=CONNECT_WITHIN_S) as client:
            about: Any = client.info("server")
    except (redis.RedisError, OSError) as error:
        raise _unreachable("Redis", cache.endpoint, "[redis] url", redact(str(error))) from None
    return replace(cache, version=str(about.get("valkey_version") or about.get("redis_version", "")))


def _verified(url: str, ca_file: Path | None) -> str:
    """The URL without a driver's name, and with verify-full where an authority is given but no mode."""
    scheme, colon, rest = url.partition("://")
    url = f"{scheme.partition('+')[0]}{colon}{rest}"
    if ca_file is None or "sslmode=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}sslmode=verify-full&sslrootcert={quote(str(ca_file))}"


def _password(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        return str(conninfo_to_dict(_verified(url, None)).get("password") or "")
    except psycopg.ProgrammingError:
        raise ConfigError("The address can't be read.", source="[postgres] admin_url") from None


def _postgres_version(url: str, endpoint: Endpoint, redact: Redactor) -> str:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_WITHIN_S) as connection:
            number = connection.info.server_version
    except psycopg.Error as error:
        raise _unreachable("Postgres", endpoint, "[postgres] url", redact(str(error))) from None
    return f"{number // 10_000}.{number % 10_000}"


def _unreachable(product: str, endpoint: Endpoint, source: str, reason: str) -> ServerError:
    return ServerError(
        f"{product} does not answer at its address.",
        value=endpoint,
        source=source,
        tried=[reason.strip()],
        remedy="start it, or mend the address",
    )
