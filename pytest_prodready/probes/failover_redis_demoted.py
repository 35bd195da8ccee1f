"""Redis' primary becomes a replica while the service's connections to it live on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from redis import RedisError

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.failures import redis_demoted
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.drill import Drill, Sent, counted
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import STEADY_WITHIN_S, Scene, steady_or_renewed
from pytest_prodready.probes.failover_redis import MARGIN_S, redis_of
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.redis_costs import DEADLINE_S, empty, keys
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request, Settings

AT_ONCE = 4  # so that several connections are open, and several have to be left
ROUNDS = 3  # in a row
STORED_WITHIN_S = 0.5  # it may be stored after the answer
NAME = "redis demotion"
WORDS = "Redis swapped places with its replica, live connections kept"


@dataclass(frozen=True, slots=True)
class RedisDemotion:
    """Whether writes found the new primary of Redis."""

    drill: Drill
    tried: tuple[str, ...] = ()  # how writes are seen: the counter, what is cached
    read_only: int = 0  # READONLY answers of the demoted primary
    recovered_s: float | None = None  # since new connections reach the new primary; None: not while watched
    watched_s: float = 0.0
    wrong: str = ""  # at the last look
    uncertainty_s: float = 0.0  # of recovered_s: from the last look at which something was wrong


def redis_demotion(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> RedisDemotion:
    """Let Redis and a replica swap places under traffic; write until it works again."""
    cache, proxied = redis_of(environment)
    scene = Scene(environment, traffic, settings, progress)
    if doubt := steady_or_renewed(scene):
        return RedisDemotion(Drill(NAME, WORDS, doubt=f"the service was not steady before: {doubt}"))
    optional = settings.redis is not None and settings.redis.optional
    kept = _storing(traffic, cache, settings.traffic) if optional else None
    counter = settings.failover.counter
    increment = None if counter is None else counter.increment
    tried = tuple(request.label for request in (increment, kept) if request is not None)
    if not tried:
        return RedisDemotion(Drill(NAME, WORDS))
    within_s = settings.failover.recover_within_s + MARGIN_S
    progress("starting a replica of Redis")
    with environment.replica() as replica:
        writing = Writing(traffic, increment, kept)
        if wrong := writing.steady(cache):
            return RedisDemotion(Drill(NAME, WORDS, doubt=f"before Redis was demoted {wrong}"), tried)
        fault = Fault(
            name=NAME,
            words=WORDS,
            hold=lambda mark: _demoted(replica, writing, mark, within_s),
            seconds=0.1,
            recover_s=within_s,
            deadline_s=settings.failover.deadline_s,
            heals_inside=True,
            proxied=proxied,
        )
        drill = run_drill(scene, fault)
    if environment.application is not None:
        environment.application.ensure_ready()
    return RedisDemotion(
        drill,
        tried,
        writing.read_only,
        writing.recovered_s,
        writing.watched_s,
        writing.last,
        writing.uncertainty_s,
    )


@contextmanager
def _demoted(replica: RedisReplica, writing: Writing, mark: Marker, within_s: float) -> Iterator[None]:
    """The old primary is a replica of the new one; writes are tried until they work."""
    earlier = read_only_errors(replica.primary)
    with redis_demoted(replica, mark):
        mark("healed")  # from now on it is up to the service
        writing.until_well(replica, earlier, within_s)
        yield


class Writing:
    """Writes to Redis as clients of the service, and its servers, see them."""

    def __init__(self, traffic: Traffic, increment: Request | None, kept: Request | None) -> None:
        self._traffic, self._increment, self._kept = traffic, increment, kept
        self.recovered_s: float | None = None
        self.uncertainty_s = 0.0
        self.watched_s = 0.0
        self.read_only = 0
        self.last = ""

    def steady(self, primary: Cache) -> str:
        """Wait until writes work before anything is broken; returns what is wrong if they never do."""
        wrong = ""

        def well() -> bool:
            nonlocal wrong
            wrong = self._wrong(primary)
            return not wrong

        return "" if wait_until(time.monotonic() + STEADY_WITHIN_S, well, every_s=0.1) else wrong

    def until_well(self, replica: RedisReplica, earlier: int, within_s: float) -> None:
        """Write until it worked several times in a row and nothing was told READONLY, or time is up."""
        began, row, since = time.monotonic(), 0, 0.0
        bad_at = began

        def well() -> bool:
            nonlocal row, since, bad_at
            looked, before = time.monotonic(), self.read_only
            self.last = self._wrong(replica.cache)
            self.read_only = read_only_errors(replica.primary) - earlier
            if not self.last and self.read_only > before:
                self.last = f"{self.read_only - before} writes were still answered READONLY"
            since = looked if not row else since
            bad_at = looked if self.last else bad_at
            row = 0 if self.last else row + 1
            return row == ROUNDS

        wait_until(began + within_s, well, every_s=0.1)
        while 0 < row < ROUNDS:  # the first of them was in time; on a busy machine a look takes long
            well()
        if row == ROUNDS:
            self.recovered_s = round(since - began, 3)
            self.uncertainty_s = round(since - bad_at, 3)
        self.watched_s = round(time.monotonic() - began, 3)

    def _wrong(self, primary: Cache) -> str:
        """What doesn't work now; empty when all does."""
        return self._not_counted() or self._not_kept(primary)

    def _not_counted(self) -> str:
        if self._increment is None:
            return ""
        answers = self._traffic.burst([self._increment], AT_ONCE, DEADLINE_S)
        bad = [Sent("", 0.0, a.seconds, a.status, a.expected, a.error) for a in answers if not a.expected]
        told = ", ".join(f"{count} x {kind}" for kind, count in counted(bad).items())
        return f"{self._increment.label} got {told}" if bad else ""

    def _not_kept(self, primary: Cache) -> str:
        if self._kept is None:
            return ""
        empty(primary)
        self._traffic.burst([self._kept], AT_ONCE, DEADLINE_S)
        stored = wait_until(time.monotonic() + STORED_WITHIN_S, lambda: bool(keys(primary)))
        return "" if stored else f"nothing was stored for {self._kept.label}"


def _storing(traffic: Traffic, cache: Cache, requests: Sequence[Request]) -> Request | None:
    """The first request whose answer is stored in Redis: one declared as cacheable rather than another."""
    for request in sorted(requests, key=lambda each: not each.cacheable):
        empty(cache)
        traffic.send(request, DEADLINE_S)
        if wait_until(time.monotonic() + STORED_WITHIN_S, lambda: bool(keys(cache))):
            return request
    return None


def read_only_errors(cache: Cache) -> int:
    """How many commands a server has answered with READONLY."""
    try:
        with cache.client() as client:
            stats = client.info("errorstats")
    except RedisError as failure:
        raise ProdreadyError(f"Redis could not be asked: {type(failure).__name__}.") from None
    return int(stats.get("errorstat_READONLY", {"count": 0})["count"])
