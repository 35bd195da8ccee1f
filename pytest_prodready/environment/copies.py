"""A database beside the service's, as a copy of it or empty, and an instance of the service on it."""

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
    """Another database of the same server, and the service on it."""

    database: Database
    application: ApplicationRole


@contextmanager
def copied(database: Database, name: str) -> Iterator[Database]:
    """A copy of a database under another name, dropped on leaving; the original must be at rest."""
    database.close()
    with _beside(database, name, template=database.name) as copy:
        yield copy


@contextmanager
def blank(database: Database, name: str) -> Iterator[Database]:
    """An empty database of the same server, owner and settings under another name, dropped on leaving."""
    with _beside(database, name) as empty:
        yield empty


@contextmanager
def _beside(database: Database, name: str, template: str = "") -> Iterator[Database]:
    server = database.server
    if server is None:
        raise ServerError("Only a server of ours gets another database.", value=database.name)
    with _admin(server) as admin:
        _drop(admin, name)
        _make(admin, database, name, template)
    made = replace(database, name=name, _kept={})
    try:
        yield made
    finally:
        made.close()
        with _admin(server) as admin:
            _drop(admin, name)


@contextmanager
def _admin(server: PostgresRole) -> Iterator[psycopg.Connection[Any]]:
    with server.connect("postgres", timeout_s=COPIED_WITHIN_S) as admin:
        yield admin


def _drop(admin: psycopg.Connection[Any], name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _make(admin: psycopg.Connection[Any], database: Database, name: str, template: str) -> None:
    if template:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (template,)
        )
    like = sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
    admin.execute(
        sql.SQL("CREATE DATABASE {} {} OWNER {}").format(
            sql.Identifier(name), like, sql.Identifier(database.user)
        )
    )
    # The settings of a database aren't part of a template.
    admin.execute(SETTINGS, (database.name, name))
