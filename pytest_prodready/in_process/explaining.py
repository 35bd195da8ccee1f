"""Plans of what a test runs, made on its own connection while its data is there, and without a trace.

A test's data is mostly gone when it ends, for its transaction is rolled back. So each statement is explained
when it is sent: one that reads right after it, one that writes right before.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine

from pytest_prodready.in_process.hearing import hear, hear_no_more
from pytest_prodready.in_process.places import CONNECTS, Noted, nearest
from pytest_prodready.in_process.repeated import normalised
from pytest_prodready.in_process.server import Session, without_a_trace
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Explained
from pytest_prodready.probes.statement_text import is_control, query_in

EXAMPLES = 5  # different sets of parameters of one statement that are explained
BEFORE, AFTER = "before_cursor_execute", "after_cursor_execute"
NOT_OURS = "it writes, so it is run on the gate's own server alone"
READ_ONLY = "25006"  # the code of its error
OPTIONS = "VERBOSE, SETTINGS, FORMAT JSON"
LOCKS = re.compile(r"\bFOR\s+((NO\s+)?KEY\s+)?(UPDATE|SHARE)\b", re.IGNORECASE)


@dataclass
class Seen:
    """All runs of one statement, whatever its values, and its plans."""

    text: str
    why: str = ""  # it has no plan
    writes: bool = False
    locks: bool = False  # rows that it reads; that is undone, as all else
    calls: Counter[Noted | int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    came_back: bool = False
    examples: set[str] = field(default_factory=set)
    plans: list[Explained] = field(default_factory=list)

    def is_new(self, parameters: Any) -> bool:
        """Whether it is to be explained with these parameters."""
        known = repr(parameters)
        if known in self.examples or len(self.examples) == EXAMPLES:
            return False
        self.examples.add(known)
        return True


class Explaining:
    """Explains what one test sends; `owns` knows an engine of the gate's own server, where writes may run."""

    def __init__(self, owns: Callable[[Engine], bool], count_to: int = 0) -> None:
        self._owns = owns
        self._count_to = count_to  # rows of a table; more needn't be known
        self.statements: dict[str, Seen] = {}
        self.others: Counter[str] = Counter()  # statements on other databases than PostgreSQL, by dialect
        self.tables: dict[str, int] = {}  # that the plans read, with their rows

    def sent(self, conn: Connection, text: str, parameters: Any, context: Any) -> None:
        """It is about to be sent."""
        place = nearest(sys._getframe(2))
        if place == CONNECTS or is_control(text):
            return
        if conn.dialect.name != "postgresql":
            self.others[conn.dialect.name] += 1
            return
        plain = normalised(text)
        seen = self.statements.get(plain) or self.statements.setdefault(plain, _seen(plain, text))
        seen.calls[place] += 1
        if context is None:
            return
        if seen.writes:
            self._explain(seen, Session(conn, context, text, parameters))
        context.prodready_seen, context.prodready_began = seen, perf_counter()

    def came_back(self, conn: Connection, text: str, parameters: Any, context: Any) -> None:
        """It has come back."""
        seen: Seen | None = getattr(context, "prodready_seen", None)
        if seen is None:
            return
        seen.slowest_s = max(seen.slowest_s, perf_counter() - context.prodready_began)
        seen.came_back = True
        if not seen.writes:
            self._explain(seen, Session(conn, context, text, parameters))

    def _explain(self, seen: Seen, session: Session) -> None:
        if seen.why or not seen.is_new(session.parameters):
            return
        owned = self._owns(session.conn.engine)
        problem = NOT_OURS if seen.writes and not owned else ""
        for run in (False,) if problem else (True, False):
            try:
                with without_a_trace(session):
                    found = self._planned(
                        session, run=run, read_only=not (owned or seen.writes or seen.locks)
                    )
            except Exception as error:  # of any driver; the test itself goes on
                seen.writes |= sqlstate(error) == READ_ONLY  # a function that it calls does
                problem = problem or (NOT_OURS if seen.writes else f"PostgreSQL says: {_first_line(error)}")
                continue
            seen.plans += [Explained("custom", "rows", plan, problem) for plan in found]
            return
        seen.plans.append(Explained("custom", "rows", error=problem))

    def _planned(self, session: Session, *, run: bool, read_only: bool) -> list[Mapping[str, Any]]:
        tables = {name for plan in _plans(session.explained(OPTIONS)) for name in tables_in(plan)}
        for name in sorted(tables):
            if session.has_stale_statistics(name):
                session.run(f"ANALYZE {name}")
            if name not in self.tables and self._count_to:
                self.tables[name] = session.rows_of(name, self._count_to)
        if read_only:
            session.run("SET TRANSACTION READ ONLY")
        running = "ANALYZE, BUFFERS, TIMING OFF, " if run else ""
        return _plans(session.explained(running + OPTIONS))


def _seen(plain: str, text: str) -> Seen:
    query = query_in(LOCKS.sub(" ", text))
    return Seen(plain, query.why, query.writes, locks=LOCKS.search(text) is not None)


def tables_in(plan: Mapping[str, Any]) -> Iterator[str]:
    """The tables that a plan reads or writes, as SQL names them."""
    for node in Node.parse(plan).nodes():
        if node.relation:
            schema = node.text("Schema")
            yield ".".join(
                f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (schema, node.relation) if part
            )


@contextmanager
def explained(explaining: Explaining) -> Iterator[None]:
    """Have it look at every statement that is sent inside the block."""
    outer, _Now.explaining = _Now.explaining, explaining
    try:
        yield
    finally:
        _Now.explaining = outer


class _Now:
    explaining: Explaining | None = None


def listen() -> None:
    """Hear of the statements of all engines, those that exist too."""
    hear(_LISTENERS)


def forget() -> None:
    """Hear of nothing any more."""
    hear_no_more(_LISTENERS)


def _before(  # noqa: PLR0913, PLR0917 (SQLAlchemy's signature)
    conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    if _Now.explaining is not None:
        _Now.explaining.sent(conn, statement, _one(parameters, executemany), context)


def _after(  # noqa: PLR0913, PLR0917 (SQLAlchemy's signature)
    conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
) -> None:
    if _Now.explaining is not None:
        _Now.explaining.came_back(conn, statement, _one(parameters, executemany), context)


def _one(parameters: Any, executemany: bool) -> Any:
    """One set of parameters; some releases of SQLAlchemy call a batch of rows `executemany` too."""
    return parameters[0] if executemany and isinstance(parameters, list | tuple) else parameters


_LISTENERS = {BEFORE: _before, AFTER: _after}


def _plans(found: Any) -> list[Mapping[str, Any]]:
    """What EXPLAIN answers: some drivers read its JSON, others leave it as text."""
    known = json.loads(found) if isinstance(found, str | bytes) else found
    return [plan for plan in known if "Plan" in plan]


def sqlstate(error: Exception) -> str:
    """PostgreSQL's code of an error, as the drivers tell it."""
    told = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or _fields(error).get("C")
    return str(told or "")


def _first_line(error: Exception) -> str:
    said = str(_fields(error).get("M") or error)
    lines = said.strip().splitlines() or [type(error).__name__]
    return lines[0].partition("'>: ")[2] or lines[0]


def _fields(error: Exception) -> dict[str, str]:
    """What pg8000 has instead of a message."""
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}
