"""Every revision up, down and up again, with rows in the tables; and all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.errors import ConfigError
from pytest_prodready.probes.migration_history import History
from pytest_prodready.probes.migration_models import Models, models_beside
from pytest_prodready.probes.migration_rows import Loss, lost_downwards, lost_upwards
from pytest_prodready.probes.migration_seed import Seeded, seeded
from pytest_prodready.probes.migration_state import State, Watched
from pytest_prodready.probes.migration_tool import Tool, run_command, stepping, tool_for
from pytest_prodready.probes.schema import SchemaDifference, schema_differences
from pytest_prodready.settings import MigrationSettings, Settings

MOST_STEPS = 1000  # back, where revisions have no names
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Turn:
    """A command, and what the database was like afterwards, against what it should have been like."""

    ran: Ran
    differences: tuple[SchemaDifference, ...] = ()
    losses: tuple[Loss, ...] = ()  # of what there is room for
    dropped: tuple[Loss, ...] = ()  # together with the table or column
    changed: bool = True  # whether the catalogue is another than before the command
    added: int = 0  # rows more than before the command; below 0: less
    at: Ran | None = None  # where the tool then says that the database is; None: it wasn't asked


@dataclass(frozen=True, slots=True)
class Step:
    """One revision, or all of them: up, down and up again; None: it didn't come that far."""

    revision: str
    before: str  # empty: an empty database
    up: Turn
    down: Turn | None = None
    again: Turn | None = None
    rows: int = 0  # that were there above
    below: int = 0  # rows that the upgrade met
    at: Ran | None = None  # where the tool said that the database was before all this


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """What the migrations do to an empty database, one by one and all at once."""

    history: History
    steps: tuple[Step, ...] = ()
    whole: Step | None = None
    twice: Turn | None = None  # the upgrade where there is nothing to do
    check: Ran | None = None  # of the service's models
    models: Models | None = None  # what it doesn't see of them; None: it failed, or they aren't known
    not_filled: tuple[str, ...] = ()
    seeded: Seeded | None = None  # None: there is no seed, or the newest revision wasn't reached
    with_seed: Step | None = None  # the newest revision with the rows of the seed alone
    elsewhere: tuple[SchemaDifference, ...] = ()  # the steps by files, against the upgrade by the command
    doubt: str = ""  # why nothing was tried


def round_trips(environment: Environment, settings: Settings, progress: Progress) -> RoundTrips:
    """Migrate empty databases beside the service's, back and forth."""
    migration = settings.migration
    with environment.blank("migration") as beside:
        steps = stepping(environment, beside, migration, progress)
        tool = tool_for(environment, beside, migration, progress) if migration.by_both else steps
        history = steps.history()
        if history.doubt or len(history.heads) > 1:
            return RoundTrips(history, doubt=history.doubt or "there is no single newest revision")
        _check_declared(migration, history)
        trip = _Trip(tool, environment, beside, migration, progress)
        found = trip.whole(RoundTrips(history))
        newest = trip.watched.state().schema
    left = history.newest(migration.steps) if steps.steps_by_name else ()
    while left and found.whole is not None and found.whole.up.ran.succeeded:
        with _stepped(environment, migration, progress) as trip:
            done = trip.steps(left)
            if migration.by_both and len(done) == len(left) and _arrived(done[-1]):
                found = replace(found, elsewhere=schema_differences(newest, trip.watched.state().schema))
        not_filled = tuple(dict.fromkeys((*found.not_filled, *trip.watched.not_filled)))
        found = replace(found, steps=(*found.steps, *done), not_filled=not_filled)
        left = left[len(done) :] if done[-1].up.ran.succeeded else ()
    if found.seeded is None or not found.seeded.useful or not _both_ways(found):
        return found
    with _stepped(environment, migration, progress, seeds=True) as trip:
        return replace(found, with_seed=trip.steps(history.newest(1))[-1])


@contextmanager
def _stepped(
    environment: Environment, migration: MigrationSettings, progress: Progress, *, seeds: bool = False
) -> Iterator[_Trip]:
    """One more empty database, for steps."""
    with environment.blank("migration") as beside:
        tool = stepping(environment, beside, migration, progress)
        yield _Trip(tool, environment, beside, migration, progress, seeds=seeds)


