"""The server as a test's own connection sees it, through whatever driver it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from pytest_prodready.names import PINNED_SETTINGS

SAVEPOINT = "prodready_explained"
WITHIN_MS = {"statement_timeout": 30_000, "lock_timeout": 5_000}
STALE_BY = 0.1  # of its pages
ROWS = "SELECT reltuples::bigint FROM pg_class WHERE oid = {name}::regclass"
STATISTICS = """
    SELECT c.reltuples < 0
        OR abs(pg_relation_size(c.oid) / current_setting('block_size')::int - c.relpages) > {by} * c.relpages
        OR NOT EXISTS (
               SELECT FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
               WHERE n.oid = c.relnamespace AND s.tablename = c.relname)
    FROM pg_class c WHERE c.oid = {name}::regclass AND c.relkind IN ('r', 'm', 'p')
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A statement and the connection that it is sent by."""

    conn: Connection
    context: Any
    text: str
    parameters: Any

    def run(self, text: str) -> Any:
        """Run a statement of our own; returns the first column of its first row, if it has any."""
        cursor = self.conn.connection.cursor()
        try:
            self.conn.dialect.do_execute_no_params(cursor, text, self.context)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]
        finally:
            cursor.close()

    def explained(self, options: str) -> Any:
        """What EXPLAIN answers for the test's statement, with its parameters as the driver sends them."""
        cursor = self.conn.connection.cursor()
        text = f"EXPLAIN ({options}) {self.text}"
        dialect = self.conn.dialect
        try:
            if not self.parameters and self.context.no_parameters:
                dialect.do_execute_no_params(cursor, text, self.context)
            else:
                dialect.do_execute(cursor, text, self.parameters, self.context)
            row = cursor.fetchone()
            return [] if row is None else row[0]
        finally:
            cursor.close()

    def has_stale_statistics(self, table: str) -> bool:
        """Whether the planner knows less of a table than autovacuum would soon tell it."""
        return bool(self.run(STATISTICS.format(name=_literal(table), by=STALE_BY)))

    def rows_of(self, table: str, most: int) -> int:
        """How many rows a table has for this connection: counted as far as this, else as ANALYZE found it."""
        counted = int(self.run(f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {most}) AS few"))  # noqa: S608
        return counted if counted < most else max(counted, int(self.run(ROWS.format(name=_literal(table)))))


@contextmanager
def without_a_trace(session: Session) -> Iterator[None]:
    """Undo whatever is done inside the block, under pinned settings and time limits."""
    undo = _begin(session)
    try:
        for name, value in {**PINNED_SETTINGS, **WITHIN_MS}.items():
            session.run(f"SET LOCAL {name} = {value}")
        yield
    finally:
        for text in undo:
            session.run(text)


def _begin(session: Session) -> tuple[str, ...]:
    """Begin something that can be undone, and tell how; a connection may commit each statement by itself."""
    with suppress(Exception):
        session.run(f"SAVEPOINT {SAVEPOINT}")
        return (f"ROLLBACK TO SAVEPOINT {SAVEPOINT}", f"RELEASE SAVEPOINT {SAVEPOINT}")
    session.run("BEGIN")
    return ("ROLLBACK",)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
