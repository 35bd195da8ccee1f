"""Let requests wait: for a slow Redis, beside a slow query, for a locked table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.holders import UNKNOWN, Usage, cached, runs_no_statement
from pytest_prodready.probes.pool_hold import wait_until
from pytest_prodready.probes.pool_steady import (
    Clock,
    Outcome,
    Recovery,
    Scene,
    outcomes,
    recovery,
    scene,
    settle,
)
from pytest_prodready.probes.traffic import Answer, Flight, Traffic
from pytest_prodready.settings import Request, Settings

REDIS_LATENCY_MS = 2000
SAMPLE_S = 0.05
ATTEMPTS = 2
PAUSE_S = 1.2
IDLE_IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")

# What a client sends when it connects, ours among them; none of it is a question of the service.
SIGNING_IN = tuple(f"cmdstat_{name}" for name in ("auth", "client", "hello", "info", "ping", "select"))

HOLD_S = 0.8
ROUNDS = 2
BASELINE = 10
REFERENCE_WITHIN_S = 2.0

IN_LOCK = 3


@dataclass(frozen=True, slots=True)
class IdleInTransaction:
    """Backends that were idle in a transaction while Redis was slow."""

    latency_ms: int
    watched_s: float
    samples: int
    sent: int
    answered: int
    redis_asked: int  # commands that Redis got meanwhile, other than ours
    seen: int  # backends that were ever seen idle in a transaction
    longest_s: float
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """Requests that need no database, sent while one request was held by a lock."""

    held_s: float
    still_held: bool  # the held one was unanswered all the while
    seen_waiting: bool  # a backend of the service waited for the lock
    others: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """The same requests before and beside a slow query."""

    slow: str  # the request that was held
    references: tuple[str, ...]  # requests that run no statement
    using_database: tuple[str, ...]  # tried, and found to run statements
    baseline: tuple[Outcome, ...]
    rounds: tuple[Beside, ...]
    started_anew: bool


@dataclass(frozen=True, slots=True)
class LockWait:
    """A few requests that ran into locked tables."""

    locked_s: float
    answers: tuple[Outcome, ...]  # no answer: not within the time that the lock was held
    waiting_for_lock: int
    back: Recovery
    started_anew: bool


def idle_in_transaction(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> IdleInTransaction:
    """Slow Redis down, send every declared request, and watch the service's backends."""
    here = scene(environment, traffic, settings, usage)
    cache = environment.cache
    if cache is None or cache.proxied is None:
        raise ProdreadyError("the service reaches Redis without a fault proxy")
    progress(f"slowing Redis down by {REDIS_LATENCY_MS} ms, and watching transactions")
    requests = [*settings.traffic, *([settings.writes.create] if settings.writes else [])]
    count = min(len(requests) * 2, max(here.capacity, len(requests)))
    watch_s = REDIS_LATENCY_MS / 1000 + 0.5
    seen = _Watch()
    for _ in range(ATTEMPTS):
        # Connections to Redis are opened now: under the latency, a service may give up on new ones at once.
        traffic.burst(settings.traffic, len(settings.traffic), settings.pool.deadline_s)
        asked = _RedisCommands(cache)
        with cache.proxied.latency(REDIS_LATENCY_MS):
            flight = traffic.start(requests, count, settings.pool.deadline_s)
            seen.watch(here, flight, watch_s)
        seen.answers += flight.join()
        seen.redis_asked += asked.since()
        if seen.redis_asked:
            break
        wait_until(lambda: False, PAUSE_S)  # for a service that has just given up on Redis for a while
    return IdleInTransaction(
        latency_ms=REDIS_LATENCY_MS,
        watched_s=round(seen.watched_s, 3),
        samples=seen.samples,
        sent=len(seen.answers),
        answered=sum(answer.status is not None for answer in seen.answers),
        redis_asked=seen.redis_asked,
        seen=len(seen.ages),
        longest_s=round(max(seen.ages.values(), default=0.0), 3),
        started_anew=settle(here),
    )


class _Watch:
    """What was seen of the service's backends while requests were under way."""

    def __init__(self) -> None:
        self.ages: dict[int, float] = {}
        self.samples = 0
        self.watched_s = 0.0
        self.redis_asked = 0
        self.answers: list[Answer] = []

    def watch(self, here: Scene, flight: Flight, watch_s: float) -> None:
        """Look until all is answered, for as long as two waits for Redis at most."""
        clock = Clock()
        while flight.unanswered and clock.seconds < 2 * watch_s:
            for backend in here.database.backends():
                if backend.state in IDLE_IN_TRANSACTION:
                    self.ages[backend.pid] = max(self.ages.get(backend.pid, 0.0), backend.state_age_s or 0.0)
            self.samples += 1
            wait_until(lambda: flight.unanswered == 0, SAMPLE_S)
        self.watched_s += clock.seconds


