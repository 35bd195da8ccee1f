"""A copy of the schema in which the planner sees production's sizes and statistics, without any row.

    with inject(server, Path("stats.sql"), like="app_plans", name="app_statistics") as injected:
        with server.connect(injected.database) as admin: ...   # EXPLAIN without ANALYZE

Nobody runs anything there: what looks like pages are holes in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import psycopg

from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.environment.statistics_dump import MADE_BY, SOURCE, NotInjected, read_dump
from pytest_prodready.environment.statistics_files import stretch
from pytest_prodready.environment.statistics_restored import Restored, extended, restore
from pytest_prodready.environment.statistics_schema import drop, emptied_copy

__all__ = ["Injected", "NotInjected", "inject", "unsupported"]

Progress = Callable[[str], None]
SINCE = 18
LONG_S = 600.0


@dataclass(frozen=True, slots=True)
class Injected:
    """The database to plan in, and what is known of its statistics."""

    database: str
    tables: int  # with statistics
    pages: int  # that the planner sees, of tables and indexes
    missing: tuple[str, ...] = ()  # tables here that the dump has no statistics of
    unknown: tuple[str, ...] = ()  # tables and indexes of the dump that aren't here
    notes: tuple[str, ...] = ()  # what else differs from production, in words


def unsupported(version: str) -> str | None:
    """Why a server of this version can't take statistics, with what to do; None where it can."""
    major = version.split(".", maxsplit=1)[0]
    if int("".join(takewhile(str.isdecimal, major)) or 0) >= SINCE:
        return None
    return f"statistics need PostgreSQL {SINCE}; this one is {version}: set [postgres] image or bin"


@contextmanager
def inject(
    server: PostgresRole,
    dump: Path,
    *,
    like: str,
    name: str,
    progress: Progress = lambda _: None,
) -> Iterator[Injected]:
    """A database `name`: the schema of the database `like`, the statistics of a dump; dropped at the end.

    The dump is what `pg_dump --statistics-only` of PostgreSQL 18 writes. Best called while `like` has no rows
    yet (it is copied with what is in it, then emptied), and nobody may be connected to it: its sessions are
    ended. Raises NotInjected.
    """
    if why := unsupported(server.version):
        raise NotInjected(
            f"{why[0].upper()}{why[1:].partition(':')[0]}.", source=SOURCE, remedy=why.partition(": ")[2]
        )
    restores = read_dump(dump)
    progress("making an empty copy of the schema")
    with server.connect("postgres", timeout_s=LONG_S) as admin:
        try:
            emptied_copy(server, admin, like=like, name=name)
            progress(f"injecting {len(restores):,} statistics")
            with server.connect(name, timeout_s=LONG_S) as connection:
                restored = restore(connection, restores)
                _require_any(restored, dump)
                pages = stretch(server, connection, restored.relations)
                notes = (*restored.notes, *_notes(connection))
            yield Injected(name, len(restored.tables), pages, restored.missing, restored.unknown, notes)
        finally:
            drop(admin, name)


def _notes(connection: psycopg.Connection[Any]) -> Iterator[str]:
    if names := extended(connection):
        yield (
            f"{MADE_BY} of PostgreSQL 18 has no extended statistics, so plans here don't know those of"
            f" production: {', '.join(names)}"
        )


def _require_any(restored: Restored, dump: Path) -> None:
    if not restored.tables:
        raise NotInjected(
            "The dump has no statistics of any table that is here.",
            value=dump,
            source=SOURCE,
            tried=[
                f"tables of the dump: {', '.join(restored.unknown)}",
                f"tables here: {', '.join(restored.missing)}",
            ],
            remedy="dump the service's own production database, after ANALYZE",
        )
