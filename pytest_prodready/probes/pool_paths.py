"""Requests that fail, that are aborted, and that come all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.findings import Capability
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_hold import wait_until
from pytest_prodready.probes.pool_steady import (
    Clock,
    Outcome,
    Scene,
    busy,
    outcomes,
    scene,
    settle,
)
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings

TIMES = 3  # as many errors as the pool has connections
IN_FLIGHT_WITHIN_S = 1.0
KEPT_LOCKED_S = 0.3
THREADS = 48  # more than the usual thread pools have (40 in Starlette, 32 in concurrent.futures)
OVERLAP_MS = 60
MEETING_MS = 200
SLOWED_MS = 1500  # by all the latency together


@dataclass(frozen=True, slots=True)
class ErrorPath:
    """One request that expects an error, sent many times."""

    request: str
    planned: int
    sent: int  # fewer than planned when it was no longer answered as declared
    as_declared: int
    others: tuple[tuple[str, int], ...]  # other statuses, or "no answer", and how often


@dataclass(frozen=True, slots=True)
class ErrorPaths:
    """Requests that fail, then what they left behind."""

    capacity: int
    paths: tuple[ErrorPath, ...]
    left_busy: int  # backends still active or in a transaction
    left_states: tuple[str, ...]
    before: tuple[Outcome, ...]  # as many requests at once as the pool has connections
    after: tuple[Outcome, ...]  # the same again
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Aborted:
    """Requests whose clients went away while a lock held them, then what they left behind."""

    capacity: int
    sent: int
    aborted: int  # still unanswered when their clients went away
    waiting_for_lock: int  # backends that waited for the lock then
    left_busy: int
    left_states: tuple[str, ...]
    settled_after_s: float | None  # from the end of the lock until no backend was busy; None: never
    watched_s: float
    before: tuple[Outcome, ...]  # as many requests at once as the pool has connections
    after: tuple[Outcome, ...]  # the same again
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Burst:
    """So many requests at once."""

    sent: int
    served: int
    refused: int
    limited: int  # of the refused: 429, which may be the client's own limit
    wrong: int  # other statuses
    unanswered: int
    slowest_s: float


@dataclass(frozen=True, slots=True)
class Bursts:
    """As many requests at once as connections, then more, then more than threads."""

    size: int  # of one process' pool: so many have a connection each
    overlapped: bool  # slowed down at the proxy, so that all of them were in the database together
    deadline_s: float
    bursts: tuple[Burst, ...]
    started_anew: bool


def error_paths(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> ErrorPaths:
    """Send each request that expects an error three times as often as the pool has connections."""
    here = scene(environment, traffic, settings, usage)
    before = traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    progress(f"sending {TIMES * here.capacity} of each request that fails")
    paths = tuple(_error_path(here, request) for request in settings.errors)
    settled = _seconds_until_idle(here.database, settings.pool.recover_within_s)
    left = busy(here.database.backends()) if settled is None else ()
    after = traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    return ErrorPaths(
        capacity=here.capacity,
        paths=paths,
        left_busy=len(left),
        left_states=tuple(sorted({str(each.state) for each in left})),
        before=outcomes(before),
        after=outcomes(after),
        started_anew=settle(here),
    )


def aborted(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Aborted:
    """Let clients go away while a lock holds their requests; then see what is left of them."""
    here = scene(environment, traffic, settings, usage)
    before = traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    progress(f"aborting {here.capacity} requests that a table lock holds")
    waiting = 0
    with here.database.locked():
        flight = traffic.start(here.requests, here.capacity, IN_FLIGHT_WITHIN_S + 10)

        def all_wait() -> bool:
            nonlocal waiting
            waiting = max(waiting, sum(each.wait_event_type == "Lock" for each in here.database.backends()))
            return waiting >= here.capacity or flight.unanswered == 0

        # A service with fewer threads than connections never has so many of them in the database together.
        wait_until(all_wait, IN_FLIGHT_WITHIN_S, every_s=0.03)
        unanswered = flight.unanswered
        flight.abort()
        wait_until(lambda: not busy(here.database.backends()), KEPT_LOCKED_S, every_s=0.05)
    watched_s = settings.pool.recover_within_s + 1
    settled = _seconds_until_idle(here.database, watched_s)
    left = busy(here.database.backends()) if settled is None else ()
    after = traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    return Aborted(
        capacity=here.capacity,
        sent=here.capacity,
        aborted=unanswered,
        waiting_for_lock=waiting,
        left_busy=len(left),
        left_states=tuple(sorted({str(each.state) for each in left})),
        settled_after_s=settled,
        watched_s=watched_s,
        before=outcomes(before),
        after=outcomes(after),
        started_anew=settle(here),
    )


def bursts(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Bursts:
    """Send bursts of the pool's size and over that of thread pools; stop when one makes no progress."""
    here = scene(environment, traffic, settings, usage)
    size, crowd = settings.pool.size or here.capacity, max(THREADS, here.capacity * 2)
    # As many as one process has connections must meet for certain; of more than that some do in any case.
    meeting_ms, overlap_ms = (_latency_ms(most, usage) for most in (MEETING_MS, OVERLAP_MS))
    plan = ((size, meeting_ms),) * 2 + ((here.capacity + 1, overlap_ms), (crowd, overlap_ms))
    overlapped = here.database.proxied is not None and Capability.DESTRUCTIVE in environment.capabilities
    traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    seen: list[Burst] = []
    for count, latency_ms in plan:
        progress(f"sending {count} requests at once")
        with _slower(here, latency_ms if overlapped else 0):
            seen.append(_burst(traffic.burst(here.requests, count, settings.pool.deadline_s + 1)))
        if not seen[-1].served:
            break
    return Bursts(
        size=size,
        overlapped=overlapped,
        deadline_s=settings.pool.deadline_s,
        bursts=tuple(seen),
        started_anew=settle(here),
    )


