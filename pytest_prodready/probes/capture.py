"""Capture what the service runs: the server's log tells it, and its counters say whether that is all."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.log_marks import INCOMPLETE, log_with, mark
from pytest_prodready.probes.plans import Missed
from pytest_prodready.probes.server_log import (
    Entry,
    Planned,
    Run,
    as_planned,
    as_run,
    entries,
    without_prepare,
)
from pytest_prodready.probes.statement_text import is_control
from pytest_prodready.probes.traffic import Answer

# In force for the service's new connections to one database; nothing else is logged or slowed down.
LOGGED: Mapping[str, str | int] = {
    "log_min_duration_statement": 0,
    "log_parameter_max_length": -1,
    "log_statement": "none",
    "log_duration": "off",
    "log_min_messages": "log",
    "log_error_verbosity": "default",
    "log_transaction_sample_rate": 0,
    "compute_query_id": "on",
    "pg_stat_statements.track": "all",
    "pg_stat_statements.track_utility": "on",
    "auto_explain.log_min_duration": 0,
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_verbose": "on",
    "auto_explain.log_settings": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "log",
    "auto_explain.sample_rate": 1,
}
PARAMETERS_SINCE = 16  # auto_explain tells them
QUIET_WITHIN_S = 5.0
COUNTERS = """
    SELECT d.datname, s.queryid, s.toplevel, min(s.query), sum(s.calls)::bigint
    FROM pg_stat_statements s
    JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.userid
    WHERE r.rolname <> %s GROUP BY 1, 2, 3
