"""Keep a service's whole connection pool busy, or filled with live connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from pytest_prodready.probes.traffic import Answer, Flight, Traffic
from pytest_prodready.settings import Request

WARMING_MS = 40
SENT_WITHIN_S = 0.25


class Slowable(Protocol):
    """The faults that are used here."""

    def stalled(self) -> AbstractContextManager[None]:
        """Deliver nothing and lose nothing."""

    def latency(self, ms: int) -> AbstractContextManager[None]:
        """Delay data."""


class Behind(Protocol):
    """A database behind a fault proxy."""

    @property
    def proxied(self) -> Slowable:
        """The proxy in front of it."""


def warm(
    traffic: Traffic, database: Behind, requests: Sequence[Request], capacity: int, deadline_s: float = 10.0
) -> tuple[Answer, ...]:
    """Fill the pool with live connections: as many requests as it has connections overlap for certain."""
    with database.proxied.latency(WARMING_MS):
        return traffic.burst(requests, capacity, deadline_s)


@contextmanager
def full_pool(
    traffic: Traffic,
    database: Behind,
    requests: Sequence[Request],
    *,
    capacity: int,
    extra: int = 0,
    deadline_s: float = 30.0,
) -> Iterator[Flight]:
    """Keep every connection of the pool busy for as long as the block lasts.

    The pool is filled first; then the database is stalled at its proxy, and `capacity + extra` requests that
    each need a connection (see probes/holders.py) are sent. Which of them got one shows in the end only: those
    that wait for the database are unanswered until the stall is over, the others are refused, or wait in
    vain. A service with a request deadline of its own answers those that hold after it: keep the block
    shorter. Afterwards every request is answered, or its deadline has passed.
    """
    warm(traffic, database, requests, capacity)
    with database.proxied.stalled():
        flight = traffic.start(requests, capacity + extra, deadline_s)
        try:
            # They are on their way at once; this is the time that a busy machine takes to deliver them.
            wait_until(lambda: flight.unanswered == 0, SENT_WITHIN_S)
            yield flight
        except BaseException:
            flight.abort()
            raise
    flight.join()


def wait_until(happened: Callable[[], bool], within_s: float, every_s: float = 0.02) -> bool:
    """Wait until something has happened, for so long at most; whether it did."""
    deadline = time.monotonic() + within_s
    while not happened():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every_s, left))
    return True