def _error_path(here: Scene, request: Request) -> ErrorPath:
    """Few enough at once that the pool isn't full by their number alone."""
    planned, at_once = TIMES * here.capacity, max(1, here.capacity // 2)
    answers: list[Answer] = []
    while len(answers) < planned:
        count = min(at_once, planned - len(answers))
        batch = here.traffic.burst([request], count, here.limits.deadline_s)
        answers += batch
        if not any(answer.expected for answer in batch):
            break
    others = Counter(str(each.status or "no answer") for each in answers if not each.expected)
    return ErrorPath(
        request=request.label,
        planned=planned,
        sent=len(answers),
        as_declared=sum(answer.expected for answer in answers),
        others=tuple(others.most_common()),
    )


def _seconds_until_idle(database: Database, within_s: float) -> float | None:
    clock = Clock()
    idle = wait_until(lambda: not busy(database.backends()), within_s, every_s=0.03)
    return clock.seconds if idle else None


def _latency_ms(most: int, usage: Sequence[Usage]) -> int:
    """So much that a request of many statements doesn't take forever."""
    statements = max((each.statements for each in usage), default=0.0)
    return int(min(most, SLOWED_MS / (statements + 1)))


@contextmanager
def _slower(here: Scene, latency_ms: int) -> Iterator[None]:
    """Slow the database down, so that the requests of a burst meet in it."""
    with here.database.proxied.latency(latency_ms) if latency_ms and here.database.proxied else nullcontext():
        yield


def _burst(answers: Sequence[Answer]) -> Burst:
    seen = outcomes(answers)
    return Burst(
        sent=len(seen),
        served=sum(each.expected for each in seen),
        refused=sum(each.refused for each in seen),
        limited=sum(each.status == 429 for each in seen),
        wrong=sum(each.status is not None and not each.expected and not each.refused for each in seen),
        unanswered=sum(each.status is None for each in seen),
        slowest_s=max((each.seconds for each in seen), default=0.0),
    )
