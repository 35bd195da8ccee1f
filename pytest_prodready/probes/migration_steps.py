"""Each of the newest steps of a migration, on a database with rows that others work on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.rows import NotGenerated, generate
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.migration_ddl import Telling, Told, switch_off
from pytest_prodready.probes.migration_defined import defined
from pytest_prodready.probes.migration_runs import LONG_S, Ended, Worked, beside_traffic
from pytest_prodready.probes.migration_squawk import Remarks, find_squawk, remarks, squawk_version
from pytest_prodready.probes.migration_tables import Stand, rows_of, stand, used
from pytest_prodready.probes.migration_traffic import Defined, Step, Touched, Traffic
from pytest_prodready.settings import Settings

Progress = Callable[[str], None]
Upgrade = Callable[[Beside, str], Ended]
MOST_ROWS = 100_000
ENDED_WITHIN_S = 10.0
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a step does on empty tables: which it touches, and what it sends."""

    ended: Ended
    touched: frozenset[int]
    told: Told


class Steps:
    """Runs the steps of one migration, each three times: on empty tables, and twice beside traffic."""

    def __init__(
        self, environment: Environment, settings: Settings, upgrade: Upgrade, progress: Progress
    ) -> None:
        self._environment, self._settings = environment, settings
        self._upgrade, self._progress = upgrade, progress
        self._squawk = find_squawk()

    def run(self, revisions: tuple[str, ...]) -> Traffic:
        """What each of the newest of these revisions does; they come in the order of their application."""
        newest = revisions[-self._settings.migration.traffic_steps :]
        older = revisions[: -len(newest)]
        database = self._environment.database
        assert database is not None
        found = Traffic(left_out=len(older), server=database.version, squawk=squawk_version(self._squawk))
        with self._environment.blank("steps") as base:
            if older and (why := _failed(self._upgrade(base, older[-1]))):
                return replace(found, doubt=f"{older[-1]} can't be reached on an empty database: {why}")
            return replace(found, steps=tuple(self._each(base, newest)))

    def _each(self, base: Beside, revisions: tuple[str, ...]) -> Iterator[Step]:
        for revision in revisions:
            self._progress(f"migration {revision}: looking at what it touches")
            _await_rest(base.database)
            with self._environment.copy_of(base, "before") as before:
                looked = self._look(base, revision)
                if why := _failed(looked.ended):
                    yield Step(revision, doubt=f"it fails on empty tables: {why}")
                    return
                step = Step(revision, statements=looked.told.statements, remarks=self._remarks(looked.told))
                yield self._on_rows(step, before, looked.touched)

    def _look(self, base: Beside, revision: str) -> Looked:
        """Run a step where nobody is, on tables as earlier steps have left them."""
        database = base.database
        assert database.server is not None
        telling = Telling(database.server, database.name)
        with database.server.connect(database.name, timeout_s=LONG_S) as admin:
            telling.switch_on(admin)
            before, scans = stand(admin), used(admin)
            ended = self._upgrade(base, revision)
            _await_rest(database, but=1)
            told, now = telling.told(), used(admin)
            switch_off(admin)
        locked = {table for each in told.ddl for table, _ in each.locks}
        worked_on = {table for table, count in now.items() if count > scans.get(table, count)}
        return Looked(ended, frozenset((locked | worked_on) & before.tables.keys()), told)

    def _remarks(self, told: Told) -> Remarks:
        if self._squawk is None:
            return Remarks()
        database = self._environment.database
        assert database is not None
        return remarks(self._squawk, told.statements, database.version, self._environment.folder)

    def _on_rows(self, step: Step, before: Beside, touched: frozenset[int]) -> Step:
        """The step beside traffic, where it touches tables that can have rows."""
        try:
            rows, filled = self._fill(step.revision, before.database, touched)
        except NotGenerated as error:
            return replace(step, doubt=f"its tables can't be filled: {error.problem} {error.remedy}")
        if not filled:
            return step
        self._progress(f"migration {step.revision}: beside readers and writers")
        with self._environment.copy_of(before, "busy") as busy:
            worked = self._beside_traffic(busy, step.revision, rows, filled, left_open=False)
        self._progress(f"migration {step.revision}: behind a session left idle in its transaction")
        behind = self._beside_traffic(before, step.revision, rows, filled, left_open=True)
        return replace(
            step,
            touched=tuple(
                Touched(worked.before.tables[oid].name, number, oid in filled) for oid, number in rows.items()
            ),
            defined=_defined(worked, behind, rows),
            busy=worked.run,
            behind=behind.run,
        )

    def _fill(
        self, revision: str, database: Database, touched: frozenset[int]
    ) -> tuple[dict[int, int], tuple[int, ...]]:
        """Fill the empty ones of these tables; returns the rows of all, and which of them are ours.

        What earlier steps have put in stays as it is: a tool's own table of versions is among it.
        """
        server = database.server
        assert server is not None
        with server.connect(database.name, timeout_s=LONG_S) as admin:
            found = stand(admin)
            had = {oid: rows_of(admin, found.tables[oid].name) for oid in touched if oid in found.tables}
            empty = tuple(oid for oid, number in had.items() if number == 0 and found.tables[oid].takes_rows)
            if empty:
                self._progress(f"migration {revision}: filling {', '.join(found.named(frozenset(empty)))}")
                generate(admin, {found.tables[oid].name: self._wanted(found, oid) for oid in empty})
                admin.execute("VACUUM (ANALYZE)")
            rows = {oid: rows_of(admin, found.tables[oid].name) for oid in had}
        return {oid: number for oid, number in rows.items() if number}, empty

    def _wanted(self, found: Stand, oid: int) -> int:
        """How many rows a table gets: as many as production has, within bounds."""
        name = found.tables[oid].name
        declared = self._settings.explain.rows
        known = declared.get(name, declared.get(name.rpartition(".")[2]))
        return min(known or self._settings.migration.traffic_rows, MOST_ROWS)

    def _beside_traffic(
        self, on: Beside, revision: str, rows: Mapping[int, int], filled: tuple[int, ...], *, left_open: bool
    ) -> Worked:
        def step(_: Database) -> Ended:
            return self._upgrade(on, revision)

        return beside_traffic(on.database, step, rows, filled, left_open=left_open)


def _defined(busy: Worked, behind: Worked, rows: Mapping[int, int]) -> Defined:
    """What the step did beside traffic; what took its time in one run alone is the machine's."""
    first = defined(busy.before, busy.after, rows, busy.told.ddl, busy.under)
    if not behind.run.ran:
        return first
    again = defined(behind.before, behind.after, rows, behind.told.ddl, behind.under)
    seconds = {each.statement: each.seconds for each in again.meanwhile}
    both = tuple(
        replace(each, seconds=min(each.seconds, seconds[each.statement]))
        for each in first.meanwhile
        if each.statement in seconds
    )
    return replace(first, meanwhile=both)


def _await_rest(database: Database, but: int = 0) -> None:
    """Wait until nobody is connected but so many of ours: what sessions have done is counted at their end."""
    server = database.server
    assert server is not None
    with server.connect("postgres") as admin:

        def rests() -> bool:
            row = admin.execute(SESSIONS, (database.name,)).fetchone()
            return row is not None and row[0] <= but

        wait_until(time.monotonic() + ENDED_WITHIN_S, rests)


def _failed(ended: Ended) -> str:
    """How a command ended that didn't end well; empty else."""
    if ended.status == 0:
        return ""
    how = "it was still running" if ended.status is None else f"status {ended.status}"
    return f"{how}: {ended.printed.strip()[-300:]}"
