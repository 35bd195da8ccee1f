"""A copy of the service's database on the same server, and an instance of the service on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.roles import ApplicationRole, PostgresRole
from pytest_prodready.errors import ServerError

COPIED_WITHIN_S = 600.0
SETTINGS = """
    INSERT INTO pg_db_role_setting
    SELECT copy.oid, s.setrole, s.setconfig FROM pg_db_role_setting s
    JOIN pg_database d ON d.oid = s.setdatabase, pg_database copy
    WHERE d.datname = %s AND copy.datname = %s
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """A copy of the database, and the service on it."""

    database: Database
    application: ApplicationRole


@contextmanager
def copied(database: Database, name: str) -> Iterator[Database]:
    """A copy of a database under another name, dropped on leaving; the original must be at rest."""
    server = database.server
    if server is None:
        raise ServerError("Only a database on a server of ours is copied.", value=database.name)
    database.close()
    with _admin(server) as admin:
        _drop(admin, name)
        _copy(admin, database, name)
    copy = replace(database, name=name, _kept={})
    try:
        yield copy
    finally:
        copy.close()
        with _admin(server) as admin:
            _drop(admin, name)


@contextmanager
def _admin(server: PostgresRole) -> Iterator[psycopg.Connection[Any]]:
    with server.connect("postgres", timeout_s=COPIED_WITHIN_S) as admin:
        yield admin


def _drop(admin: psycopg.Connection[Any], name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _copy(admin: psycopg.Connection[Any], database: Database, name: str) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (database.name,)
    )
    target = sql.Identifier(name)
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
            target, sql.Identifier(database.name), sql.Identifier(database.user)
        )
    )
    # Its own settings aren't part of a template.
    admin.execute(SETTINGS, (database.name, name))
