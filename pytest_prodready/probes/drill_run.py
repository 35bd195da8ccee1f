"""Run a drill: steady state, fault, heal, steady state; with everything watched all along."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.drill import IN_A_ROW, Backends, Drill, Ledger, Mark, Sent, first_of, last_words
from pytest_prodready.probes.drill_ledger import Journal
from pytest_prodready.probes.drill_rows import rows_with
from pytest_prodready.probes.drill_scene import (
    Scene,
    has_ended,
    renew,
    steady,
    steady_or_renewed,
)
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Answer
from pytest_prodready.probes.watching import every
from pytest_prodready.settings import Request

EVERY_S = 0.025  # of the schedule: RTO is known to 50 ms or better
HEALTH_EVERY_S = 0.1
BACKENDS_EVERY_S = 0.25
BEFORE_S = 1.0
AFTER_S = 1.0
CHECKS = ("liveness", "readiness")
LAST_LINES = 1000  # of a process that ended: below the error's own line may stand all that it knew

Marker = Callable[[str], None]


@dataclass(frozen=True)
class Fault:
    """What is broken, and for how long.

    `hold` breaks it on entering and mends it on leaving. Where it mends it within (a failover), it marks
    "healed" itself and `heals_inside` is set: everything is then watched and read back before leaving.
    """

    name: str
    words: str
    hold: Callable[[Marker], AbstractContextManager[object]]
    seconds: float
    recover_s: float  # how long recovery is waited for
    deadline_s: float  # of each request
    heals_inside: bool = False
    requests: tuple[Request, ...] = ()  # others than the declared traffic
    proxied: Proxied | None = None  # whose clients are counted: the database's unless given
    rows_of: Database | None = None  # where the ledger is read: the service's database unless given
    settled: Callable[[], bool] = lambda: True  # what else has to be so before service is recovered


@dataclass
class _Watched:
    """What is written down while a drill runs."""

    began: float
    marks: list[Mark] = field(default_factory=list)
    backends: list[Backends] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.began

    def mark(self, name: str) -> None:
        self.marks.append(Mark(name, round(self.now(), 4)))

    def has(self, name: str) -> bool:
        return any(mark.name == name for mark in self.marks)


def run_drill(scene: Scene, fault: Fault) -> Drill:
    """Break it, mend it, and tell everything that was seen."""
    nothing = Drill(fault.name, fault.words)
    scene.progress(f"{fault.name}: waiting for the steady state")
    if doubt := steady_or_renewed(scene):
        return replace(nothing, doubt=f"the service was not steady before the fault: {doubt}")
    journal = _journal(scene, fault)
    if journal is not None and (doubt := journal.try_one()):
        return replace(nothing, doubt=f"the service was not steady before the fault: {doubt}")
    process = _pid(scene)
    try:
        seen = _Run(scene, fault, journal).run()
    except ProdreadyError as failure:
        return replace(nothing, doubt=failure.problem)
    # Who did not recover while it was watched has had its time.
    unsteady = steady(scene, AFTER_S if seen.recovered_at_s() is None else None)
    seen = replace(
        seen,
        steady_after=not unsteady,
        unsteady=unsteady,
        same_process=None if process is None else process == _pid(scene) and _alive(scene),
        last_words="" if _alive(scene) else _last_words(scene),
    )
    if unsteady:
        renew(scene)
    return seen


class _Run:
    """One drill under way."""

    def __init__(self, scene: Scene, fault: Fault, journal: Journal | None) -> None:
        self.scene, self.fault, self.journal = scene, fault, journal
        self.requests = fault.requests or scene.settings.traffic
        self.watched = _Watched(time.monotonic())
        self.answers: Callable[[], tuple[Answer, ...]] = tuple
        self.health: list[Callable[[], tuple[Answer, ...]]] = []
        self.stream_began = 0.0

    def run(self) -> Drill:
        """Everything from the first request to the last answer."""
        statements: int | None = None
        ledger: Ledger | None = None
        with ExitStack() as held, ExitStack() as streams:
            self._watch(streams)
            wait_until(time.monotonic() + BEFORE_S)
            wait_until(time.monotonic() + self.fault.deadline_s, self._has_written)
            before = self._statements()
            self.scene.progress(f"{self.fault.name}: {self.fault.words}")
            self.watched.mark("fault")
            held.enter_context(self.fault.hold(self.watched.mark))
            wait_until(time.monotonic() + self.fault.seconds)
            if not self.fault.heals_inside:
                self.watched.mark("healing")
                held.close()
                self.watched.mark("healed")
                after = self._statements()
                statements = None if before is None or after is None else after - before
            self._wait_for_recovery()
            streams.close()
            ledger = self._ledger()
        return Drill(
            name=self.fault.name,
            fault=self.fault.words,
            seconds=round(self.watched.now(), 3),
            every_s=EVERY_S,
            marks=tuple(self.watched.marks),
            sent=self._sent(self.answers()),
            health=tuple(
                sorted((s for each in self.health for s in self._sent(each())), key=lambda s: s.at_s)
            ),
            writes=() if self.journal is None else self.journal.attempts(),
            ledger=ledger,
            backends=tuple(self.watched.backends),
            accepted_at_s=self._accepts(),
            statements=statements,
        )

    def _watch(self, streams: ExitStack) -> None:
        traffic, deadline = self.scene.traffic, self.fault.deadline_s
        streams.enter_context(every(BACKENDS_EVERY_S, self._sample_backends))
        for check in CHECKS:
            path = getattr(self.scene.settings.health, check)
            if path is not None:
                request = Request(name=check, path=path)
                self.health.append(streams.enter_context(traffic.stream([request], HEALTH_EVERY_S, deadline)))
        if self.journal is not None:
            streams.enter_context(self.journal.written(self.watched.began))
        self.stream_began = self.watched.now()
        self.answers = streams.enter_context(traffic.stream(self.requests, EVERY_S, deadline))

    def _wait_for_recovery(self) -> None:
        """Until every request was served several times in a row, and some time beyond."""
        self.scene.progress(f"{self.fault.name}: waiting for recovery")
        healed = self.watched.marks[-1].at_s
        labels = {request.label for request in self.requests}

        def recovered() -> bool:
            after = [each for each in self._sent(self.answers()) if each.at_s >= healed]
            settled = self._writes_recovered(healed) and self.fault.settled()
            return settled and all(
                len(row := [each for each in after if each.request == label]) >= IN_A_ROW
                and all(each.expected for each in row[-IN_A_ROW:])
                for label in labels
            )

        def over() -> bool:
            return recovered() or has_ended(self.scene)

        wait_until(time.monotonic() + self.fault.recover_s, over, every_s=0.1)
        wait_until(time.monotonic() + AFTER_S)

    def _has_written(self) -> bool:
        """Whether a write was acknowledged by now, which the fault could lose: some take their time."""
        return self.journal is None or any(each.expected for each in self.journal.attempts())

    def _writes_recovered(self, healed: float) -> bool:
        if self.journal is None:
            return True
        return (
            first_of([each for each in self.journal.attempts() if each.at_s >= healed], IN_A_ROW) is not None
        )

    def _sent(self, answers: Sequence[Answer]) -> tuple[Sent, ...]:
        shift = self.stream_began
        return tuple(
            Sent(a.request, round(a.at_s + shift, 4), round(a.seconds, 4), a.status, a.expected, a.error)
            for a in sorted(answers, key=lambda each: each.at_s)
        )

    def _ledger(self) -> Ledger | None:
        if self.journal is None:
            return None
        self.scene.progress(f"{self.fault.name}: reading the writes back")
        database = self.fault.rows_of or self.scene.environment.database
        known = database if database is not None and database.has_admin else None
        return self.journal.ledger(None if known is None else partial(rows_with, known))

    def _sample_backends(self) -> None:
        database = self.scene.environment.database
        if database is None or not database.has_admin:
            return
        backends = database.backends()
        busy = sum(each.state not in (None, "idle") for each in backends)
        self.watched.backends.append(Backends(round(self.watched.now(), 3), len(backends), busy))

    def _statements(self) -> int | None:
        database = self.scene.environment.database
        if database is None or not database.has_admin:
            return None
        with suppress(ProdreadyError, psycopg.Error):
            return database.statements()
        return None

    def _accepts(self) -> tuple[float, ...] | None:
        proxied = self.fault.proxied
        if proxied is None and self.scene.environment.database is not None:
            proxied = self.scene.environment.database.proxied
        seen = proxied.connections() if proxied is not None else None
        if seen is None:
            return None
        began = time.time() - self.watched.now()
        return tuple(round(at - began, 3) for at in seen.accepted_at if at >= began)


def _journal(scene: Scene, fault: Fault) -> Journal | None:
    writes = scene.settings.writes
    return None if writes is None else Journal(scene.traffic, writes, fault.deadline_s)


def _pid(scene: Scene) -> int | None:
    return scene.environment.application.pid if scene.environment.application else None


def _alive(scene: Scene) -> bool:
    return scene.environment.application is not None and scene.environment.application.alive


def _last_words(scene: Scene) -> str:
    application = scene.environment.application
    return last_words(application.log_tail(LAST_LINES)) if application is not None else ""
