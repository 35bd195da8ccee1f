"""What made-up rows have to fit: tables with their columns, types and constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from pytest_prodready.errors import ProdreadyError

Connection = psycopg.Connection[Any]
REMEDY = (
    'fill the database by a command of your own: [explain] seed = "…"'
    " (rows that are there already stay, and only what is missing is made up)"
)


class NotGenerated(ProdreadyError):
    """Rows that a table's constraints take could not be made up; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that takes values."""

    name: str
    number: int
    type: int
    modifier: int
    type_name: str  # with its modifier
    required: bool
    default: str | None = None
    sequence: int | None = None  # that its values come from

    @property
    def sql(self) -> str:
        """Its name as SQL."""
        return ident(self.name)


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    name: str
    table: int
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    trigger_names: tuple[str, ...] = ()  # that check it at each new row


@dataclass(frozen=True, slots=True)
class Unique:
    """A primary key, a unique constraint or index, or an exclusion constraint."""

    name: str
    columns: tuple[str, ...]
    definition: str
    whole: bool = True  # of the columns' own values and all rows: neither partial nor of an expression
    excludes: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One condition that rows have to meet; a constraint that joins several by AND is several."""

    name: str
    columns: tuple[str, ...]
    sql: str
    definition: str
    wished: bool = False  # rather than demanded: a default partition takes what no other does


@dataclass(frozen=True, slots=True)
class Table:
    """A table that rows are made for."""

    oid: int
    name: str  # as SQL
    schema: str
    plain_name: str
    kind: str  # r, p, or something that takes no rows
    partition: bool
    columns: tuple[Column, ...] = ()  # without those that the server computes
    references: tuple[Reference, ...] = ()
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Check, ...] = ()

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)

    def can_be_null(self, names: Sequence[str]) -> bool:
        """Whether one of these columns may be null."""
        return any(not self.column(name).required for name in names)


def ident(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def fetch(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return connection.execute(query.encode()).fetchall()


def one(connection: Connection, query: str) -> Any:
    """The first field of the first row."""
    return fetch(connection, query)[0][0]


@contextmanager
def qualified_names(connection: Connection) -> Iterator[None]:
    """Let the server write every name with its schema, so that it is right under any search_path."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = ''")
        yield


def refused(table: str, why: str, **facts: Any) -> NotGenerated:
    """The error for a table that can't be filled."""
    facts = {"source": "[explain] rows", "remedy": REMEDY, **facts}
    return NotGenerated(f"Rows of {table} can't be made up: {why}.", **facts)
