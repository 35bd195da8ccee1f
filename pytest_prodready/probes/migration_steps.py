"""Each of the newest steps of a migration, on a database with rows that others work on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.environment.rows import NotGenerated, generate
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.migration_ddl import Telling, Told, switch_off
from pytest_prodready.probes.migration_defined import defined
from pytest_prodready.probes.migration_runs import Tables, Worked, beside_traffic
from pytest_prodready.probes.migration_squawk import Remarks, find_squawk, remarks, squawk_version
from pytest_prodready.probes.migration_state import of_the_tool
from pytest_prodready.probes.migration_tables import Stand, declared_rows, rows_of, stand, used
from pytest_prodready.probes.migration_tool import Tool, stepping
from pytest_prodready.probes.migration_traffic import Defined, Step, Touched, Traffic
from pytest_prodready.settings import Settings

Progress = Callable[[str], None]
MOST_ROWS = 100_000
ENDED_WITHIN_S = 10.0
READS = re.compile(r"\s*(select|show)\b", re.IGNORECASE)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a step does on empty tables: which it touches, and what it sends."""

    ran: Ran
    touched: frozenset[int]
    told: Told


def traffic(environment: Environment, settings: Settings, progress: Progress) -> Traffic:
    """Run each of the newest steps three times: on empty tables, and twice on full ones that are in use."""
    database, program = environment.database, find_squawk()
    assert database is not None
    found = Traffic(server=database.version, squawk=squawk_version(program))
    with environment.blank("steps") as base:
        tool = stepping(environment, base, settings.migration, progress)
        history = tool.history()
        newest = history.newest(settings.migration.traffic_steps)
        if history.doubt or not newest or not tool.steps_by_name:
            return replace(found, doubt=history.doubt or "its steps can't be told apart")
        found = replace(found, left_out=history.older + len(history.revisions) - len(newest))
        if (first := newest[0][0]) and not (ran := tool.up(first)).succeeded:
            return replace(found, doubt=f"{first} can't be reached on an empty database: it {ran.ended}")
        steps = _Steps(environment, settings, tool, base, progress)
        return replace(found, steps=tuple(steps.all(newest, program)))


class _Steps:
    """The steps of one migration, each on the database that the one before has left."""

    def __init__(
        self, environment: Environment, settings: Settings, tool: Tool, base: Beside, progress: Progress
    ) -> None:
        self._environment, self._settings = environment, settings
        self._tool, self._base, self._progress = tool, base, progress

    def all(self, newest: Sequence[tuple[str, str]], squawk: str | None) -> Iterator[Step]:
        """Each of these revisions, with the one before it."""
        for at, revision in newest:
            self._progress(f"migration {revision}: looking at what it touches")
            _await_rest(self._base.database)
            with self._environment.copy_of(self._base, "before") as before:
                looked = self._look(revision)
                if not looked.ran.succeeded:
                    yield Step(revision, doubt=f"it {looked.ran.ended} on empty tables: {_last(looked.ran)}")
                    return
                step = Step(revision, statements=looked.told.statements, doubt=looked.told.doubt)
                if squawk is not None:
                    step = replace(step, remarks=self._remarks(squawk, looked.told))
                yield step if step.doubt else self._on_rows(step, before, at, looked.touched)

    def _look(self, revision: str) -> Looked:
        """Run a step where nobody is, on tables as earlier steps have left them."""
        database = self._base.database
        telling = Telling(database)
        with database.superuser() as admin:
            telling.switch_on(admin)
            before, scans = stand(admin), used(admin)
            ran = self._tool.up(revision)
            _await_rest(database, but=1)
            told, now = telling.told(), used(admin)
            switch_off(admin)
        locked = {table for each in told.ddl for table, _ in each.locks}
        worked_on = {table for table, count in now.items() if count > scans.get(table, count)}
        touched = (locked | worked_on) & before.tables.keys() | _named(before, told.statements)
        limits = self._settings.migration
        # Nobody but the tool uses its own.
        used_by_others = {oid for oid in touched if not of_the_tool(before.tables[oid].name, limits)}
        return Looked(ran, frozenset(used_by_others), told)

    def _remarks(self, squawk: str, told: Told) -> Remarks:
        version = self._base.database.version
        return remarks(squawk, told.statements, version, self._environment.folder)

    def _on_rows(self, step: Step, before: Beside, at: str, touched: frozenset[int]) -> Step:
        """The step beside traffic, where it touches tables that can have rows."""
        try:
            rows, filled = self._fill(step.revision, before.database, touched)
        except NotGenerated as error:
            return replace(step, doubt=f"{error.problem} {error.remedy}")
        if not filled:
            return step
        tables = Tables(rows, filled)
        self._progress(f"migration {step.revision}: beside readers and writers")
        with self._environment.copy_of(before, "busy") as busy:
            worked = beside_traffic(busy.database, self._up(busy, at, step.revision), tables)
        self._progress(f"migration {step.revision}: behind a session left idle in its transaction")
        again = self._up(before, at, step.revision)
        behind = beside_traffic(before.database, again, tables, left_open=True)
        names = worked.before.tables
        return replace(
            step,
            touched=tuple(Touched(names[oid].name, number, oid in filled) for oid, number in rows.items()),
            defined=_defined(worked, behind, rows),
            busy=worked.run,
            behind=behind.run,
        )

    def _up(self, on: Beside, at: str, revision: str) -> Callable[[], Ran]:
        """What runs the step on another database, which is at the revision before it."""
        tool = stepping(self._environment, on, self._settings.migration, self._progress, at)
        return lambda: tool.up(revision)

    def _fill(
        self, revision: str, database: Database, touched: frozenset[int]
    ) -> tuple[dict[int, int], tuple[int, ...]]:
        """Fill the empty ones of these tables; returns the rows of all, and which of them are ours.

        What earlier steps have put in stays as it is: a tool's own table of versions is among it.
        """
        with database.superuser() as admin:
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
        known = declared_rows(found.tables[oid].name, self._settings.explain.rows)
        return min(known or self._settings.migration.traffic_rows, MOST_ROWS)


def _named(before: Stand, statements: Sequence[str]) -> frozenset[int]:
    """The tables that a statement names: LOCK TABLE defines nothing, and leaves no count behind."""
    text = "\n".join(each for each in statements if not READS.match(each))
    words = frozenset(re.findall(r"[^\W\d][\w$]*", text.lower()))
    return frozenset(oid for oid, table in before.tables.items() if table.plain_name.lower() in words)


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
    with database.admin(database="postgres") as admin:

        def rests() -> bool:
            row = admin.execute(SESSIONS, (database.name,)).fetchone()
            return row is not None and row[0] <= but

        wait_until(time.monotonic() + ENDED_WITHIN_S, rests)


def _last(ran: Ran) -> str:
    """The last line that a command has printed."""
    return next((line.strip() for line in reversed(ran.printed.splitlines()) if line.strip()), "nothing said")
