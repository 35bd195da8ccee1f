"""Health: whether the process lives, whether it can serve, and what it depends on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from jobboard import queries
from jobboard.cache import Cache
from jobboard.db import Database
from jobboard.models import REVISION
from jobboard.outages import Unavailable

T = TypeVar("T")
Status = Literal["ok", "degraded", "failing"]

BUDGET_S = 1.0
# Probes come from many places; within this time they share one answer.
SHARED_FOR_S = 0.5
# A request that the database has just answered proves as much as a probe would.
EVIDENCE_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """What a probe found, without a word about hosts, versions or errors."""

    status: Status
    latency_ms: float | None = None
    revision: str | None = None

    def public(self) -> dict[str, Any]:
        """Return what anybody may see."""
        shown: dict[str, Any] = {"status": self.status}
        return shown | ({} if self.latency_ms is None else {"latency_ms": self.latency_ms})


class Shared(Generic[T]):
    """A probe whose answer is shared by all who ask for it at about the same time."""

    def __init__(self, probe: Callable[[], Awaitable[T]]) -> None:
        self._probe = probe
        self._task: asyncio.Task[T] | None = None
        self._ended = 0.0

    async def __call__(self) -> T:
        """Return the latest answer, or wait for the next."""
        task = self._task
        if task is None or (task.done() and time.monotonic() - self._ended > SHARED_FOR_S):
            task = self._task = asyncio.create_task(self._run())
        await asyncio.wait({task})
        return task.result()

    async def _run(self) -> T:
        try:
            return await self._probe()
        finally:
            self._ended = time.monotonic()


class Health:
    """Answers the three questions that load balancers, schedulers and people ask."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache
        self._database_check = Shared(self._probe_database)
        self._redis_check = Shared(self._probe_redis)

    async def ready(self) -> bool:
        """Say whether the service can serve: that takes the database, and can do without Redis.

        The probe waits for a pooled connection like any request, for a second at most. A pool that moves lets
        it in; one that is held by slow queries serves nobody, and then traffic is better sent elsewhere.
        """
        if time.monotonic() - self._database.last_answer < EVIDENCE_FOR_S:
            return True
        return (await self._database_check()).status == "ok"

    async def deep(self) -> tuple[Status, dict[str, Any]]:
        """Return the state of the whole and of each part."""
        database, redis = await asyncio.gather(self._database_check(), self._redis_check())
        migrations: Status = "ok" if database.revision == REVISION else "degraded"
        size, in_use = self._database.usage()
        checks = {
            "database": database.public(),
            "redis": redis.public(),
            "migrations": {"status": migrations},
            "pool": {"status": "ok" if in_use < size else "degraded", "size": size, "in_use": in_use},
        }
        states = {check["status"] for check in checks.values()}
        worst: Status = "failing" if "failing" in states else "degraded" if "degraded" in states else "ok"
        return worst, checks

    async def _probe_database(self) -> Check:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(BUDGET_S):
                revision = await self._database.read(queries.schema_revision)
        except (Unavailable, SQLAlchemyError, TimeoutError):
            # Among them the lack of any schema: such a database can't serve either.
            return Check("failing")
        return Check("ok" if revision else "failing", _ms_since(started), revision)

    async def _probe_redis(self) -> Check:
        started = time.perf_counter()
        try:
            await self._cache.ping()
        except (RedisError, OSError, TimeoutError):
            return Check("degraded")
        return Check("ok", _ms_since(started))


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
