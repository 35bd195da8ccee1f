"""Readers and writers on the tables that a step touches, a canary beside them, and a session left open.

They run plain statements on single rows, and need nothing of the service. The canary runs the same loop on a
table that no migration knows of: what stalls it stalls the machine.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import psycopg

from pytest_prodready.probes.migration_tables import OURS, Addressed, Connection, addressed, label

PACE_S = 0.02
ROWS = 200  # that clients take turns with
CANARY_ROWS = 50
MET_WITHIN_S = 60.0  # a step that hasn't waited for the open session by then never will
CANARY = f"""
    CREATE TABLE {OURS}.canary (id int PRIMARY KEY, n int);
    INSERT INTO {OURS}.canary SELECT i, i FROM generate_series(1, {CANARY_ROWS}) i
"""  # noqa: S608
# The step has taken away what they address: they go on with what there is.
GONE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
Connect = Callable[[], Connection]


@dataclass(frozen=True, slots=True)
class Client:
    """One reader or writer: what it is called on the server, and what it works on."""

    name: str
    table: int
    writes: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """What one client has seen: how many statements, and the longest of them by its own clock."""

    statements: int = 0
    longest_ms: float = 0.0
    errors: tuple[str, ...] = ()


class Load:
    """The clients of some tables and the canary's, from entering to leaving."""

    def __init__(self, connect: Connect, read: Sequence[int], written: Sequence[int], canary: int) -> None:
        kinds = [(table, False) for table in (*read, canary)]
        kinds += [(table, True) for table in (*written, canary)]
        self.clients = tuple(
            Client(f"prodready {'write' if writes else 'read'} {number}", table, writes)
            for number, (table, writes) in enumerate(kinds)
        )
        self._connect, self._canary = connect, canary
        self._seen = {client.name: Loop() for client in self.clients}
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(client,), daemon=True) for client in self.clients
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def lap(self) -> dict[str, Loop]:
        """What each client has seen since the last lap, by its name."""
        with self._lock:
            seen, self._seen = self._seen, {client.name: Loop() for client in self.clients}
        return seen

    def of_canary(self, seen: Mapping[str, Loop]) -> Loop:
        """The worst of the canary's clients."""
        return worst([seen[each.name] for each in self.clients if each.table == self._canary])

    def of(self, seen: Mapping[str, Loop], *, writes: bool) -> Loop:
        """The worst of the readers, or of the writers, of the tables that the step touches."""
        return worst([seen[each.name] for each in self.chosen(writes=writes)])

    def chosen(self, *, writes: bool) -> tuple[Client, ...]:
        """The readers, or the writers, of the tables that the step touches."""
        return tuple(each for each in self.clients if each.table != self._canary and each.writes == writes)

    def _run(self, client: Client) -> None:
        chosen = random.Random(client.name)  # noqa: S311 (which row comes next)
        with self._connect() as connection:
            label(connection, client.name)
            connection.execute("SET statement_timeout = 0")
            connection.prepare_threshold = None
            how = self._addressed(connection, client)
            while how is not None and not self._stop.wait(PACE_S):
                how = self._once(connection, client, how, chosen)

    def _once(
        self, connection: Connection, client: Client, how: Addressed, chosen: random.Random
    ) -> Addressed | None:
        began, error = time.monotonic(), ""
        try:
            connection.execute((how.write if client.writes else how.read).encode(), chosen.choice(how.rows))
        except psycopg.Error as failure:
            error = type(failure).__name__
            if isinstance(failure, GONE):
                how_now = self._addressed(connection, client)
                self._count(client, began, "")
                return how_now
            if connection.closed:
                self._count(client, began, error)
                return None
        self._count(client, began, error)
        return how

    def _count(self, client: Client, began: float, error: str) -> None:
        milliseconds = (time.monotonic() - began) * 1000
        with self._lock:
            seen = self._seen[client.name]
            self._seen[client.name] = Loop(
                seen.statements + 1,
                max(seen.longest_ms, milliseconds),
                tuple(dict.fromkeys((*seen.errors, error))) if error else seen.errors,
            )

    def _addressed(self, connection: Connection, client: Client) -> Addressed | None:
        """How the client's table is addressed now; None once there is nothing to address."""
        found = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE oid = %s", (client.table,)
        ).fetchone()
        if found is None:
            return None
        how = addressed(connection, client.table, found[0], ROWS)
        if not how.rows or (client.writes and not how.write):
            return None
        # The first row is that of the session left open.
        return replace(how, rows=how.rows[1:]) if len(how.rows) > 1 else how


class OpenTransaction:
    """A session that has read and written a row of each table, and is left idle before it commits.

    It commits `seconds` after the step has begun to wait for a lock, or on leaving where it never does.
    """

    def __init__(
        self, connect: Connect, tables: Sequence[Addressed], seconds: float, met: threading.Event
    ) -> None:
        self._connect, self._tables, self._seconds, self._met = connect, tables, seconds, met
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self.held_s = 0.0  # while the step waited; 0: it never did

    def __enter__(self) -> OpenTransaction:
        self._connection = self._connect()
        try:
            self._begin()
        except BaseException:
            self._connection.close()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._connection.close()

    def _begin(self) -> None:
        label(self._connection, "prodready open transaction")
        self._connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        self._connection.execute("BEGIN")
        for each in self._tables:
            for statement in filter(None, (each.read, each.write)):
                self._connection.execute(statement.encode(), each.rows[0])

    def _wait(self) -> None:
        deadline = time.monotonic() + MET_WITHIN_S
        while not self._met.wait(PACE_S) and not self._done.is_set() and time.monotonic() < deadline:
            pass
        met = time.monotonic() if self._met.is_set() else None
        self._done.wait(self._seconds if met is not None else 0)
        self.held_s = time.monotonic() - met if met is not None else 0.0
        self._connection.execute("COMMIT")


def worst(loops: Sequence[Loop]) -> Loop:
    """Several clients as one: all statements, the longest of any."""
    return Loop(
        sum(each.statements for each in loops),
        round(max((each.longest_ms for each in loops), default=0.0), 1),
        tuple(dict.fromkeys(itertools.chain.from_iterable(each.errors for each in loops))),
    )
