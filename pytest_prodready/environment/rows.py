"""Rows made up for an empty database, so that plans and migrations meet as many as production has.

    generate(admin, {"jobs": 100_000})

They are made on the server (INSERT … SELECT), by column type, foreign keys, unique and check constraints; no
row travels. The same schema and numbers give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from pytest_prodready.errors import ProdreadyError

Connection = psycopg.Connection[Any]
Progress = Callable[[str], None]


class NotGenerated(ProdreadyError):
    """Rows that a table's constraints take could not be made up; the message says which and what to do."""


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
    raise NotImplementedError
