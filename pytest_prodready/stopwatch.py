"""Where the time goes: what a thread is at, by kinds that exclude each other.

    with spent(STARTING):
        server.start()      # and nothing of this counts for what was under way around it

Each thread has a watch of its own. The gate reads that of the thread which runs the tests: what other
threads do meanwhile costs the user no time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

WAITING = "waiting"  # on purpose: as long as a fault lasts, before it and after it, for a service to recover
STARTING = "start_up"  # servers, standbys and the service, also anew
MEASURING = "measuring"  # the rest of what probes do: break, ask, count
QUEUED = "queued"  # for another worker's measurement to end
CLEARING = "clearing_up"  # stopping, and putting back what was broken
KINDS = (WAITING, STARTING, MEASURING, QUEUED, CLEARING)


class _Watch(threading.local):
    """One thread's: what it is at now, inside of what, since when; and the sums."""

    def __init__(self) -> None:
        self.under_way: list[str] = []
        self.since = 0.0
        self.sums: dict[str, float] = {}

    def count(self) -> None:
        """Add the time until now to what was under way."""
        now = time.monotonic()
        if self.under_way:
            kind = self.under_way[-1]
            self.sums[kind] = self.sums.get(kind, 0.0) + now - self.since
        self.since = now


_watch = _Watch()


@contextmanager
def spent(kind: str) -> Iterator[None]:
    """Count a block's time, or that of a decorated function, as this kind; a block inside counts alone."""
    _watch.count()
    _watch.under_way.append(kind)
    try:
        yield
    finally:
        _watch.count()
        _watch.under_way.pop()


class Lap:
    """The time of this thread since a moment."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _sums()

    @property
    def seconds(self) -> float:
        """How long it is ago."""
        return time.monotonic() - self._began

    def by_kind(self) -> Mapping[str, float]:
        """The seconds since then that have a kind; the rest was spent otherwise."""
        return {kind: seconds - self._before.get(kind, 0.0) for kind, seconds in _sums().items()}


def _sums() -> dict[str, float]:
    _watch.count()
    return dict(_watch.sums)
