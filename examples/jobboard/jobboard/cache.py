"""The cache: it makes the service faster, and its loss only makes it slower."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from jobboard.redis_client import Breaker, leave

log = logging.getLogger(__name__)

Value = dict[str, Any]
Load = Callable[[], Awaitable[Value | None]]

PREFIX = "jobboard:"
FAILURES = (RedisError, OSError, TimeoutError)
# While Redis is lost, one request a second finds out whether it is back; the others go on without it.
PAUSE_S = 1.0
# Keys whose deletion failed; beyond this many, their time to live has to do.
MOST_OWED = 10_000


class Flight:
    """One load of a key, shared by all who ask for it at the same time."""

    def __init__(self, task: asyncio.Task[Value | None]) -> None:
        self.task = task
        self.waiting = 0


class Cache:
    """Remembers what is costly to load; every key has a prefix and a time to live."""

    def __init__(self, client: Redis | None, ttl_s: float, limit_s: float) -> None:
        self._client = client
        self._ttl_s = ttl_s
        self._limit_s = limit_s
        self._breaker = Breaker(PAUSE_S)
        self._flights: dict[str, Flight] = {}
        self._owed: set[str] = set()

    async def fetch(self, key: str, load: Load) -> Value | None:
        """Return the value of a key from Redis, or else load it, once for all who wait for it."""
        flight = self._flights.get(key)
        if flight is None:
            flight = Flight(asyncio.create_task(self._fetch(key, load)))
            self._flights[key] = flight
            flight.task.add_done_callback(_retrieve)
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                self._end(key, flight)
        return flight.task.result()

    async def forget(self, key: str) -> None:
        """Remove a key after a write; a load that began before the write will not be stored."""
        self._flights.pop(key, None)
        deleted = await self._attempt("delete", PREFIX + key)
        if deleted is None and self.configured and len(self._owed) < MOST_OWED:
            self._owed.add(key)

    async def ping(self) -> None:
        """Ask Redis for a sign of life, or raise."""
        if self._client is not None:
            async with asyncio.timeout(self._limit_s):
                await self._client.ping()

    @property
    def configured(self) -> bool:
        """Say whether there is a Redis at all."""
        return self._client is not None

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    def _end(self, key: str, flight: Flight) -> None:
        """Take a flight off the list: it has landed, or nobody waits for it any more."""
        flight.task.cancel()
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _fetch(self, key: str, load: Load) -> Value | None:
        value = await self._get(key)
        if value is not None:
            return value
        this = self._flights.get(key)
        value = await load()
        # A write in the meantime has taken this flight off the list: its value is already old.
        if value is not None and this is not None and self._flights.get(key) is this:
            await self._put(key, value)
        return value

    async def _get(self, key: str) -> Value | None:
        # A key that couldn't be deleted after a write is stale in Redis until it is written again.
        if key in self._owed:
            return None
        return _decoded(key, await self._attempt("get", PREFIX + key))

    async def _put(self, key: str, value: Value) -> None:
        # Spread, so that what was stored together doesn't expire together.
        ttl_ms = round(self._ttl_s * 1000 * random.uniform(0.9, 1.0))
        text = json.dumps({"key": key, "value": value})
        if await self._attempt("set", PREFIX + key, text, px=max(1, ttl_ms)):
            self._owed.discard(key)

    async def _attempt(self, command: str, *args: Any, **options: Any) -> Any:
        """Send a command within the limit; None stands for any failure."""
        if self._client is None or not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await getattr(self._client, command)(*args, **options)
        except ResponseError as error:
            self._refused(error)
            return None
        except FAILURES as error:
            self._breaker.failed()
            log.warning("cache unavailable", extra={"error": type(error).__name__})
            return None
        self._breaker.succeeded()
        return answer

    def _refused(self, error: ResponseError) -> None:
        if isinstance(error, ReadOnlyError) and self._client is not None:
            self._breaker.failed()
            leave(self._client)
        log.warning("cache refused a command", extra={"error": type(error).__name__})


def _retrieve(task: asyncio.Task[Value | None]) -> None:
    # Or else asyncio reports the error of a load that nobody waited for.
    if not task.cancelled():
        task.exception()


def _decoded(key: str, text: bytes | None) -> Value | None:
    """Return what was stored, or None for anything that this service didn't store under the key."""
    try:
        stored = json.loads(text or b"null")
    except ValueError:
        return None
    if not isinstance(stored, dict) or stored.get("key") != key or not isinstance(stored.get("value"), dict):
        return None
    value: Value = stored["value"]
    return value