class _RedisCommands:
    """Commands that Redis has got, less those that ask for their number."""

    def __init__(self, cache: Cache) -> None:
        self._client = cache.client()
        self._before = self._count()

    def since(self) -> int:
        try:
            return max(0, self._count() - self._before)
        finally:
            self._client.close()

    def _count(self) -> int:
        stats = self._client.info("commandstats")
        return sum(int(each["calls"]) for name, each in stats.items() if not name.startswith(SIGNING_IN))


def slow_query(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> SlowQuery:
    """Hold one request by a lock, and send requests that need no database beside it."""
    here = scene(environment, traffic, settings, usage)
    references, others = _references(here, usage)
    slow = here.requests[0]
    progress(f"holding {slow.label} for {HOLD_S:g} s, with other requests beside it")
    baseline = _one_by_one(here, references, REFERENCE_WITHIN_S) if references else ()
    rounds = tuple(_beside(here, slow, references) for _ in range(ROUNDS) if references)
    return SlowQuery(
        slow=slow.label,
        references=tuple(each.label for each in references),
        using_database=others,
        baseline=outcomes(baseline),
        rounds=rounds,
        started_anew=settle(here),
    )


def lock_wait(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> LockWait:
    """Lock all tables, send a few requests, and let go when they are answered or it took too long."""
    here = scene(environment, traffic, settings, usage)
    limit_s = settings.pool.lock_wait_s + 1
    progress(f"locking all tables for up to {limit_s:g} s")
    waiting, clock = 0, Clock()
    with here.database.locked():
        clock = Clock()
        flight = traffic.start(here.requests, min(IN_LOCK, here.capacity), limit_s)
        for _ in _until_answered(flight, limit_s):
            waiting = max(waiting, sum(each.wait_event_type == "Lock" for each in here.database.backends()))
        locked_s = clock.seconds
    back = recovery(here, settings.pool.recover_within_s + 3)
    return LockWait(
        locked_s=locked_s,
        answers=outcomes(flight.join()),
        waiting_for_lock=waiting,
        back=back,
        started_anew=settle(here),
    )


def _until_answered(flight: Flight, within_s: float) -> Iterator[None]:
    clock = Clock()
    while flight.unanswered and clock.seconds < within_s:
        yield
        wait_until(lambda: flight.unanswered == 0, SAMPLE_S)


def _references(here: Scene, usage: Sequence[Usage]) -> tuple[tuple[Request, ...], tuple[str, ...]]:
    """Requests that run no statement: liveness and an unknown path, else declared ones that a cache answers.

    What the cache answers now may need the database in a moment, when it has expired.
    """
    health = here.settings.health
    liveness = [Request(path=health.liveness, name="liveness")] if health.liveness else []
    tried: list[Request] = []
    for candidates in ((*liveness, UNKNOWN), cached(here.settings.traffic, usage)):
        found = [
            request
            for request in candidates
            if runs_no_statement(here.traffic, here.database, request, REFERENCE_WITHIN_S)
        ]
        tried += [request for request in candidates if request not in found]
        if found:
            return tuple(found), tuple(each.label for each in tried)
    return (), tuple(each.label for each in tried)


def _one_by_one(
    here: Scene, references: Sequence[Request], within_s: float, count: int = BASELINE
) -> tuple[Answer, ...]:
    """One request after the other, so that a hiccup of the machine spoils one of them only."""
    began = time.monotonic()
    answers: list[Answer] = []
    while len(answers) < count and time.monotonic() - began < within_s:
        answers.append(here.traffic.send(references[len(answers) % len(references)], REFERENCE_WITHIN_S))
    return tuple(answers)


def _beside(here: Scene, slow: Request, references: Sequence[Request]) -> Beside:
    with here.database.locked():
        clock = Clock()
        flight = here.traffic.start([slow], 1, here.limits.deadline_s)
        waits = wait_until(lambda: _someone_waits(here), HOLD_S / 2)
        answers = _one_by_one(here, references, HOLD_S, 4 * BASELINE)
        still_held = flight.unanswered == 1
        held_s = clock.seconds
    flight.join()
    return Beside(held_s=held_s, still_held=still_held, seen_waiting=waits, others=outcomes(answers))


def _someone_waits(here: Scene) -> bool:
    return any(each.wait_event_type == "Lock" for each in here.database.backends())
