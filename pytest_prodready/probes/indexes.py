"""The audit of indexes: reads the catalogue of the service's own database, and changes nothing there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.database import Database
from pytest_prodready.probes import index_queries as queries
from pytest_prodready.probes.index_bloat import estimated, measured
from pytest_prodready.probes.index_facts import ForeignKey, Index, Indexes, Key, Sequence, Table

AUDIT_WITHIN_S = 30.0
LOCK_WITHIN_MS = 2000
DOLLAR_USER = '"$user"'
BOUNDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {name: (-(2**bits), 2**bits - 1) for name, bits in (("smallint", 15), ("integer", 31), ("bigint", 63))}
)


def indexes(database: Database, progress: Callable[[str], None]) -> Indexes:
    """Audit the indexes, foreign keys and sequences of the service's database."""
    progress("reading the catalogue")
    with database.admin(within_s=AUDIT_WITHIN_S) as admin:
        found = audit(admin, database.user, database.origin)
    return replace(found, server=database.version)


def tables(database: Database) -> tuple[Table, ...]:
    """The service's tables with their sizes and the scans of each, as of now."""
    with database.admin(within_s=AUDIT_WITHIN_S) as admin, reading(admin, search_path(admin, database.user)):
        return tuple(Table(**row) for row in _rows(admin, queries.TABLES, database.user))


def audit(connection: Connection, role: str, origin: Literal["gate", "external"]) -> Indexes:
    """What the catalogue says about this role's tables."""
    path = search_path(connection, role)
    with reading(connection, path):
        estimate: dict[str, int] = dict(
            connection.execute(queries.ESTIMATED_WASTE.encode(), {"role": role}).fetchall()
        )
        found = Indexes(
            origin=origin,
            tables=tuple(Table(**row) for row in _rows(connection, queries.TABLES, role)),
            indexes=estimated(
                tuple(_index(row) for row in _rows(connection, queries.INDEXES, role)), estimate
            ),
            foreign_keys=tuple(_foreign_key(row) for row in _rows(connection, queries.FOREIGN_KEYS, role)),
            sequences=tuple(_sequence(row) for row in _rows(connection, queries.SEQUENCES, role)),
            counted_since=_counted_since(connection),
        )
    if origin == "gate":
        return replace(found, indexes=measured(connection, path, found.indexes))
    return found


def search_path(connection: Connection, role: str) -> str:
    """The role's search_path in this database, with the system's own names first."""
    found = connection.execute(queries.SEARCH_PATH.encode(), {"role": role}).fetchone()
    path = str(found[0] if found else "public")
    own = sql.Identifier(role).as_string()
    return f"pg_catalog, {path.replace(DOLLAR_USER, own)}".rstrip(", ")


@contextmanager
def reading(connection: Connection, path: str) -> Iterator[None]:
    """One snapshot in which nothing is written, and names are told as this search_path makes them."""
    before = connection.isolation_level, connection.read_only
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('search_path', %s, true)", (path,))
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_WITHIN_MS)))
            yield
    finally:
        connection.isolation_level, connection.read_only = before


def _rows(connection: Connection, query: str, role: str) -> list[dict[str, Any]]:
    return connection.cursor(row_factory=dict_row).execute(query.encode(), {"role": role}).fetchall()


def _index(row: dict[str, Any]) -> Index:
    keys = tuple(Key(**key) for key in row["keys"])
    return Index(**{**row, "keys": keys, "included": tuple(row["included"])})


def _foreign_key(row: dict[str, Any]) -> ForeignKey:
    return ForeignKey(**{**row, "columns": tuple(row["columns"])})


def _sequence(row: dict[str, Any]) -> Sequence:
    lowest, highest = BOUNDS.get(row["type"], (None, None))
    return Sequence(**row, column_minimum=lowest, column_maximum=highest)


def _counted_since(connection: Connection) -> str:
    query = (
        "SELECT coalesce(to_char(pg_stat_get_db_stat_reset_time(oid), 'YYYY-MM-DD'), '')"
        " FROM pg_database WHERE datname = current_database()"
    )
    found = connection.execute(query).fetchone()
    return str(found[0]) if found else ""
