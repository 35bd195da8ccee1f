"""Take the database away, refused or silent, and ask the health paths all the while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.faults import Proxied
from pytest_prodready.findings import Capability
from pytest_prodready.probes.health import answer_to, known_secrets, wait_until
from pytest_prodready.probes.health_answers import Asked, Moment, Said, asked, heard, paths
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

LIVENESS_EVERY_S = 0.1
READINESS_EVERY_S = 0.1
DEEP_EVERY_S = 0.25
SILENT_EVERY_S = 0.25  # slower: checks that hang must not be the load that slows the others down
REFUSED_S = 1.5  # at least
SILENT_S = 1.5  # of questions; their answers are waited for
IN_A_ROW = 5
BACK_IN_A_ROW = 3
NEEDS = frozenset({Capability.DATABASE, Capability.FAULT_PROXY, Capability.DESTRUCTIVE, Capability.SERVICE})


@dataclass(frozen=True, slots=True)
class Loss:
    """What the health paths answered before, while and after the database was gone."""

    kind: str  # refused: connections fail at once; silent: they are accepted, then nothing
    tried: bool = False
    connected: bool | None = None  # whether the service was seen to use the database through the proxy
    before: tuple[Asked, ...] = ()
    answers: tuple[Asked, ...] = ()  # by time, in seconds since the probe began
    said: tuple[Said, ...] = ()
    lost_at_s: float = 0.0  # just before
    healed_at_s: float = 0.0  # just before
    watched_until_s: float = 0.0
    same_process: bool | None = None  # None: not started by us, so nobody knows
    last_words: str = ""  # of a process that ended

    @property
    def during(self) -> tuple[Asked, ...]:
        """The questions that were sent while the database was gone."""
        return tuple(each for each in self.answers if self.lost_at_s <= each.at_s < self.healed_at_s)

    @property
    def after(self) -> tuple[Asked, ...]:
        """The questions that were sent when the database was back."""
        return tuple(each for each in self.answers if each.at_s >= self.healed_at_s)


def refused(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Loss:
    """Refuse the database's connections until readiness has fallen, then serve them until it is back."""
    return _Watch(environment, traffic, settings, progress).refused()


