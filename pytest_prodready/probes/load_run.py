"""Load the service stage by stage, watch everything meanwhile, and end early what is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError, ServerError
from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.generators import ONE, Generators
from pytest_prodready.probes.drill_ledger import ReadBack
from pytest_prodready.probes.drill_scene import Scene, has_ended, renew, steady_or_renewed
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.load import (
    AGAIN,
    SELF_TEST,
    WARM_UP,
    Counter,
    Load,
    Second,
    Stage,
    Topology,
)
from pytest_prodready.probes.load_at_work import at_work
from pytest_prodready.probes.load_disturbed import Disturbance, few_sessions
from pytest_prodready.probes.load_generator import Generating, without_locust
from pytest_prodready.probes.load_health import generator_of, with_figures, with_health
from pytest_prodready.probes.load_knee import knee
from pytest_prodready.probes.load_ledger import ledger
from pytest_prodready.probes.load_limits import FAILURES, Counted, doubts, firm, missed
from pytest_prodready.probes.load_lost import GeneratorLost, given_up
from pytest_prodready.probes.load_plan import mix, multiples
from pytest_prodready.probes.load_progress import Progress
from pytest_prodready.probes.load_recovery import settled_after_s
from pytest_prodready.probes.load_servers import risen
from pytest_prodready.probes.load_service import last_words_of, log_errors, log_mark, same_process
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.probes.load_users import Users
from pytest_prodready.probes.load_watch import Watch, counters
from pytest_prodready.probes.load_workers import Workers, gathered
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import LoadSettings, Settings

POLL_S = 0.1
BEYOND_S = 10.0  # after the last deadline the generator is given up
ATTEMPTS = 2
UNWATCHED = (SELF_TEST, WARM_UP, AGAIN)  # no climb ends in them


def load(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    progress: Callable[[str], None],
    generators: Generators = ONE,
) -> Load:
    """All stages; once more where the target was missed and the machine may be why."""
    limits = settings.load
    nothing = Load(limits.expected_rps or 0.0, limits.multiplier)
    if doubt := without_locust():
        return replace(nothing, lacking=doubt)
    scene = Scene(environment, traffic, settings, progress)
    with ExitStack() as held:
        try:
            workers = held.enter_context(gathered(environment.run, generators, progress))
        except ServerError as failure:
            return replace(nothing, doubt=failure.message)
        seen = _tried(scene, workers)
    if has_ended(scene):
        renew(scene)
    return seen


def _tried(scene: Scene, workers: Workers | None) -> Load:
    limits = scene.settings.load
    for attempt in range(1, ATTEMPTS + 1):
        scene.progress("load: waiting for the steady state")
        if doubt := steady_or_renewed(scene):
            doubt = f"the service was not steady before the load: {doubt}"
            return Load(limits.expected_rps or 0.0, limits.multiplier, doubt=doubt)
        seen = replace(_once(scene, workers), attempts=attempt)
        if seen.doubt or firm(seen, limits) or not missed(seen, limits) or not doubts(seen.generator):
            break  # what no machine can be blamed for isn't tried away
        if workers is not None and workers.over:
            break
        scene.progress(f"load: the target was missed, but {doubts(seen.generator)}: once more")
    return seen


def _once(scene: Scene, workers: Workers | None) -> Load:
    settings, environment = scene.settings, scene.environment
    limits = settings.load
    process = environment.application.pid if environment.application else None
    logged, before = log_mark(environment), counters(environment)
    watch = Watch(environment)
    lost = ""
    with watch.watching():
        with at_work(scene, workers) as (made, generator):
            elsewhere = workers is not None and workers.elsewhere
            run = _Run(scene, made, generator, watch, elsewhere)
            try:
                run.follow()
            except GeneratorLost as failure:
                lost = failure.message
            except ProdreadyError as failure:
                return Load(limits.expected_rps or 0.0, limits.multiplier, doubt=failure.message)
        left = watch.left()
    topology = Topology() if workers is None else workers.topology
    rise = risen(before, counters(environment))
    disturbances = run.disturbances(rise)
    stages, seconds = run.stages(disturbances), run.seconds()
    self_test = run.digest.least_achieved(SELF_TEST, topology.workers)
    found = Load(
        expected_rps=limits.expected_rps or 0.0,
        multiplier=limits.multiplier,
        stages=stages,
        seconds=seconds,
        settled=run.settled(disturbances),
        generator=generator_of(stages, seconds, run.healths, limits.unnoticed_ms, self_test),
        ended=run.ended,
        ended_in=run.ended_in,
        ended_for=run.ended_for,
        unfinished=run.unfinished,
        pool=watch.looks if watch.sees_pool else None,
        usage=watch.usage or None,
        counters=rise,
        **watch.of_servers(stages),
        rested=next(iter(watch.looks), None),
        left=left,
        log_errors=log_errors(environment, logged),
        same_process=None if process is None else same_process(environment, process),
        died_in=run.died_in,
        last_words=last_words_of(environment) if has_ended(scene) else "",
        users=made.users,
        mix=mix(made),
        topology=topology,
        workers=() if workers is None else with_figures(workers.each, run.healths),
    )
    found = replace(found, ledger=_ledger(scene, run), knee=knee(found.climb), **run.of_locustfile(stages))
    return replace(found, doubt=given_up(found, lost)) if lost else found


@dataclass
class _Run:
    """One run under way."""

    scene: Scene
    plan: Plan
    generator: Generating
    watch: Watch
    elsewhere: bool  # the generator is on hosts that aren't looked at
    ended: str = ""
    ended_in: str = ""
    ended_for: str = ""
    died_in: str = ""
    unfinished: int = 0
    _began: float = 0.0
    _done: bool = False
    healths: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = self.limits
        self.digest = Digest(self.plan, multiples(limits), limits.unnoticed_ms / 1000)
        self.users = Users(self.plan, self.digest) if isinstance(self.plan, LocustfilePlan) else None
        self._progress = Progress(self.plan)
        self._counted = [Counted(stage.planned) for stage in self.plan.stages]

    @property
    def limits(self) -> LoadSettings:
        """[load]."""
        return self.scene.settings.load

    def follow(self) -> None:
        """Until the generator is done, the service has ended, or all deadlines have passed."""
        self._began, told = self.generator.began()
        self.watch.begin(self._began)
        self._progress.begin(self._began)
        for each in told:
            self._take(each)
        length = sum(stage.seconds for stage in self.plan.stages)
        over = self._began + length + self.plan.deadline_s + BEYOND_S
        while not wait_until(time.monotonic() + POLL_S, lambda: self._done) and time.monotonic() < over:
            running = self.generator.alive
            for each in self.generator.news():
                self._take(each)
            self._end_what_is_lost()
            self._end_what_sends_nothing()
            self._tell()
            if has_ended(self.scene):
                self.died_in = self._stage
                self._end("the service's process had ended", FAILURES)
                return
            if not running and not self._done:
                raise GeneratorLost(self.generator.untimely_end)
        if not self._done:
            self._end("the generator was not done when all deadlines had passed", FAILURES)

    def stages(self, disturbances: Sequence[Disturbance]) -> tuple[Stage, ...]:
        """Each stage, with what the machine may have added where all are known that could have waited."""
        seen: Digest | Users = self.digest if self.users is None else self.users
        return seen.stages(disturbances)

    def settled(self, disturbances: Sequence[Disturbance]) -> Stage | None:
        """The usual load after the peak, from when it has to be as before."""
        number = next(n for n, stage in enumerate(self.plan.stages) if stage.name == AGAIN)
        late = self.digest.since(number, settled_after_s(self.limits)).stages(disturbances)
        return next(iter(late), None)

    def disturbances(self, rise: Sequence[Counter]) -> Sequence[Disturbance]:
        """What the machine may have added to any request; empty where not all can be known."""
        sent = zip(self.plan.stages, self.digest.samples, strict=True)
        requests = sum(len(found) for stage, found in sent if stage.name != SELF_TEST)
        known = few_sessions(rise, requests) and not self.elsewhere
        return self.watch.disturbances if known else ()

    def seconds(self) -> tuple[Second, ...]:
        """Each second of the run, with how service and machine fared in it."""
        seconds = self.digest.seconds()
        if self.users is not None:
            seconds = self.users.seconds(seconds)
        return with_health(seconds, self.watch.usage, self.watch.machine)

    def of_locustfile(self, stages: tuple[Stage, ...]) -> dict[str, Any]:
        """What is only known of a locustfile."""
        if self.users is None or self.limits.locustfile is None:
            return {}
        return {
            "locustfile": self.limits.locustfile.name,
            "shortfall": self.users.shortfall(stages, self.healths, self.limits.failures),
            "remarks": self.users.remarks(),
        }

    def _take(self, told: Sample | dict[str, Any]) -> None:
        if isinstance(told, Sample):
            self.digest.add(told)
            self._counted[told.stage].add(told, self.limits)
            self._progress.add(told, time.monotonic())
        elif "error" in told:
            self.digest.errors.append(told["error"])
        elif "health" in told:
            self.healths.append(told["health"])
        elif "unfinished" in told:
            self.unfinished = told["unfinished"]
        elif "done" in told:
            self._done = True
        elif self.users is not None:
            self.users.take(told)

    def _end_what_sends_nothing(self) -> None:
        """Raise ProdreadyError where a locustfile has had its time and nothing comes of it."""
        since_s = time.monotonic() - self._began
        if self.users is not None and (silence := self.users.silence(self.healths, since_s)):
            raise ProdreadyError(silence)

    def _end_what_is_lost(self) -> None:
        if self.ended:
            return
        for number, stage in enumerate(self.plan.stages):
            if stage.name not in UNWATCHED:
                what, why = self._counted[number].lost(self.limits)
                if why:
                    self._end(why, what, stage.name)
                    self.generator.end_climb()
                    self._progress.skip_climb(time.monotonic())
                    return

    def _end(self, why: str, what: str, stage: str = "") -> None:
        if not self.ended:
            self.ended, self.ended_for = why, what
            self.ended_in = stage or self._stage
            self.scene.progress(f"load: ended in stage {self.ended_in}: {why}")

    @property
    def _stage(self) -> str:
        """The latest that anything was heard of."""
        return self.plan.stages[self._progress.stage].name

    def _tell(self) -> None:
        """Every second: stage, rate, p95, errors, time left."""
        if line := self._progress.line(time.monotonic(), sum(each.failed for each in self._counted)):
            self.scene.progress(line)


def _ledger(scene: Scene, run: _Run) -> Any:
    writes = scene.settings.writes
    if writes is None or run.users is not None:
        return None
    scene.progress("load: reading the writes back")
    samples = [each for found in run.digest.samples for each in found]
    service = [each for each in samples if run.plan.stages[each.stage].name != SELF_TEST]
    return ledger(service, run.plan, ReadBack(scene.traffic, writes), scene.environment.database)
