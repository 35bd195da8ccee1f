"""Rows made up for an empty database, so that plans and migrations meet as many as production has.

    generate(admin, {"jobs": 100_000})

They are made on the server (INSERT … SELECT), by column type, foreign keys, unique and check constraints; no
row travels. The same schema and numbers give the same rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pytest_prodready.environment.rows_catalogue import read_tables
from pytest_prodready.environment.rows_filling import Filling
from pytest_prodready.environment.rows_later import set_later
from pytest_prodready.environment.rows_order import Order, in_order
from pytest_prodready.environment.rows_tables import Connection, NotGenerated, Table, one, refused
from pytest_prodready.environment.rows_types import Types

__all__ = ["Generated", "NotGenerated", "generate"]

Progress = Callable[[str], None]
UNLIMITED = ("statement_timeout", "lock_timeout")


@dataclass(frozen=True, slots=True)
class Generated:
    """What was added to one table."""

    table: str  # as SQL names it
    rows: int  # added
    existing: int  # that were there before
    wanted: int | None = None  # as declared; None for a parent that nobody declared


def generate(
    connection: Connection, wanted: Mapping[str, int], progress: Progress = lambda _: None
) -> tuple[Generated, ...]:
    """Fill tables up to these numbers of rows, and the tables that they refer to; parents come first.

    `connection` is a superuser's, in autocommit, to a database of our own. A table is named `jobs` or
    `schema.jobs`; one that has as many rows already is left as it is. Triggers run. Sequences are set behind
    the last value. VACUUM and ANALYZE are up to the caller. Raises NotGenerated.
    """
    with _unlimited(connection):
        tables = read_tables(connection)
        declared = {_named(tables, name).oid: rows for name, rows in wanted.items()}
        existing = _Counts(connection, tables)
        order = in_order(tables, declared, existing.of)
        types = Types(connection)
        made = []
        for oid, rows in order.sizes.items():
            later = order.postponed.get(oid, frozenset())
            filling = Filling(connection, tables, types, tables[oid], postponed=later, progress=progress)
            added = filling.fill(existing.of(oid), rows)
            made.append(Generated(tables[oid].name, added, existing.of(oid), declared.get(oid)))
        _close_circles(connection, tables, order, existing)
    return tuple(made)


class _Counts:
    """How many rows each table had at first, counted when it is asked for."""

    def __init__(self, connection: Connection, tables: Mapping[int, Table]) -> None:
        self._connection, self._tables = connection, tables
        self._known: dict[int, int] = {}

    def of(self, oid: int) -> int:
        if oid not in self._known:
            query = f"SELECT count(*) FROM {self._tables[oid].name}"  # noqa: S608
            self._known[oid] = int(one(self._connection, query))
        return self._known[oid]


def _close_circles(
    connection: Connection, tables: Mapping[int, Table], order: Order, existing: _Counts
) -> None:
    for oid, names in order.postponed.items():
        for reference in tables[oid].references:
            if reference.name not in names:
                continue
            try:
                set_later(connection, tables, tables[oid], reference, existing.of(oid))
            except psycopg.Error as error:
                why = f"{reference.name} can't be set: {error.diag.message_primary or error}"
                raise refused(tables[oid].name, why) from error


def _named(tables: Mapping[int, Table], name: str) -> Table:
    """The table of this name; raises where there is none, or several."""
    found = [table for table in tables.values() if name in (table.name, f"{table.schema}.{table.plain_name}")]
    found = found or [table for table in tables.values() if table.plain_name == name]
    if len(found) == 1:
        return found[0]
    known = sorted(
        {table.plain_name for table in tables.values() if table.kind in "rp" and not table.partition}
    )
    near = difflib.get_close_matches(name, known, n=1)
    raise NotGenerated(
        f"There is no table {name}." if not found else f"There are several tables {name}.",
        value=name,
        source="[explain] rows",
        tried=[f"tables of the database: {', '.join(known) or 'none'}"],
        remedy=f"name one of {', '.join(table.name for table in found)}"
        if found
        else f"did you mean {near[0]}?"
        if near
        else "name a table that [service] setup makes",
    )


@contextmanager
def _unlimited(connection: Connection) -> Iterator[None]:
    """No statement is ended by a limit meanwhile."""
    before = {name: one(connection, f"SELECT current_setting('{name}')") for name in UNLIMITED}
    for name in UNLIMITED:
        connection.execute("SELECT set_config(%s, '0', false)", (name,))
    try:
        yield
    finally:
        if not connection.closed:
            for name, value in before.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
