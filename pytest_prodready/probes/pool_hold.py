"""Keep a service's whole connection pool busy, or filled with live connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pytest_prodready.environment.database import Database
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.traffic import Answer, Flight, Traffic
from pytest_prodready.settings import Request
from pytest_prodready.stopwatch import WAITING, spent

WARMING_MS = 40
SENT_WITHIN_S = 0.25
STEADY_WITHIN_S = 3.0  # for a service to serve as many requests as it has connections
BETWEEN_TRIES_S = 0.1


def proxy_of(database: Database) -> Proxied:
    """The fault proxy in front of the database; an error when there is none."""
    if database.proxied is None:
        raise ProdreadyError(
            "the service reaches its database without a fault proxy", value=database.endpoint
        )
    return database.proxied


def warm(
    traffic: Traffic, database: Database, requests: Sequence[Request], capacity: int, deadline_s: float = 10.0
) -> tuple[Answer, ...]:
    """Fill the pool with live connections: as many requests as it has connections overlap for certain.

    A service that has just seen its database come back may still refuse: it has a few moments to get steady.
    """
    deadline = time.monotonic() + STEADY_WITHIN_S
    while True:
        with proxy_of(database).latency(WARMING_MS):
            answers = traffic.burst(requests, capacity, deadline_s)
        if all(answer.expected for answer in answers) or time.monotonic() > deadline:
            return answers
        wait_until(lambda: False, BETWEEN_TRIES_S)


@contextmanager
def full_pool(  # noqa: PLR0913 (what is held, where, and for how long)
    traffic: Traffic,
    database: Database,
    requests: Sequence[Request],
    *,
    capacity: int,
    extra: int = 0,
    deadline_s: float = 30.0,
) -> Iterator[Flight]:
    """Keep every connection of the pool busy for as long as the block lasts.

    The pool is filled first; then the database is stalled at its proxy, and `capacity + extra` requests are
    sent that each need a connection (see probes/holders.py). Which of them got one shows in the end only:
    those that wait for the database are unanswered until the stall is over, the others are refused or wait
    in vain. A service with a request deadline of its own answers the holders then: keep the block shorter.
    Afterwards every request is answered, or its deadline has passed.
    """
    warm(traffic, database, requests, capacity)
    with stalled(traffic, database, requests, capacity + extra, deadline_s) as flight:
        yield flight
    flight.join()


@contextmanager
def stalled(
    traffic: Traffic, database: Database, requests: Sequence[Request], count: int, deadline_s: float
) -> Iterator[Flight]:
    """Stall the database and send so many requests; they are still under way when the block has ended."""
    with proxy_of(database).stalled():
        flight = traffic.start(requests, count, deadline_s)
        try:
            # They are on their way at once; this is the time that a busy machine takes to deliver them.
            wait_until(lambda: flight.unanswered == 0, SENT_WITHIN_S)
            yield flight
        except BaseException:
            flight.abort()
            raise


@spent(WAITING)
def wait_until(happened: Callable[[], bool], within_s: float, every_s: float = 0.02) -> bool:
    """Wait until something has happened, for so long at most; whether it did."""
    deadline = time.monotonic() + within_s
    while not happened():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every_s, left))
    return True
