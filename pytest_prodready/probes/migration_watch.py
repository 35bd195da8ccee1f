"""Who waits for whom while a step of a migration runs: the server is asked every 20 ms.

A wait counts for the migration only where the server itself says that one of its sessions is in the way, by
a lock that it holds or by one that it queues for. Times are by the server's clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.probes.migration_tables import Connection, label

EVERY_S = 0.02
TEXT = 400  # characters of a statement that are kept
EXCLUSIVE = "AccessExclusiveLock"
# Modes that keep others from reading or writing; a request for one of them stops whoever comes after it.
IN_THE_WAY = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", EXCLUSIVE)
SAMPLE = f"""
    SELECT extract(epoch FROM clock_timestamp())::float8,
        (SELECT json_agg(json_build_object(
            'pid', a.pid, 'transaction', extract(epoch FROM a.xact_start), 'active', a.state = 'active',
            'began', extract(epoch FROM a.query_start), 'text', left(a.query, {TEXT}),
            'locks', (SELECT json_agg(json_build_array(
                          l.relation::bigint, l.mode, l.granted, extract(epoch FROM
                          coalesce((to_jsonb(l) ->> 'waitstart')::timestamptz, a.query_start))))
                      FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'relation'
                      AND l.relation = ANY (%(tables)s)),
            'waits', a.wait_event_type = 'Lock'))
         FROM pg_stat_activity a WHERE a.datname = current_database() AND a.usename <> '{SUPERUSER}'
         AND a.backend_type = 'client backend'),
        (SELECT json_agg(json_build_array(a.pid, a.application_name,
                    extract(epoch FROM clock_timestamp() - a.query_start) * 1000, pg_blocking_pids(a.pid)))
         FROM pg_stat_activity a WHERE a.datname = current_database() AND a.usename = '{SUPERUSER}'
         AND a.wait_event_type = 'Lock')
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Waited:
    """The longest wait of one client behind the migration."""

    milliseconds: float
    queued: bool  # the migration did not hold the lock either: it stood in the queue for it
    statement: str  # that the migration was at


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock of the migration on one table: how long it waited for it, and how long it held it."""

    table: int
    mode: str
    waited_ms: float  # the longest wait in one go
    held_ms: float


@dataclass(frozen=True, slots=True)
class Under:
    """A statement that ran while its session already held ACCESS EXCLUSIVE, as far as it was seen."""

    pid: int
    transaction: float
    began: float  # Unix time
    until: float
    tables: tuple[int, ...]
    statement: str  # empty: the session was idle


@dataclass
class Watched:
    """What the samples have shown up to now."""

    waits: dict[str, Waited] = field(default_factory=dict)  # by the client's name
    waiting: dict[tuple[int, float, int, str], float] = field(default_factory=dict)  # milliseconds
    held: dict[tuple[int, float, int, str], list[float]] = field(default_factory=dict)  # first, last
    under: dict[tuple[int, float, float, bool], Under] = field(default_factory=dict)
    samples: int = 0
    gap_ms: float = 0.0  # the longest time between two of them

    def locks(self) -> tuple[Lock, ...]:
        """The locks in the way of others, each table and mode once, by its longest times."""
        found: dict[tuple[int, str], tuple[float, float]] = {}
        for (_, _, table, mode), waited in self.waiting.items():
            longest, held = found.get((table, mode), (0.0, 0.0))
            found[table, mode] = (max(longest, waited), held)
        for (_, _, table, mode), (first, last) in self.held.items():
            waited, held = found.get((table, mode), (0.0, 0.0))
            found[table, mode] = (waited, max(held, (last - first) * 1000))
        return tuple(
            Lock(table, mode, round(waited, 1), round(held, 1))
            for (table, mode), (waited, held) in sorted(found.items())
            if mode in IN_THE_WAY
        )


class Watch:
    """Samples one database in a thread of its own, from entering to leaving."""

    def __init__(self, connect: Callable[[], Connection], tables: Sequence[int]) -> None:
        self._connect, self._tables = connect, list(tables)
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
        self._lock = threading.Lock()
        self.seen = Watched()
        self.failed = ""  # why it ended early, if so
        self.first_wait = threading.Event()  # the migration has begun to wait for a lock

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._connect() as connection:
                label(connection, "prodready watch")
                last = time.monotonic()
                while not self._stop.wait(EVERY_S):
                    row = connection.execute(SAMPLE, {"tables": self._tables}).fetchone()
                    now = time.monotonic()
                    self.seen.gap_ms = max(self.seen.gap_ms, (now - last) * 1000)
                    last = now
                    assert row is not None
                    self._take(row[0], row[1] or [], row[2] or [])
        except psycopg.Error as error:
            self.failed = error.diag.message_primary or type(error).__name__

    def _take(self, now: float, theirs: list[dict[str, Any]], ours: list[list[Any]]) -> None:
        self.seen.samples += 1
        for session in theirs:
            if session["waits"]:
                self.first_wait.set()
            self._take_locks(now, session)
        by_pid = {session["pid"]: session for session in theirs}
        blocking = {pid: pids for pid, _, _, pids in ours}
        for pid, name, milliseconds, _ in ours:
            in_the_way = next((by_pid[each] for each in _chain(pid, blocking) if each in by_pid), None)
            before = self.seen.waits.get(name, NOT_AT_ALL)
            if in_the_way is not None and milliseconds > before.milliseconds:
                # Who waited behind its place in the queue still waits while it then works.
                queued = bool(in_the_way["waits"]) or before.queued
                self.seen.waits[name] = Waited(milliseconds, queued, in_the_way["text"])

    def _take_locks(self, now: float, session: dict[str, Any]) -> None:
        pid, transaction = session["pid"], session["transaction"] or 0.0
        exclusive = []
        for table, mode, granted, since in session["locks"] or []:
            if granted:
                self.seen.held.setdefault((pid, transaction, table, mode), [now, now])[1] = now
                exclusive += [table] if mode == EXCLUSIVE else []
            else:
                self.seen.waiting[pid, since, table, mode] = (now - since) * 1000
        if exclusive:
            began, active = session["began"], session["active"]
            first = self.seen.under.get((pid, transaction, began, active))
            self.seen.under[pid, transaction, began, active] = Under(
                *(pid, transaction, first.began if first else began if active else now, now),
                tuple(sorted(exclusive)),
                session["text"] if active else "",
            )


NOT_AT_ALL = Waited(0.0, queued=False, statement="")


def _chain(pid: int, blocking: Mapping[int, Sequence[int]]) -> Iterator[int]:
    """Everyone in the way of a session, directly or behind others, the nearest first."""
    seen, ahead = {pid}, list(blocking.get(pid, ()))
    while ahead:
        each = ahead.pop(0)
        if each not in seen:
            seen.add(each)
            yield each
            ahead += blocking.get(each, ())
