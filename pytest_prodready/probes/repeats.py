"""N+1: whether a statement runs more often when its parent has more rows.

Row level security shows the service only some rows of the parent's table, so no row has to be changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.probes.capture import Window
from pytest_prodready.probes.plans import Repeat
from pytest_prodready.probes.server_log import Run
from pytest_prodready.probes.statement_text import is_control

FEW, MANY = 5, 50
CANDIDATES = 3  # statements that are tried as the parent
POLICY = "prodready_rows"
KEYS = """
    SELECT a.attnum, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
           format('%%I.%%I', n.nspname, c.relname),
           quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = %s AND i.indisprimary AND i.indnkeyatts = 1
"""
Again = Callable[[str], Window]  # runs a declared request once more


@dataclass(frozen=True, slots=True)
class _Parent:
    """A table whose rows a statement returned, and their keys in that order."""

    text: str
    table: str
    column: str
    type: str
    keys: tuple[str, ...]
    secured: bool  # it has row level security of its own
    forced: bool


def repeats(
    connection: psycopg.Connection[Any], windows: Sequence[Window], role: str, least: int, again: Again
) -> tuple[Repeat, ...]:
    """Every statement that a request ran several times, tried on few rows of its parent and on more."""
    return tuple(
        _grown(connection, window, repeat, role, again)
        for window in windows
        for repeat in _repeated(window, least)
    )


def _repeated(window: Window, least: int) -> Iterator[Repeat]:
    for text, calls in _counts(window).items():
        if calls >= least:
            yield Repeat(request=window.name, text=text, calls=calls)


def _counts(window: Window) -> Counter[str]:
    """How often each statement was sent; the server's ids differ where only the types of parameters do."""
    runs = (run for run in window.runs if not run.fetch and not is_control(run.text))
    return Counter(window.text_of(run) for run in runs)


def _grown(
    connection: psycopg.Connection[Any], window: Window, repeat: Repeat, role: str, again: Again
) -> Repeat:
    """The same with its number of calls on few rows and on more."""
    tried = 0
    for parent in _parents(connection, window, repeat, role):
        tried += 1
        few = min(FEW, max(1, len(parent.keys) // 4))
        many = min(MANY, len(parent.keys))
        counts = []
        for rows in (few, many):
            with _only(connection, parent, rows):
                counts.append(_counts(again(window.name))[repeat.text])
        seen = replace(
            repeat,
            parent=parent.text,
            table=parent.table,
            few_rows=few,
            few_calls=counts[0],
            many_rows=many,
            many_calls=counts[1],
        )
        if counts[1] > counts[0]:
            return seen
        last = seen
    if tried:
        return last
    doubt = "no statement before it returned rows of a table with a primary key of one column"
    return replace(repeat, doubt=doubt)


def _parents(
    connection: psycopg.Connection[Any], window: Window, repeat: Repeat, role: str
) -> Iterator[_Parent]:
    """The tables whose rows the repeated statement may have been run for, the likeliest first."""
    before: dict[str, tuple[int, Run]] = {}
    for run in window.runs:
        text = window.text_of(run)
        if text == repeat.text:
            break
        plan = window.plan_of(run)
        if plan is not None and plan.rows > 1 and not is_control(run.text):
            before[text] = (plan.rows, run)
    nearest = sorted(before.values(), key=lambda pair: abs(pair[0] - repeat.calls))
    found = 0
    for _, run in nearest[:CANDIDATES]:
        parent = _rows_of(connection, run, role)
        if parent is not None and len(parent.keys) > 1:
            found += 1
            yield parent


def _rows_of(connection: psycopg.Connection[Any], run: Run, role: str) -> _Parent | None:
    """The table of which a statement returned the most different rows, by its primary key."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            cursor = _run(connection, run)
            result = cursor.pgresult
            rows = cursor.fetchall()
            origins = (
                []
                if result is None
                else [(result.ftable(n), result.ftablecol(n)) for n in range(result.nfields)]
            )
    except psycopg.Error:
        return None
    best: _Parent | None = None
    for place, (table, column) in enumerate(origins):
        key = connection.execute(KEYS, (table,)).fetchone() if table else None
        if key is None or key[0] != column or key[1] not in ("r", "p"):
            continue
        keys = tuple(dict.fromkeys(str(row[place]) for row in rows if row[place] is not None))
        if best is None or len(keys) > len(best.keys):
            best = _Parent(run.text, key[4], key[5], key[6], keys, secured=key[2], forced=key[3])
    return best


def _run(connection: psycopg.Connection[Any], run: Run) -> psycopg.Cursor[Any]:
    """Run a statement with its parameters as the log told them: as text, for the server to type."""
    connection.execute(f"PREPARE prodready_parent AS {run.text}".encode())
    try:
        values = sql.SQL(", ").join(sql.Literal(value) for value in run.parameters)
        given = sql.SQL("({})").format(values) if run.parameters else sql.SQL("")
        return connection.execute(sql.SQL("EXECUTE prodready_parent{}").format(given))
    finally:
        connection.execute("DEALLOCATE prodready_parent")


@contextmanager
def _only(connection: psycopg.Connection[Any], parent: _Parent, rows: int) -> Iterator[None]:
    """Show everybody but superusers only the first rows of a table."""
    keys = sql.SQL("{}::{}[]").format(sql.Literal(list(parent.keys[:rows])), sql.SQL(parent.type))
    kind = sql.SQL("RESTRICTIVE" if parent.secured else "PERMISSIVE")
    table, name = sql.SQL(parent.table), sql.Identifier(POLICY)
    connection.execute(
        sql.SQL("CREATE POLICY {} ON {} AS {} USING ({} = ANY ({})) WITH CHECK (true)").format(
            name, table, kind, sql.SQL(parent.column), keys
        )
    )
    try:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
        connection.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(table))
        yield
    finally:
        connection.execute(sql.SQL("DROP POLICY {} ON {}").format(name, table))
        for had, clause in ((parent.forced, "NO FORCE"), (parent.secured, "DISABLE")):
            if not had:
                words = sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY")
                connection.execute(words.format(table, sql.SQL(clause)))