class _Trip:
    """The ways that one database goes, with rows made up, or with those of the seed alone."""

    def __init__(  # noqa: PLR0913 (handed on)
        self,
        tool: Tool,
        environment: Environment,
        beside: Beside,
        settings: MigrationSettings,
        progress: Progress,
        *,
        seeds: bool = False,
    ) -> None:
        self.tool = tool
        self.watched = Watched(beside.database, settings)
        self._settings, self._progress, self._seeds = settings, progress, seeds
        self._seed = partial(run_command, environment, beside, settings, "seed")
        self._models = partial(models_beside, environment, beside, settings)

    def whole(self, found: RoundTrips) -> RoundTrips:
        """All revisions at once: up, up where there is nothing to do, down, and up again."""
        self._progress("all revisions at once: up, down and up again")
        empty, at = self.watched.state(), self.tool.current()
        up = self._upwards(self.tool.up, empty)
        step = Step(next(iter(found.history.heads), ""), "", up, at=at)
        if not up.ran.succeeded:
            return replace(found, whole=step)
        found = replace(found, seeded=self._seeded())
        full = self.watched.filled()
        twice = self._downwards(self.tool.up, full, full, full)
        check = self.tool.check()
        models = self._models() if check is not None and check.succeeded else None
        found = replace(found, twice=twice, check=check, models=models)
        step = replace(step, rows=full.total)
        if self.tool.goes_back and not self._settings.irreversible:
            step = self._back(step, self._all_the_way_down, empty, full, "")
        return replace(found, whole=step, not_filled=tuple(self.watched.not_filled))

    def steps(self, revisions: tuple[tuple[str, str], ...]) -> tuple[Step, ...]:
        """These revisions one by one, as far as the database follows."""
        first, done = revisions[0][0], []
        if first:
            ran = self.tool.up(first)
            if not ran.succeeded:
                return (Step(first, "", Turn(ran)),)
        for before, revision in revisions:
            self._progress(f"revision {revision}: up, down and up again")
            done.append(self._step(before, revision))
            if not _arrived(done[-1]):
                break
        return tuple(done)

    def _step(self, before: str, revision: str) -> Step:
        below = self.watched.state() if self._seeds else self.watched.filled()
        at = self.tool.current()
        up = self._upwards(lambda: self.tool.up(revision), below)
        step = Step(revision, before, up, at=at, below=below.total)
        if not up.ran.succeeded:
            return step
        above = self._above()
        step = replace(step, rows=above.total)
        if not self.tool.goes_back or revision in self._settings.irreversible:
            return step
        return self._back(step, lambda: self.tool.down(before), below, above, revision)

    def _above(self) -> State:
        """What there is above, with further rows."""
        if not self._seeds:
            return self.watched.filled()
        self._seeded()
        return self.watched.state()

    def _seeded(self) -> Seeded | None:
        """Run the service's seed, where it has one."""
        seed = self._settings.seed
        if seed is None:
            return None
        self._progress("running the seed")
        return seeded(lambda: self._seed(seed), self.watched.state)

    def _back(self, step: Step, down: Callable[[], Ran], below: State, above: State, revision: str) -> Step:
        step = replace(step, down=self._downwards(down, below, above, above))
        if step.down is None or not step.down.ran.succeeded:
            return step
        return replace(step, again=self._upwards(lambda: self.tool.up(revision), self.watched.state(), above))

    def _upwards(self, run: Callable[[], Ran], now: State, wanted: State | None = None) -> Turn:
        """An upgrade: rows stay, and where it has been before, the catalogue is as it was there."""
        ran = run()
        after = self.watched.state()
        return Turn(
            ran,
            schema_differences(wanted.schema, after.schema) if wanted is not None else (),
            tuple(each for each in lost_upwards(now.rows, after.rows) if not each.dropped),
            tuple(each for each in lost_upwards(now.rows, after.rows) if each.dropped),
            after.schema != now.schema,
            after.total - now.total,
            self.tool.current() if ran.succeeded else None,
        )

    def _downwards(self, run: Callable[[], Ran], below: State, above: State, now: State) -> Turn:
        """A downgrade: the catalogue is as it was below, and so are the rows."""
        ran = run()
        after = self.watched.state()
        return Turn(
            ran,
            schema_differences(below.schema, after.schema),
            lost_downwards(below.rows, above.rows, after.rows),
            tuple(each for each in lost_upwards(above.rows, after.rows) if each.dropped),
            after.schema != now.schema,
            after.total - now.total,
            self.tool.current() if ran.succeeded else None,
        )

    def _all_the_way_down(self) -> Ran:
        """To before the first revision: by its name, or step by step until nothing changes any more."""
        if self.tool.steps_by_name:
            return self.tool.down()
        before = self.watched.state().schema
        for _ in range(MOST_STEPS):
            ran = self.tool.down_once()
            now = self.watched.state().schema
            if not ran.succeeded or now == before:
                break
            before = now
        return ran


def _check_declared(settings: MigrationSettings, history: History) -> None:
    """Raise ConfigError for a revision that is declared irreversible and isn't there."""
    for revision in settings.irreversible:
        if history.revisions and not history.older and revision not in history.revisions:
            near = get_close_matches(revision, history.revisions, n=1, cutoff=0.4)
            raise ConfigError(
                "There is no such revision.",
                value=revision,
                source="[migration] irreversible",
                remedy=f"did you mean {near[0]}?" if near else f"the newest is {history.revisions[-1]}",
            )


def _both_ways(found: RoundTrips) -> bool:
    """Whether the newest revision stands on another one, and can be taken back and repeated."""
    newest = found.steps[-1] if found.steps else None
    return (
        newest is not None
        and newest.revision in found.history.heads
        and newest.before != ""
        and newest.again is not None
        and newest.again.ran.succeeded
    )


def _arrived(step: Step) -> bool:
    """Whether the database is where the next revision begins."""
    if not step.up.ran.succeeded or (step.again is not None and not step.again.ran.succeeded):
        return False
    return step.down is None or step.down.ran.succeeded or not step.down.changed
