"""Send more requests than the pool has connections, with the database locked and with it stalled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_hold import stalled, wait_until, warm
from pytest_prodready.probes.pool_steady import (
    Outcome,
    Recovery,
    Scene,
    outcomes,
    recovery,
    scene,
    settle,
)
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

HELD_LONGER_S = 1.0  # than the limit, so that what is late shows
CROWD_WITHIN_S = 2.5
STEADY_S = 0.4
EXTRA = 10
MOST_EXTRA = 100


@dataclass(frozen=True, slots=True)
class Crowd:
    """The service's connections while far more requests than its pool's size were held by a lock."""

    sent: int
    held: int  # most of them that were unanswered when the connections were counted
    before: int
    peak: int
    waiting_for_lock: int


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """Requests over a pool that is held by a stalled database."""

    capacity: int
    processes: int
    crowd: Crowd
    stalled_s: float
    sent: int
    during: tuple[Outcome, ...]  # answered while the database was stalled
    after: tuple[Outcome, ...]  # answered, or given up, after it
    back: Recovery
    full_before: tuple[Outcome, ...]  # as many requests at once as the pool has connections
    full_again: tuple[Outcome, ...]  # the same afterwards
    started_anew: bool


def exhaustion(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Exhaustion:
    """Count connections under a crowd of requests; then hold the pool and send twice as many as it takes."""
    here = scene(environment, traffic, settings, usage)
    progress(f"holding {here.capacity} connections by a table lock, with many more requests")
    crowd = _crowd(here)
    stalled_s = settings.pool.refuse_within_s + HELD_LONGER_S
    patience_s = stalled_s + settings.pool.deadline_s
    sent = _over(here.capacity)
    progress(f"stalling {here.capacity} connections for {stalled_s:g} s, with {sent} requests")
    full_before = warm(traffic, here.database, here.requests, here.capacity, settings.pool.deadline_s)
    with stalled(traffic, here.database, here.requests, sent, patience_s) as flight:
        began = time.monotonic()
        wait_until(lambda: flight.unanswered == 0, stalled_s)
        unanswered = flight.unanswered
        held_s = time.monotonic() - began
    back = recovery(here, settings.pool.recover_within_s + 3)
    answers = sorted(flight.join(), key=lambda answer: answer.at_s + answer.seconds)
    return Exhaustion(
        capacity=here.capacity,
        processes=settings.pool.workers,
        crowd=crowd,
        stalled_s=round(held_s, 3),
        sent=sent,
        during=outcomes(answers[: sent - unanswered]),
        after=outcomes(answers[sent - unanswered :]),
        back=back,
        full_before=outcomes(full_before),
        full_again=outcomes(
            warm(traffic, here.database, here.requests, here.capacity, settings.pool.deadline_s)
        ),
        started_anew=settle(here),
    )


def _over(capacity: int) -> int:
    """So many requests that the pool can't hold them, and that a usual server can."""
    return capacity + min(capacity, MOST_EXTRA) + EXTRA


def _crowd(here: Scene) -> Crowd:
    """Hold many requests by a lock, and count the connections that the service opens for them."""
    sent = _over(here.capacity)
    peak = waiting = held = 0
    before = len(here.database.backends())
    with here.database.locked():
        flight = here.traffic.start(here.requests, sent, CROWD_WITHIN_S + 5)
        grew = began = time.monotonic()
        while time.monotonic() - grew < STEADY_S and time.monotonic() - began < CROWD_WITHIN_S:
            backends = here.database.backends()
            if len(backends) > peak:
                peak, grew = len(backends), time.monotonic()
                held = flight.unanswered
            waiting = max(waiting, sum(each.wait_event_type == "Lock" for each in backends))
            wait_until(lambda: flight.unanswered == 0, 0.03)
    flight.join()
    return Crowd(sent=sent, held=held, before=before, peak=peak, waiting_for_lock=waiting)
