"""What requests cost at the database and at Redis, when nothing is cached and when it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from redis import RedisError

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request

IDLE_S = 0.5
DEADLINE_S = 10.0
BY_QUERY = """
    SELECT coalesce(s.queryid, 0), sum(s.calls)::bigint FROM pg_stat_statements s
    JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = %s GROUP BY 1
"""
# Ours among them, and those of opening, keeping and copying connections.
NO_WORK = frozenset(
    {"auth", "client", "command", "config", "flushall", "hello", "info", "ping", "psync", "quit", "replconf"}
    | {"failover", "replicaof", "role", "select", "slaveof"}
)

Calls = Counter[int]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one declared request cost when Redis was empty, and when it was repeated."""

    request: str
    cacheable: bool  # declared so
    answered: bool
    first: int  # statements, Redis being empty
    again: int  # statements of the repeat
    commands: int  # of the repeat, at Redis

    @property
    def cached(self) -> bool:
        """Whether the repeat spared the database something."""
        return self.answered and self.again < self.first


class Books:
    """Reads what the service did at its servers; what it does unasked is left out."""

    def __init__(self, cache: Cache, database: Database | None) -> None:
        self.cache = cache
        self._database = database if database is not None and database.has_admin else None
        self._idle: frozenset[int] = frozenset()
        before = self.statements()
        wait_until(time.monotonic() + IDLE_S)
        self._idle = frozenset(self.statements() - before)

    def statements(self) -> Calls:
        """Statements that the service ever ran, by query."""
        database = self._database
        if database is None:
            return Counter()
        with database.admin(database="postgres" if database.server else None) as admin:
            rows = admin.execute(BY_QUERY, (database.user,)).fetchall()
        return Counter({int(query): int(calls) for query, calls in rows if query not in self._idle})

    def commands(self) -> int:
        """Commands that Redis has executed since it was started, but for those of connecting."""
        return sum(commands_of(self.cache).values())


def empty(cache: Cache) -> None:
    """Take everything out of Redis."""
    try:
        with cache.client() as client:
            client.flushall()
    except RedisError as failure:
        raise ServerError(f"Redis could not be emptied: {type(failure).__name__}.") from None


def keys(cache: Cache) -> int:
    """How many keys Redis holds."""
    try:
        with cache.client() as client:
            return sum(int(database["keys"]) for database in client.info("keyspace").values())
    except RedisError as failure:
        raise ServerError(f"Redis could not be asked: {type(failure).__name__}.") from None


def commands_of(cache: Cache) -> Counter[str]:
    """How often each command that does some work was executed, since the server was started."""
    try:
        with cache.client() as client:
            stats = client.info("commandstats")
    except RedisError as failure:
        raise ServerError(f"Redis could not be asked: {type(failure).__name__}.") from None
    calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    return Counter({name: count for name, count in calls.items() if name.split("|")[0] not in NO_WORK})


def costs(
    traffic: Traffic, books: Books, requests: Sequence[Request], *, emptying: bool = True
) -> tuple[Cost, ...]:
    """Send each request with Redis empty (unless it may not be emptied), and once more."""
    return tuple(_cost(traffic, books, request, emptying) for request in requests)


def hot(requests: Sequence[Request], seen: Sequence[Cost]) -> Request | None:
    """The request whose answer is kept in Redis: one declared as cacheable rather than another."""
    cached = {cost.request for cost in seen if cost.cached}
    found = [request for request in requests if request.label in cached]
    return next((request for request in found if request.cacheable), found[0] if found else None)


def _cost(traffic: Traffic, books: Books, request: Request, emptying: bool) -> Cost:
    traffic.send(request, DEADLINE_S)  # connects and prepares what is only needed once
    if emptying:
        empty(books.cache)
    before = books.statements()
    first = traffic.send(request, DEADLINE_S)
    between, commands = books.statements(), books.commands()
    again = traffic.send(request, DEADLINE_S)
    return Cost(
        request=request.label,
        cacheable=request.cacheable,
        answered=first.expected and again.expected,
        first=(between - before).total(),
        again=(books.statements() - between).total(),
        commands=books.commands() - commands,
    )
