"""Redis dies and falls silent under traffic; a crowd wants what is cached, with Redis empty or gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.failures import killed
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.drill import Drill, Sent
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import Scene, steady, steady_or_renewed
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.redis_costs import DEADLINE_S, Books, Calls, Cost, costs, empty, hot
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings

MARGIN_S = 5.0
BEYOND_S = 2.0
REPEATS = 4
SLOW_MS = 300  # the crowd is there before the first of it has its answer
MOST_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class RedisLoss:
    """What became of requests while Redis was dead and then silent, and whether it was used again."""

    drill: Drill
    costs: tuple[Cost, ...] = ()  # before
    judged: tuple[str, ...] = ()  # the requests that must be served without Redis
    used_again_s: float | None = None  # since the service was asked again; None: never
    watched_s: float = 0.0
    after: tuple[Cost, ...] = ()  # the last look; first: as before the loss


@dataclass(frozen=True, slots=True)
class Crowd:
    """Requests sent at once for the same thing, while the database was slow."""

    request: str
    answers: tuple[Sent, ...]
    loads: int  # how often the most frequent of the statements ran that one request runs once
    statements: int
    first: int  # statements of one request alone


@dataclass(frozen=True, slots=True)
class RedisHerd:
    """What reaches the database when Redis is empty or gone."""

    doubt: str = ""
    costs: tuple[Cost, ...] = ()  # healthy
    gone: tuple[Cost, ...] = ()  # `again`: statements of the costliest repeat while Redis was refused
    empty_crowd: Crowd | None = None  # None: nothing is kept in Redis
    gone_crowd: Crowd | None = None
    processes: int = 1
    same_process: bool | None = None
    unsteady: str = ""


def redis_loss(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> RedisLoss:
    """Kill Redis, start it again behind a network that swallows everything, and mend that too."""
    cache, proxied = redis_of(environment)
    scene, dead_s = Scene(environment, traffic, settings, progress), settings.failover.redis_outage_s
    # Silent for longer than an answer may take, or waiting for Redis would not be noticed.
    silent_s = max(dead_s, settings.health.degraded_within_s + BEYOND_S)
    optional = settings.redis is not None and settings.redis.optional
    requests = [each for each in settings.traffic if optional or each.cacheable]
    how = "killed" if optional else "refused"
    words = f"Redis {how} for {dead_s:g} s, then silent for {silent_s:g} s"
    fault = Fault(
        name="redis loss",
        words=words,
        hold=lambda mark: dead_then_silent(cache, proxied, mark, dead_s, kill=optional),
        seconds=silent_s,
        recover_s=settings.failover.recover_within_s + MARGIN_S,
        deadline_s=settings.failover.deadline_s,
        requests=tuple(requests),
        proxied=proxied,
    )
    if doubt := steady_or_renewed(scene):
        doubt = f"the service was not steady before the fault: {doubt}"
        return RedisLoss(Drill(fault.name, words, doubt=doubt))
    books = Books(cache, environment.database)
    before = costs(traffic, books, requests, emptying=optional)
    drill = run_drill(scene, fault)
    seen = RedisLoss(drill, before, tuple(request.label for request in requests))
    if environment.application is not None:
        environment.application.ensure_ready()
    return _used_again(seen, traffic, books, requests, settings.failover.recover_within_s + MARGIN_S)


@contextmanager
def dead_then_silent(
    cache: Cache, proxied: Proxied, mark: Marker, dead_s: float, *, kill: bool
) -> Iterator[None]:
    """Redis is dead (or refused) for a while, and then silent until the block ends."""
    assert cache.server is not None
    with ExitStack() as mended:
        mended.enter_context(killed(cache.server, proxied) if kill else proxied.down())
        wait_until(time.monotonic() + dead_s)
        with proxied.black_hole():
            mended.close()
            mark("silent")
            yield


def _used_again(
    seen: RedisLoss, traffic: Traffic, books: Books, requests: Sequence[Request], within_s: float
) -> RedisLoss:
    """Ask until every request uses Redis as it did before, or time is up."""
    known = {cost.request: cost for cost in seen.costs if cost.answered and (cost.cached or cost.commands)}
    if seen.drill.doubt or not known:
        return seen
    wanted = [request for request in requests if request.label in known]
    began = time.monotonic()
    last: tuple[Cost, ...] = ()

    def as_before() -> bool:
        nonlocal last
        last = tuple(_repeated(traffic, books, request, known[request.label]) for request in wanted)
        return all(_as_good(now, known[now.request]) for now in last)

    used = wait_until(began + within_s, as_before, every_s=0.1)
    took = round(time.monotonic() - began, 3)
    return replace(seen, used_again_s=took if used else None, watched_s=took, after=last)


def _as_good(now: Cost, before: Cost) -> bool:
    return now.answered and now.again <= before.again and (now.commands > 0 or not before.commands)


def _repeated(traffic: Traffic, books: Books, request: Request, before: Cost) -> Cost:
    traffic.send(request, DEADLINE_S)
    statements, commands = books.statements(), books.commands()
    answer = traffic.send(request, DEADLINE_S)
    again = (books.statements() - statements).total()
    return replace(before, answered=answer.expected, again=again, commands=books.commands() - commands)


def redis_herd(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> RedisHerd:
    """Send a crowd for what is cached with Redis empty; then the traffic and the crowd without Redis."""
    cache, proxied = redis_of(environment)
    scene, application = Scene(environment, traffic, settings, progress), environment.application
    if doubt := steady_or_renewed(scene):
        return RedisHerd(doubt=f"the service was not steady before: {doubt}")
    progress("counting what requests cost with Redis empty and filled")
    books = Books(cache, environment.database)
    process = application.pid if application is not None else None
    processes = max(settings.pool.workers, len(application.processes()) if application is not None else 1)
    seen = RedisHerd(costs=costs(traffic, books, settings.traffic), processes=processes)
    asked = hot(settings.traffic, seen.costs)
    crowds = _Crowds(environment, traffic, settings, books, processes)
    if asked is not None:
        progress(f"a crowd for {asked.label} with Redis empty")
        seen = replace(seen, empty_crowd=crowds.come(asked))
    with proxied.down():
        progress("traffic, and a crowd, while Redis is refused")
        gone = tuple(_without(traffic, books, request, seen.costs) for request in settings.traffic)
        crowd = None if asked is None else crowds.come(asked, gone=True)
    unsteady = steady(scene)
    same = (
        None if application is None or process is None else application.alive and application.pid == process
    )
    if application is not None:
        application.ensure_ready()
    return replace(seen, gone=gone, gone_crowd=crowd, unsteady=unsteady, same_process=same)


def _without(traffic: Traffic, books: Books, request: Request, known: Sequence[Cost]) -> Cost:
    """What the costliest of some repeats cost; the first may find out that Redis is gone."""
    before = next(cost for cost in known if cost.request == request.label)
    answered, most = True, 0
    for number in range(REPEATS):
        statements = books.statements()
        answer = traffic.send(request, DEADLINE_S)
        answered = answered and (answer.expected or number == 0)
        most = max(most, (books.statements() - statements).total())
    return replace(before, answered=answered, again=most, commands=0)


class _Crowds:
    """Many requests at once for the same thing, over a slow database."""

    def __init__(
        self, environment: Environment, traffic: Traffic, settings: Settings, books: Books, processes: int
    ) -> None:
        self._traffic, self._books, self._limits = traffic, books, settings.failover
        self._environment = environment
        # Enough of them to tell loads by each process from loads by each request.
        enough = 4 * settings.failover.cold_loads * processes
        self._count = min(MOST_AT_ONCE, max(settings.failover.crowd, enough))

    def come(self, request: Request, *, gone: bool = False) -> Crowd | None:
        """Send them and count; None where there is no database to be slow."""
        database = self._environment.database
        if database is None or database.proxied is None:
            return None
        alone = self._alone(request, gone=gone)
        if not gone:
            empty(self._books.cache)
        before = self._books.statements()
        with database.proxied.latency(ms=SLOW_MS):
            answers = self._traffic.burst([request], self._count, self._limits.deadline_s)
        ran = self._books.statements() - before
        loads = max((-(-ran[query] // calls) for query, calls in alone.items()), default=0)
        return Crowd(request.label, _sent(answers), loads, ran.total(), alone.total())

    def _alone(self, request: Request, *, gone: bool) -> Calls:
        if not gone:
            empty(self._books.cache)
        before = self._books.statements()
        self._traffic.send(request, DEADLINE_S)
        return self._books.statements() - before


def _sent(answers: Sequence[Answer]) -> tuple[Sent, ...]:
    return tuple(
        Sent(a.request, round(a.at_s, 4), round(a.seconds, 4), a.status, a.expected, a.error) for a in answers
    )


def redis_of(environment: Environment) -> tuple[Cache, Proxied]:
    """The service's Redis and its proxy; an error where they aren't ours to fail."""
    cache = environment.cache
    if cache is None or cache.server is None or cache.proxied is None:
        raise ProdreadyError("there is no Redis of ours to fail")
    return cache, cache.proxied
