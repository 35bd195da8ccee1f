"""Send SIGTERM to an instance under traffic: who is served, how long it lives, which writes are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Thread

from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.shutdown_ledger import Ledger, Tokens
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

BEFORE_S = 0.5
EVERY_S = 0.05
DEADLINE_S = 5.0
SLACK_S = 1.0  # beyond the grace period, to tell the late from those that never end


@dataclass(frozen=True, slots=True)
class Sent:
    """One request around SIGTERM; `at_s` counts from the signal and is negative before it."""

    request: str
    at_s: float
    seconds: float
    status: int | None
    expected: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How an instance ended after SIGTERM."""

    processes: int  # of its group at the signal
    main_gone_s: float | None  # since the signal; None: still there when the probe stopped waiting
    all_gone_s: float | None
    left: int  # processes that were still there
    waited_s: float


@dataclass(frozen=True, slots=True)
class Termination:
    """An instance that got SIGTERM under steady traffic on new connections."""

    second_instance: bool  # False: the only one, since there can't be another
    sent: tuple[Sent, ...]
    watched_s: float  # how long new requests were sent after the signal
    exit: Exit
    ledger: Ledger | None  # None: no [writes]


def termination(
    application: ApplicationRole, settings: Settings, progress: Callable[[str], None]
) -> Termination:
    """Send traffic and writes to an instance, then SIGTERM, and watch it until it is gone."""
    second = application.repeatable
    with ExitStack() as stack:
        progress("starting another instance to end it under traffic")
        instance = stack.enter_context(instance_of(application))
        traffic = stack.enter_context(traffic_to(instance, settings))
        tokens = Tokens(settings.writes) if settings.writes is not None else None
        control = tokens.control(traffic) if tokens is not None else None
        for request in settings.traffic:
            traffic.send(request, DEADLINE_S)
        seen = _under_traffic(instance, traffic, settings, tokens, progress)
    ledger = None
    if tokens is not None and control is not None:
        progress("reading back every acknowledged write")
        application.ensure_ready()
        with traffic_to(application, settings) as traffic:
            ledger = tokens.ledger(traffic, control, seen.writes, seen.signalled_at_s)
    return Termination(second, seen.sent(), seen.watched_s, seen.exit, ledger)


@contextmanager
def instance_of(application: ApplicationRole) -> Iterator[ApplicationRole]:
    """An instance that may be ended: another one, or the only one where there can't be another."""
    if application.repeatable:
        with application.another() as instance:
            yield instance
        return
    application.ensure_ready()
    try:
        yield application
    finally:
        application.ensure_ready()


@contextmanager
def traffic_to(application: ApplicationRole, settings: Settings) -> Iterator[Traffic]:
    """Traffic to one instance."""
    traffic = Traffic(application.base_url, settings.requests)
    try:
        yield traffic
    finally:
        traffic.close()


class Ending:
    """An instance from SIGTERM to its end."""

    def __init__(self, instance: ApplicationRole) -> None:
        self._instance = instance
        self._processes = len(instance.processes()) if instance.alive else 0
        self._main_gone_s: float | None = None
        self._all_gone_s: float | None = None
        self.signalled = time.monotonic()
        instance.terminate()

    def gone(self) -> bool:
        """Look whether the main process, and the whole group, are gone by now."""
        now = time.monotonic() - self.signalled
        if self._main_gone_s is None and not self._instance.alive:
            self._main_gone_s = now
        if self._main_gone_s is not None and self._all_gone_s is None and not self._instance.processes():
            self._all_gone_s = now
        return self._all_gone_s is not None

    def waited_for(self, at_most_s: float) -> Exit:
        """Wait for the end, counted from the signal, and tell how it was."""
        wait_until(self.signalled + at_most_s, self.gone)
        left = self._instance.processes() if self._all_gone_s is None else ()
        waited = time.monotonic() - self.signalled
        return Exit(self._processes, self._main_gone_s, self._all_gone_s, len(left), round(waited, 3))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What both streams saw, in seconds since they began."""

    answers: tuple[Answer, ...]
    writes: tuple[Answer, ...]
    signalled_at_s: float
    watched_s: float
    exit: Exit

    def sent(self) -> tuple[Sent, ...]:
        """The traffic, counted from the signal."""
        return tuple(sent(answer, self.signalled_at_s) for answer in self.answers)


def _under_traffic(
    instance: ApplicationRole,
    traffic: Traffic,
    settings: Settings,
    tokens: Tokens | None,
    progress: Callable[[str], None],
) -> _Seen:
    writes: Callable[[], tuple[Answer, ...]] = tuple
    drain_s = max(settings.health.drain_s, 0.2)
    answers: Callable[[], tuple[Answer, ...]] = tuple
    with ExitStack() as streams:
        began = time.monotonic()
        if settings.traffic:
            answers = streams.enter_context(traffic.stream(settings.traffic, EVERY_S, DEADLINE_S))
        if tokens is not None:
            writes = streams.enter_context(traffic.stream(tokens.creates(), EVERY_S, DEADLINE_S))
        wait_until(began + BEFORE_S)
        progress("SIGTERM under traffic")
        ending = Ending(instance)
        wait_until(ending.signalled + drain_s, ending.gone)
        watched_s = time.monotonic() - ending.signalled
        # Leaving waits for the last answers; whoever waits for the end meanwhile sees it on time.
        exit_ = _seen_while(streams, ending, settings.health.grace_s + SLACK_S)
    return _Seen(answers(), writes(), ending.signalled - began, round(watched_s, 3), exit_)


def _seen_while(streams: ExitStack, ending: Ending, at_most_s: float) -> Exit:
    """Stop the streams and wait for the end of the instance at the same time."""
    closing = Thread(target=streams.pop_all().close, name="prodready-streams")
    closing.start()
    try:
        return ending.waited_for(at_most_s)
    finally:
        closing.join()


def sent(answer: Answer, signalled_at_s: float) -> Sent:
    """The answer, counted from the signal."""
    at_s = round(answer.at_s - signalled_at_s, 4)
    return Sent(answer.request, at_s, round(answer.seconds, 4), answer.status, answer.expected, answer.error)
