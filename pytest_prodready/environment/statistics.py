"""A copy of the schema in which the planner sees production's sizes and statistics, without any row.

with inject(server, Path("stats.sql"), like="app_plans", name="app_statistics") as injected:
    with server.connect(injected.database) as admin: ...   # EXPLAIN without ANALYZE

Nobody runs anything there: what looks like pages are holes in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.errors import ProdreadyError

Progress = Callable[[str], None]


class NotInjected(ProdreadyError):
    """Production's statistics can't be used here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Injected:
    """The database to plan in, and what is known of its statistics."""

    database: str
    tables: int  # with statistics
    pages: int  # that the planner sees, of tables and indexes
    missing: tuple[str, ...] = ()  # tables here that the dump has no statistics of
    unknown: tuple[str, ...] = ()  # tables of the dump that aren't here
    notes: tuple[str, ...] = ()  # what else differs from production, in words


def unsupported(version: str) -> str | None:
    """Why a server of this version can't take statistics, with what to do; None where it can."""
    raise NotImplementedError


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
    raise NotImplementedError
    yield
