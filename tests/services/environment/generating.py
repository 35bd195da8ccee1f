"""Databases for the tests of made-up rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from pytest_prodready.environment.rows import Generated, generate

Database = psycopg.Connection[Any]
MakeDatabase = Callable[[str], Database]


def filled(database: Database, **wanted: int) -> dict[str, Generated]:
    """Fill these tables; returns what was added by table."""
    return {made.table.removeprefix("public."): made for made in generate(database, wanted)}


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return database.execute(query.encode()).fetchall()


def first(database: Database, query: str) -> Any:
    """The first field of the first row."""
    return rows(database, query)[0][0]
