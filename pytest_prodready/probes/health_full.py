"""Keep every connection of the pool busy, and ask liveness all the while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.health_answers import Asked, asked, paths
from pytest_prodready.probes.holders import Usage, holders
from pytest_prodready.probes.pool_hold import full_pool, wait_until
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

BUSY_S = 1.5
EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Busy:
    """What liveness answered before, and while the pool was full."""

    capacity: int
    before: tuple[Asked, ...]
    during: tuple[Asked, ...]
    sent: int  # requests that need a connection
    holding: int  # of them, those that still waited at the end
    refused: int  # of them, those that were told that the service is busy
    seconds: float


def busy(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Busy:
    """Stall as many requests as the pool has connections, and as many again; ask liveness meanwhile."""
    capacity = settings.pool_here.capacity or 1
    liveness = paths(settings)["liveness"]
    deadline_s = settings.health.answer_within_s + 1
    before = traffic.burst([liveness], 3, deadline_s)
    requests = holders(settings.traffic, usage)
    database, application = environment.database, environment.application
    if not requests or database is None:
        return Busy(capacity, asked(before), (), 0, 0, 0, 0.0)
    progress(f"holding all {capacity} connections of the pool while liveness is asked")
    with full_pool(traffic, database, requests, capacity=capacity, extra=capacity) as flight:
        began = time.monotonic()
        with traffic.stream([liveness], EVERY_S, deadline_s) as answers:
            wait_until(lambda: False, BUSY_S)
            holding = flight.unanswered
        seconds = time.monotonic() - began
    ended = flight.join()
    if application is not None:
        application.ensure_ready()
    return Busy(
        capacity=capacity,
        before=asked(before),
        during=asked(answers()),
        sent=2 * capacity,
        holding=holding,
        refused=sum(answer.refused_politely for answer in ended),
        seconds=round(seconds, 2),
    )
