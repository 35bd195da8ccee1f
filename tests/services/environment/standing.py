"""Environments for the tests of standbys: sessions of the service, and what shows that nothing is left."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.faults import Proxied

Session = psycopg.Connection[tuple[Any, ...]]


def database_of(environment: Environment) -> Database:
    """The service's database."""
    assert environment.database is not None
    return environment.database


def server_of(environment: Environment) -> PostgresRole:
    """Its server."""
    server = database_of(environment).server
    assert server is not None
    return server


def proxied_of(environment: Environment) -> Proxied:
    """The proxy in front of it."""
    proxied = database_of(environment).proxied
    assert proxied is not None
    return proxied


def session(environment: Environment) -> Session:
    """A connection as the service makes it: through the proxy, with the certificate verified."""
    return psycopg.connect(database_of(environment).url(), autocommit=True, connect_timeout=5)


def ask(environment: Environment, query: str) -> Any:
    """What the service would get: the first field of the first row."""
    with closing(session(environment)) as own:
        return first(own, query)


def tell(environment: Environment, statement: str) -> None:
    """Let the service run a statement."""
    with closing(session(environment)) as own:
        own.execute(statement.encode())


def seen_by(database: Database, query: str) -> Any:
    """The same for a superuser, on the server of this handle."""
    with database.admin() as admin:
        return first(admin, query)


def first(connection: Session, query: str) -> Any:
    """The first field of the first row."""
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def is_as_before(environment: Environment) -> bool:
    """Whether the primary is alone again: writable, without a slot, and nothing set by ALTER SYSTEM."""
    tell(environment, "CREATE TABLE IF NOT EXISTS written (at timestamptz)")
    tell(environment, "INSERT INTO written VALUES (now())")
    database = database_of(environment)
    overrides = "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"
    return (
        seen_by(database, "SELECT count(*) FROM pg_replication_slots") == 0
        and seen_by(database, "SELECT count(*) FROM pg_stat_replication") == 0
        and seen_by(database, overrides) == 0
        and database.setting("synchronous_standby_names") == ""
        and proxied_of(environment).upstream == str(server_of(environment).upstream)
    )
