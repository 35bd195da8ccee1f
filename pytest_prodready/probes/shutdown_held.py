"""Send SIGTERM while requests are certainly being served, and look for the backends that stay behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.holders import Usage, holders
from pytest_prodready.probes.shutdown import (
    DEADLINE_S,
    SLACK_S,
    Ending,
    Exit,
    Sent,
    instance_of,
    sent,
    traffic_to,
)
from pytest_prodready.probes.traffic import Flight, Traffic
from pytest_prodready.settings import Request, Settings

HELD = 4  # requests, at most: few enough for the smallest pools
SHOWS_WITHIN_S = 1.0  # a request that reaches a locked table is seen there
RELEASED_AFTER_S = 0.5  # of the signal
CONTROL_S = 0.75  # about as long as the held ones wait altogether
LEFT_WITHIN_S = 2.0  # the server notices a closed connection


@dataclass(frozen=True, slots=True)
class Left:
    """A backend of the instance that was still there after its end."""

    state: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that got SIGTERM while its requests waited for a lock."""

    second_instance: bool
    control: tuple[Sent, ...]  # held for as long without any signal
    in_flight: tuple[Sent, ...]  # seen waiting in the database when SIGTERM was sent
    queued: tuple[Sent, ...]  # sent before, but not seen there: perhaps in the listen backlog
    released_after_s: float
    exit: Exit
    backends: int  # of the instance, before the signal
    left: tuple[Left, ...]
    looked_for_s: float
    whose_is_known: bool = True  # False: those left may be the other instance's


def held(
    application: ApplicationRole,
    database: Database,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Held:
    """Hold requests of an instance by a lock, send SIGTERM, release the lock, read the answers."""
    requests = holders(settings.traffic, usage) or settings.traffic
    second = application.repeatable
    others = _pids(database) if second else frozenset()
    with ExitStack() as stack:
        progress("starting another instance to end it with requests in flight")
        instance = stack.enter_context(instance_of(application))
        traffic = stack.enter_context(traffic_to(instance, settings))
        for request in requests:
            traffic.send(request, DEADLINE_S)
        control = _control(traffic, database, requests)
        with database.locked():
            flights, queued = _fly(traffic, database, requests)
            backends = _pids(database) - others
            progress(f"SIGTERM with {len(flights)} requests in flight")
            ending = Ending(instance)
            wait_until(ending.signalled + RELEASED_AFTER_S)
            released = time.monotonic() - ending.signalled
        exit_ = ending.waited_for(settings.health.grace_s + SLACK_S)
        later = [(flight, start - ending.signalled) for flight, start in (*flights, *queued)]
        answers = [sent(answer, -offset) for flight, offset in later for answer in flight.join()]
        progress("looking for backends that were left behind")
        # Before what is left of the instance is ended by us, unless it has to be.
        remaining = _left(database, backends) if exit_.main_gone_s is not None else None
    left, looked = remaining or _left(database, backends)
    others_have = _connections(application, database) if second and left else 0
    if others_have and len(database.backends()) <= others_have:
        left = ()  # the other instance opened them meanwhile
    return Held(
        second_instance=second,
        control=control,
        in_flight=tuple(answers[: len(flights)]),
        queued=tuple(answers[len(flights) :]),
        released_after_s=round(released, 3),
        exit=exit_,
        backends=len(backends),
        left=left,
        looked_for_s=looked,
        whose_is_known=others_have is not None,
    )


def _pids(database: Database) -> frozenset[int]:
    return frozenset(backend.pid for backend in database.backends())


def _waiting(database: Database) -> int:
    return sum(backend.wait_event_type == "Lock" for backend in database.backends())


def _control(traffic: Traffic, database: Database, requests: Sequence[Request]) -> tuple[Sent, ...]:
    """Hold one request for as long without any signal: it may have a shorter deadline of its own."""
    with database.locked():
        began = time.monotonic()
        flight = traffic.start(requests[:1], 1, DEADLINE_S)
        wait_until(began + CONTROL_S)
    return tuple(sent(answer, 0) for answer in flight.join())


_Flights = list[tuple[Flight, float]]


def _fly(traffic: Traffic, database: Database, requests: Sequence[Request]) -> tuple[_Flights, _Flights]:
    """Send requests one at a time for as long as each is seen waiting in the database."""
    in_flight: _Flights = []
    queued: _Flights = []
    waiting = _waiting(database)
    for number in range(HELD):
        start = time.monotonic()
        flight = traffic.start([requests[number % len(requests)]], 1, DEADLINE_S)

        def settled(flight: Flight = flight, before: int = waiting) -> bool:
            return _waiting(database) > before or not flight.unanswered

        wait_until(start + SHOWS_WITHIN_S, settled)
        now_waiting = _waiting(database)
        if now_waiting > waiting and flight.unanswered:
            in_flight.append((flight, start))
        elif flight.unanswered:
            queued.append((flight, start))
            break
        waiting = now_waiting
    return in_flight, queued


def _left(database: Database, backends: frozenset[int]) -> tuple[tuple[Left, ...], float]:
    began = time.monotonic()
    wait_until(began + LEFT_WITHIN_S, lambda: not backends & _pids(database), every_s=0.05)
    seen = [backend for backend in database.backends() if backend.pid in backends]
    ages = tuple(Left(backend.state or "unknown", round(backend.state_age_s or 0, 1)) for backend in seen)
    return ages, round(time.monotonic() - began, 2)


def _connections(application: ApplicationRole, database: Database) -> int | None:
    """Connections that an instance holds to the database now; None where nobody can tell."""
    places = {database.endpoint, database.reached_at, database.seen_at}
    held = application.connections_to(places)
    return None if held is None else sum(len(each) for each in held.values())
