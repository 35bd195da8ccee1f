"""Deploys that go wrong: an upgrade that fails half way and is run again, and two upgrades at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration_history import History
from pytest_prodready.probes.migration_hooks import counted, failing, meeting
from pytest_prodready.probes.migration_state import State, Watched
from pytest_prodready.probes.migration_tool import tool_for
from pytest_prodready.probes.schema import SchemaDifference, schema_differences
from pytest_prodready.settings import MigrationSettings, Settings

FAILED_STEPS = 5  # the newest ones; whoever has the older ones behind them won't meet their failure
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RowsDifference:
    """A table in which migrations have left other rows than they should, by their number."""

    table: str
    wanted: int
    found: int

    def __str__(self) -> str:
        return f"{self.found} instead of {self.wanted} rows in {self.table}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An upgrade that was made to fail, and the next try."""

    revision: str  # empty: all at once
    commands: int  # that define something; the last one was made to fail
    failed: Ran
    half_done: tuple[SchemaDifference, ...]  # that the failed one has left
    again: Ran
    differences: tuple[SchemaDifference, ...]  # after that, against an upgrade without failure
    rows: tuple[RowsDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Collision:
    """Two upgrades at once."""

    before: str  # the revision where both began; empty: an empty database
    ran: tuple[Ran, ...]
    differences: tuple[SchemaDifference, ...]  # against a single one
    rows: tuple[RowsDifference, ...] = ()
    again: Ran | None = None  # one more upgrade, where none of them succeeded


@dataclass(frozen=True, slots=True)
class Deploys:
    """What happens to the schema when deploys go wrong."""

    failures: tuple[Failure, ...] = ()
    without_commands: tuple[str, ...] = ()  # revisions that define nothing, so that nothing could fail
    collisions: tuple[Collision, ...] = ()
    doubt: str = ""  # why nothing was tried


@dataclass(frozen=True, slots=True)
class _Stage:
    """One step of the way up, as it is without trouble."""

    before: str
    revision: str
    commands: int
    below: State
    above: State


def deploys(environment: Environment, settings: Settings, progress: Progress) -> Deploys:
    """Upgrade empty databases while things go wrong."""
    return _Deploys(environment, settings.migration, progress).all()


class _Deploys:
    def __init__(self, environment: Environment, settings: MigrationSettings, progress: Progress) -> None:
        self._environment, self._settings, self._progress = environment, settings, progress

    def all(self) -> Deploys:
        stages = self._stages()
        if isinstance(stages, Deploys):
            return stages
        able = [stage for stage in stages if stage.commands]
        found = Deploys(without_commands=tuple(each.revision for each in stages if not each.commands))
        found = replace(found, failures=self._failures(able))
        if self._settings.runs_itself:
            newest = stages[-1].above
            starts = dict.fromkeys(("", stages[-1].before))
            found = replace(found, collisions=tuple(self._collision(each, newest) for each in starts))
        return found

    def _stages(self) -> list[_Stage] | Deploys:
        """The way up without trouble, the newest revisions one by one where that can be."""
        found: list[_Stage] = []
        with self._environment.blank("migration") as beside:
            tool = tool_for(self._environment, beside, self._settings, self._progress)
            watched, history = Watched(beside.database, self._settings), tool.history()
            if history.doubt or len(history.heads) > 1:
                return Deploys(doubt=history.doubt or "there is no single newest revision")
            for before, revision in _pairs(history, by_name=tool.steps_by_name):
                if before and not found and not (ran := tool.up(before)).succeeded:
                    return Deploys(doubt=f"the upgrade to {before} {ran.ended}: {ran.telling}")
                below = watched.state()
                with counted(beside.database) as count:
                    ran = tool.up(revision)
                if not ran.succeeded:
                    return Deploys(doubt=f"the upgrade to {revision or 'head'} {ran.ended}: {ran.telling}")
                found.append(_Stage(before, revision, count.commands, below, watched.state()))
        return found

    def _failures(self, stages: list[_Stage]) -> tuple[Failure, ...]:
        """Each step fails at its last command, and is run again."""
        found: list[Failure] = []
        if not stages:
            return ()
        with self._environment.blank("migration") as beside:
            tool = tool_for(self._environment, beside, self._settings, self._progress)
            watched, at = Watched(beside.database, self._settings), ""
            for stage in stages:
                self._progress(f"revision {stage.revision or 'all at once'}: failing, and run again")
                if stage.before != at:
                    tool.up(stage.before)
                with failing(beside.database, stage.commands):
                    failed = tool.up(stage.revision)
                half_done = schema_differences(stage.below.schema, watched.state().schema)
                again = tool.up(stage.revision)
                differences, rows = _against(stage.above, watched.state())
                found.append(
                    Failure(stage.revision, stage.commands, failed, half_done, again, differences, rows)
                )
                at = stage.revision
                if not again.succeeded:
                    break
        return tuple(found)

    def _collision(self, before: str, newest: State) -> Collision:
        """Two upgrades to the newest revision begin at the same moment."""
        self._progress(f"two upgrades at once from {before or 'an empty database'}")
        with self._environment.blank("migration") as beside:
            watched = Watched(beside.database, self._settings)
            tools = [tool_for(self._environment, beside, self._settings, self._progress) for _ in "12"]
            if before:
                tools[0].up(before)
            with meeting(beside.database), ThreadPoolExecutor(len(tools)) as threads:
                ran = tuple(threads.map(lambda tool: tool.up(), tools))
            again = None if any(each.succeeded for each in ran) else tools[0].up()
            differences, rows = _against(newest, watched.state())
        return Collision(before, ran, differences, rows, again)


def _against(wanted: State, found: State) -> tuple[tuple[SchemaDifference, ...], tuple[RowsDifference, ...]]:
    """What is other than it should be: in the catalogue, and in the numbers of rows of the tables in both."""
    both = wanted.rows.keys() & found.rows.keys()
    numbers = [(name, wanted.rows[name].rows, found.rows[name].rows) for name in sorted(both)]
    rows = tuple(RowsDifference(*each) for each in numbers if each[1] != each[2])
    return schema_differences(wanted.schema, found.schema), rows


def _pairs(history: History, *, by_name: bool) -> tuple[tuple[str, str], ...]:
    """The newest revisions with those before them; or all at once."""
    return (history.newest(FAILED_STEPS) if by_name else ()) or (("", ""),)