def silent(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Loss:
    """Stall the database's connections until every health question has its answer, then let them go on."""
    return _Watch(environment, traffic, settings, progress).silent()


class _Watch:
    """One loss of the database, watched from its health paths."""

    def __init__(
        self,
        environment: Environment,
        traffic: Traffic,
        settings: Settings,
        progress: Callable[[str], None],
    ) -> None:
        self.environment = environment
        self.traffic = traffic
        self.settings = settings
        self.progress = progress
        self.requests = paths(settings)
        self.began = time.monotonic()
        self.deadline_s = settings.health.answer_within_s + 1

    def refused(self) -> Loss:
        """Watch a database that refuses connections."""
        proxied = self._proxied()
        if proxied is None:
            return Loss("refused")
        connected, before, process = self._warmed_up(proxied), self._ask_all(), self._process()
        limits = self.settings.health
        rates = {"liveness": LIVENESS_EVERY_S, "readiness": READINESS_EVERY_S, "deep": DEEP_EVERY_S}
        with ExitStack() as stack:
            streams = self._streams(stack, rates)
            lost = self._now()
            with proxied.down():
                self.progress("refusing the database's connections until readiness falls")
                wait_until(time.monotonic() + REFUSED_S)
                self._wait_for(streams, lost, IN_A_ROW, up=False, at_most_s=limits.fall_within_s + 1)
                # Taken before it heals: from here on a yes is right again.
                healed = self._now()
            self.progress("serving the database's connections again until readiness is back")
            self._wait_for(streams, healed, BACK_IN_A_ROW, up=True, at_most_s=limits.recover_within_s + 1)
            until = self._now()
        answers = before, self._collected(streams)
        return self._loss("refused", connected, answers, (lost, healed, until), process)

    def silent(self) -> Loss:
        """Watch a database that accepts connections and says nothing."""
        proxied = self._proxied()
        if proxied is None:
            return Loss("silent")
        connected, before, process = self._warmed_up(proxied), self._ask_all(), self._process()
        with ExitStack() as stack:
            streams = self._streams(stack, {"liveness": LIVENESS_EVERY_S})
            lost = self._now()
            with proxied.stalled():
                self.progress("stalling the database's connections until the health paths have answered")
                streams += self._asked_in_turns(SILENT_S)
                healed = self._now()
            self.progress("letting the database's connections go on")
            returning = self._until_back()
            until = self._now()
        answers = before, [*self._collected(streams), *returning]
        return self._loss("silent", connected, answers, (lost, healed, until), process)

    def _proxied(self) -> Proxied | None:
        database = self.environment.database
        return database.proxied if database is not None and self.environment.capabilities >= NEEDS else None

    def _now(self) -> float:
        return time.monotonic() - self.began

    def _process(self) -> int | None:
        application = self.environment.application
        return application.pid if application is not None else None

    def _warmed_up(self, proxied: Proxied) -> bool | None:
        """Send the service its traffic once, and see whether that reaches the database."""
        for request in self.settings.traffic:
            self.traffic.send(request, self.deadline_s)
        self._ask_all()
        seen = proxied.connections()
        return None if seen is None else seen.accepted > 0

    def _ask_all(self) -> list[Answer]:
        return [
            answer_to(self.traffic, request, self.settings, self.began)
            for request in self.requests.values()
            for _ in range(BACK_IN_A_ROW)
        ]

    def _streams(self, stack: ExitStack, every_s: dict[str, float]) -> list[_Stream]:
        streams = []
        for check, every in every_s.items():
            if check in self.requests:
                later = self._now()
                answers = stack.enter_context(
                    self.traffic.stream([self.requests[check]], every, self.deadline_s)
                )
                streams.append(_Stream(check, later, answers))
        return streams

    def _asked_in_turns(self, for_s: float) -> list[_Stream]:
        """Ask readiness and the deep check in turns, and wait for their answers."""
        requests = [self.requests[check] for check in ("readiness", "deep") if check in self.requests]
        if not requests:
            wait_until(time.monotonic() + for_s)
            return []
        later = self._now()
        with self.traffic.stream(requests, SILENT_EVERY_S / len(requests), self.deadline_s) as answers:
            wait_until(time.monotonic() + for_s)
        return [_Stream("", later, answers)]

    def _wait_for(
        self, streams: list[_Stream], since_s: float, count: int, *, up: bool, at_most_s: float
    ) -> None:
        """Wait until the last readiness answers since then all say the same."""
        of_readiness = [stream for stream in streams if stream.check == "readiness"]

        def agreed() -> bool:
            last = [each for each in _asked(of_readiness) if each.at_s >= since_s][-count:]
            return len(last) == count and all(each.up is up for each in last)

        if of_readiness:
            wait_until(self.began + since_s + at_most_s, agreed)

    def _until_back(self) -> list[Answer]:
        """Ask readiness until it has said yes several times, or until it had time enough."""
        answers: list[Answer] = []
        end = time.monotonic() + self.settings.health.recover_within_s + 1
        if "readiness" not in self.requests:
            return answers
        while time.monotonic() < end and not _all_up(answers[-BACK_IN_A_ROW:]):
            answers.append(answer_to(self.traffic, self.requests["readiness"], self.settings, self.began))
            wait_until(time.monotonic() + 0.05)
        return answers

    def _collected(self, streams: list[_Stream]) -> list[Answer]:
        return [answer for stream in streams for answer in stream.dated()]

    def _loss(
        self,
        kind: str,
        connected: bool | None,
        answers: tuple[list[Answer], list[Answer]],
        moments: tuple[float, float, float],
        process: int | None,
    ) -> Loss:
        before, later = answers
        lost, healed, until = moments
        phases = [Moment("healthy", 0), Moment(kind, lost), Moment("healed", healed)]
        application = self.environment.application
        same = _is_same(application, process)
        words = "" if same is not False or application is None else self._last_words(application)
        if application is not None:
            steady(application, later)
        return Loss(
            kind=kind,
            tried=True,
            connected=connected,
            before=asked(before),
            answers=asked(later),
            said=heard([*before, *later], phases, known_secrets(self.environment)),
            lost_at_s=round(lost, 4),
            healed_at_s=round(healed, 4),
            watched_until_s=round(until, 4),
            same_process=same,
            last_words=words,
        )

    def _last_words(self, application: ApplicationRole) -> str:
        return self.environment.redact(application.log_tail(8))[-2000:]


@dataclass(frozen=True, slots=True)
class _Stream:
    """The answers to one path, or to several in turns, on a schedule that began later than the probe."""

    check: str  # empty for several
    later_s: float
    answers: Callable[[], tuple[Answer, ...]]

    def dated(self) -> list[Answer]:
        """The answers so far, dated from the beginning of the probe."""
        return [replace(answer, at_s=answer.at_s + self.later_s) for answer in self.answers()]


def _asked(streams: Iterable[_Stream]) -> tuple[Asked, ...]:
    return asked(answer for stream in streams for answer in stream.dated())


def _all_up(answers: list[Answer]) -> bool:
    return len(answers) == BACK_IN_A_ROW and all(a.expected for a in answers)


def steady(application: ApplicationRole, answers: Iterable[Answer]) -> None:
    """Leave a service behind that is ready; one that doesn't get ready by itself again is started anew."""
    last = [answer for answer in answers if answer.request == "readiness"][-1:]
    if last and not last[0].expected:
        application.kill()
    application.ensure_ready()


def _is_same(application: ApplicationRole | None, process: int | None) -> bool | None:
    if application is None or process is None:
        return None
    return application.alive and application.pid == process
