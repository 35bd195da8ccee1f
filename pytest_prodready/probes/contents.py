"""What a database holds, as hashes that the server computes: no row travels, and memory stays flat.

    with one_snapshot(connection) as snapshot:   # pg_dump --snapshot reads the same
        before = contents(connection)

Two databases with equal contents hold the same rows, in whatever order and under whatever OIDs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql

from pytest_prodready.errors import ServerError
from pytest_prodready.probes import contents_queries as queries

Connection = psycopg.Connection[Any]
SINCE = 14  # PostgreSQL; the first that hashes whole records
# Else the same value would be another text on another server.
PINNED: Mapping[str, str] = MappingProxyType(
    {
        "search_path": "pg_catalog",
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "lc_monetary": "C",
        "quote_all_identifiers": "off",
        "xmlbinary": "base64",
        "jit": "off",
    }
)


@dataclass(frozen=True, slots=True)
class TableContents:
    """The rows of a table without those that inherit from it, or of all parts of a partitioned one."""

    table: str  # as SQL names it, with its schema unless that is public
    rows: int
    digest: str  # the sum of a hash of each row


@dataclass(frozen=True, slots=True)
class SequenceContents:
    """Where a sequence is, and the furthest number in the columns that take theirs from it."""

    sequence: str
    last: int
    called: bool  # whether `last` was given out; else it will be the next one
    descending: bool = False
    furthest: int | None = None  # None: there is no such column, or no row in it


@dataclass(frozen=True, slots=True)
class ViewContents:
    """The rows of a materialized view."""

    view: str
    populated: bool
    rows: int = 0
    digest: str = "0"


@dataclass(frozen=True, slots=True)
class LargeObjects:
    """All large objects together."""

    count: int = 0
    bytes: int = 0
    digest: str = "0"


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a database holds, but its schema."""

    tables: tuple[TableContents, ...] = ()
    sequences: tuple[SequenceContents, ...] = ()
    views: tuple[ViewContents, ...] = ()
    large_objects: LargeObjects = LargeObjects()

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables)


@contextmanager
def one_snapshot(connection: Connection) -> Iterator[str]:
    """One snapshot in which nothing is written, as long as the block lasts; gives its exported name."""
    before = connection.isolation_level, connection.read_only
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with connection.transaction():
            yield str(_one(connection, "SELECT pg_export_snapshot()"))
    finally:
        connection.isolation_level, connection.read_only = before


def contents(connection: Connection, progress: Callable[[str], None] = lambda _: None) -> Contents:
    """The contents of the database that a superuser is connected to, from one snapshot.

    That of the transaction, where the connection is in one (`one_snapshot`); its settings are changed then.
    Sequences have no snapshots: they are read as they are now. Raises ServerError, psycopg.Error.
    """
    if connection.info.server_version < SINCE * 10_000:
        raise ServerError(
            f"Contents are compared by PostgreSQL {SINCE} or later.",
            value=connection.info.server_version // 10_000,
            remedy="set [postgres] image or bin",
        )
    idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    with one_snapshot(connection) if idle else nullcontext():
        for name, value in PINNED.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        tables, views = _relations(connection, progress)
        return Contents(tables, _sequences(connection), views, _large_objects(connection))


def _relations(
    connection: Connection, progress: Callable[[str], None]
) -> tuple[tuple[TableContents, ...], tuple[ViewContents, ...]]:
    tables: dict[str, TableContents] = {}
    views = []
    parameters = {"exact": list(queries.EXACT)}
    for name, reference, kind, populated, condition, columns in connection.execute(
        queries.TABLES.encode(), parameters
    ).fetchall():
        progress(f"hashing {name}")
        if kind == "m":
            found = _hashed(connection, reference, columns, "") if populated else (0, "0")
            views.append(ViewContents(name, populated, *found))
            continue
        rows, digest = _hashed(connection, reference, columns, condition)
        if (part := tables.get(name)) is not None:
            rows, digest = rows + part.rows, str(int(digest) + int(part.digest))
        tables[name] = TableContents(name, rows, digest)
    return tuple(tables.values()), tuple(views)


def _hashed(connection: Connection, reference: str, columns: str, condition: str) -> tuple[int, str]:
    """The number of rows and the sum of their hashes."""
    row = f"hash_record_extended(ROW({columns}), 0)"
    query = f"SELECT count(*), coalesce(sum({row}), 0)::text FROM ONLY {reference} {condition}"  # noqa: S608
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])


def _sequences(connection: Connection) -> tuple[SequenceContents, ...]:
    found = []
    for name, reference, descending, columns in connection.execute(queries.SEQUENCES.encode()).fetchall():
        query = f"SELECT last_value, is_called FROM {reference}"  # noqa: S608
        last, called = connection.execute(query.encode()).fetchone() or (0, False)
        furthest = [
            value
            for table, column in columns
            if (value := _furthest(connection, table, column, descending)) is not None
        ]
        furthest.sort(reverse=not descending)
        found.append(SequenceContents(name, last, called, descending, furthest[0] if furthest else None))
    return tuple(found)


def _furthest(connection: Connection, table: str, column: str, descending: bool) -> int | None:
    query = f"SELECT {'min' if descending else 'max'}({column})::bigint FROM {table}"  # noqa: S608
    value = _one(connection, query)
    return None if value is None else int(value)


def _large_objects(connection: Connection) -> LargeObjects:
    if not _one(connection, "SELECT EXISTS (SELECT FROM pg_largeobject_metadata)"):
        return LargeObjects()
    found = connection.execute(queries.LARGE_OBJECTS.encode()).fetchone()
    return LargeObjects(*found) if found else LargeObjects()


def _one(connection: Connection, query: str) -> Any:
    found = connection.execute(sql.SQL(query)).fetchone()
    return found[0] if found else None