"""
BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = %s AND usename <> %s AND backend_type = 'client backend' AND state <> 'idle'
"""
CONNECTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = %s AND usename <> %s AND backend_type = 'client backend'
"""
FORGOTTEN = "SELECT dealloc FROM pg_stat_statements_info"
Key = tuple[str, int, bool]  # database, query id, sent by a client


@dataclass(frozen=True, slots=True)
class Window:
    """What was run between two moments."""

    name: str
    answer: Answer | None
    runs: tuple[Run, ...]
    planned: tuple[Planned, ...]
    missed: tuple[Missed, ...]
    texts: Mapping[int, str] = field(default_factory=dict)  # normalised, by query id
    prepared: frozenset[int] = frozenset()  # query ids prepared by name on any connection so far

    def text_of(self, run: Run | Planned) -> str:
        """The statement with its constants left out, where the server knows it so."""
        return self.texts.get(run.query_id, run.text)

    def plan_of(self, run: Run) -> Planned | None:
        """What auto_explain saw of a statement that a client sent."""
        same = (each for each in self.planned if not each.nested and each.query_id == run.query_id)
        return max(same, key=lambda each: each.rows, default=None)


@dataclass
class _Marked:
    """A window under way: its counters at the start, and the marks that it has in the log."""

    name: str
    mark: str
    before: Mapping[Key, tuple[str, int]]
    after: Mapping[Key, tuple[str, int]] = field(default_factory=dict)
    answer: Answer | None = None


class Capture:
    """Looks at one database of our own server while its log tells every statement."""

    def __init__(self, database: Database) -> None:
        assert database.server is not None
        self._database, self._server = database, database.server
        self._marked: list[_Marked] = []

    def switch_on(self) -> None:
        """Have all connections logged that the service makes from now on."""
        with self._database.admin(database="postgres") as admin:
            name, role = sql.Identifier(self._database.name), sql.Identifier(self._database.user)
            whom = (
                sql.SQL("DATABASE {}").format(name),
                sql.SQL("ROLE {} IN DATABASE {}").format(role, name),
            )
            for each in whom:
                for key, value in LOGGED.items():
                    admin.execute(
                        sql.SQL("ALTER {} SET {} = {}").format(each, sql.Identifier(key), sql.Literal(value))
                    )

    @contextmanager
    def window(self, name: str) -> Iterator[_Marked]:
        """What is run inside the block, and what the service still does for it, belongs together."""
        self._quiet()
        marked = _Marked(name, secrets.token_hex(8), self._counters())
        self._mark(f"{marked.mark} begins")
        yield marked
        self._quiet()
        self._mark(f"{marked.mark} ends")
        marked.after = self._counters()
        self._marked.append(marked)

    def windows(self) -> tuple[Window, ...]:
        """Every window so far, read from the log."""
        marks, self._marked = self._marked, []
        if not marks:
            return ()
        found = tuple(entries(log_with(self._server, f"{marks[-1].mark} ends")))
        runs = (as_run(each) for each in self._own(found) if each.query_id)
        named = frozenset(run.query_id for run in runs if run is not None and run.name)
        return tuple(self._read(marked, found, named) for marked in marks)

    def _own(self, found: Iterable[Entry]) -> list[Entry]:
        """What the service did in this database."""
        return [each for each in found if each.user != SUPERUSER and each.database == self._database.name]

    def _read(self, marked: _Marked, found: Sequence[Entry], named: frozenset[int]) -> Window:
        texts = {key[1]: without_prepare(text) for key, (text, _) in marked.after.items()}
        inside = _between(found, marked.mark)
        if inside is None:
            lost = Missed(marked.name, "", 0, INCOMPLETE)
            return Window(marked.name, marked.answer, (), (), (lost,), texts)
        own = self._own(inside)
        runs = tuple(run for each in own if (run := as_run(each)) is not None)
        planned = tuple(plan for each in own if (plan := as_planned(each)) is not None)
        missed = tuple(self._missed(marked, runs, planned))
        return Window(marked.name, marked.answer, runs, planned, missed, texts, named)

    def _missed(self, marked: _Marked, runs: Iterable[Run], planned: Iterable[Planned]) -> Iterator[Missed]:
        """What the counters know and the log doesn't."""
        sent = Counter(run.query_id for run in runs if not run.fetch)
        inner = Counter(plan.query_id for plan in planned if plan.nested)
        unnamed = inner.pop(0, 0)
        around = {run.text for run in runs}  # of a COPY or a cursor: its query is counted once more, inside
        for (database, query_id, outer), (text, calls) in marked.after.items():
            new = calls - marked.before.get((database, query_id, outer), ("", 0))[1]
            if new <= 0:
                continue
            if database != self._database.name:
                yield Missed(marked.name, text, new, f"it was run in another database, {database}")
                continue
            seen = sent[query_id] if outer else inner[query_id]
            if not outer and seen < new:
                # Before PostgreSQL 16 the log doesn't tell which of them it was: their number has to do.
                told = min(unnamed, new - seen)
                unnamed, seen = unnamed - told, seen + told
            inside = not outer and text in around
            if new > seen and not inside and not is_control(text):
                yield Missed(marked.name, text, new - seen, _why(outer))

    def _quiet(self) -> None:
        """Wait until the service does nothing in the database."""
        with self._database.admin(database="postgres") as admin:

            def quiet() -> bool:
                row = admin.execute(BUSY, (self._database.name, SUPERUSER)).fetchone()
                return row is not None and row[0] == 0

            wait_until(time.monotonic() + QUIET_WITHIN_S, quiet, every_s=0.02)

    def _mark(self, text: str) -> None:
        with self._database.admin(database="postgres") as admin:
            mark(admin, text)

    def _counters(self) -> dict[Key, tuple[str, int]]:
        with self._database.admin(database="postgres") as admin:
            rows = admin.execute(COUNTERS, (SUPERUSER,)).fetchall()
        return {(name, query_id, outer): (text, calls) for name, query_id, outer, text, calls in rows}

    def connections(self) -> int:
        """How many connections the service has to this database."""
        with self._database.admin(database="postgres") as admin:
            row = admin.execute(CONNECTIONS, (self._database.name, SUPERUSER)).fetchone()
        return 0 if row is None else int(row[0])

    def forgotten(self) -> int:
        """How often the server has dropped the counters of rare statements to make room."""
        with self._database.admin(database="postgres") as admin:
            row = admin.execute(FORGOTTEN).fetchone()
        return 0 if row is None else int(row[0])


def _between(found: Sequence[Entry], mark: str) -> list[Entry] | None:
    """The entries of one window; None where the log lacks its marks."""
    places = [number for number, each in enumerate(found) if f"prodready: {mark}" in each.text]
    return list(found[places[0] + 1 : places[1]]) if len(places) == 2 else None


def _why(outer: bool) -> str:
    if outer:
        return "the server counted it and its log doesn't tell it: several statements in one message?"
    return "the server counted it and its log doesn't tell it: it was run by a function"
