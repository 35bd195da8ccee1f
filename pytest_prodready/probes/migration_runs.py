"""Run one step of a migration beside readers and writers, and see who waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.migration_ddl import Telling, Told
from pytest_prodready.probes.migration_load import CANARY, ROWS, Load, Loop, OpenTransaction, worst
from pytest_prodready.probes.migration_tables import OURS, Addressed, Connection, Stand, addressed, stand
from pytest_prodready.probes.migration_traffic import LockHeld, Run, Stall
from pytest_prodready.probes.migration_watch import NOT_AT_ALL, Under, Watch, Watched

CONTROL_S = 0.6
OPEN_S = 2.0  # that a step is let wait for a session idle in transaction
PRINTED = 2000


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that a step touches, by oid: their rows, and those that clients write as well."""

    rows: Mapping[int, int]
    written: Sequence[int]


@dataclass(frozen=True, slots=True)
class Worked:
    """One run of a step, and what it takes to read what the step has defined."""

    run: Run
    before: Stand
    after: Stand
    told: Told
    under: tuple[Under, ...]


def beside_traffic(
    database: Database, step: Callable[[], Ran], tables: Tables, *, left_open: bool = False
) -> Worked:
    """Run the step on this database, which it changes, while others read and write its tables.

    With `left_open` it meets a session that has worked on them and doesn't commit.
    """
    connect, telling = database.superuser, Telling(database)
    with connect() as admin, ExitStack() as stack:
        telling.switch_on(admin)
        admin.execute(CANARY)
        canary = _oid(admin, f"{OURS}.canary")
        before = stand(admin)
        open_rows = [how for each in tables.written if (how := _row_of(admin, each)).rows]
        load = stack.enter_context(Load(connect, tuple(tables.rows), tables.written, canary))
        wait_until(time.monotonic() + CONTROL_S)
        control = load.lap()
        watch = stack.enter_context(Watch(connect, tuple(tables.rows)))
        waiting = OpenTransaction(connect, open_rows, OPEN_S, watch.first_wait)
        if left_open:
            stack.enter_context(waiting)
        ended = step()
        stack.close()
        after = stand(admin)
    told, run = telling.told(), _as_run(ended, load, control, watch, before)
    return Worked(
        run=replace(run, open_s=round(waiting.held_s, 3), doubt=run.doubt or told.doubt),
        before=before,
        after=after,
        told=told,
        under=tuple(watch.seen.under.values()),
    )


def _as_run(ended: Ran, load: Load, control: Mapping[str, Loop], watch: Watch, before: Stand) -> Run:
    seen = load.lap()
    return Run(
        status=ended.status,
        seconds=round(ended.seconds, 3),
        printed=ended.printed[-PRINTED:],
        reads=_stall(load, seen, watch.seen, before, writes=False),
        writes=_stall(load, seen, watch.seen, before, writes=True),
        canary_ms=load.of_canary(seen).longest_ms,
        control_ms=worst(tuple(control.values())).longest_ms,
        gap_ms=round(watch.seen.gap_ms, 1),
        locks=tuple(
            LockHeld(before.tables[each.table].name, each.mode, each.waited_ms, each.held_ms)
            for each in watch.seen.locks()
            if each.table in before.tables
        ),
        doubt=f"the locks could not be watched: {watch.failed}" if watch.failed else "",
    )


def _stall(load: Load, seen: Mapping[str, Loop], watched: Watched, before: Stand, *, writes: bool) -> Stall:
    """The longest wait of the readers, or of the writers, and what of it was the migration's."""
    loop, chosen = load.of(seen, writes=writes), load.chosen(writes=writes)
    waits = [(watched.waits[each.name], each.table) for each in chosen if each.name in watched.waits]
    waited, table = max(waits, key=lambda each: each[0].milliseconds, default=(NOT_AT_ALL, 0))
    return Stall(
        statements=loop.statements,
        longest_ms=loop.longest_ms,
        behind_ms=round(waited.milliseconds, 1),
        queued=waited.queued,
        behind=waited.statement,
        table=before.tables[table].name if table else "",
        errors=loop.errors,
    )


def _row_of(connection: Connection, oid: int) -> Addressed:
    found = connection.execute("SELECT %s::oid::regclass::text", (oid,)).fetchone()
    assert found is not None
    return addressed(connection, oid, found[0], ROWS)


def _oid(connection: Connection, name: str) -> int:
    found = connection.execute("SELECT %s::regclass::oid::bigint", (name,)).fetchone()
    assert found is not None
    return int(found[0])
