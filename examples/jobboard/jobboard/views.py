"""How often each job was viewed: a number in Redis."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

from jobboard.cache import FAILURES, PREFIX
from jobboard.redis_client import leave

log = logging.getLogger(__name__)

KEPT_S = 30 * 24 * 3600


class Uncounted(Exception):
    """Redis can't count now, or didn't say whether it has: the client decides whether to count again."""


class Views:
    """Counts views, each once at most: the client never sends a command again."""

    def __init__(self, client: Redis | None, limit_s: float) -> None:
        self._client = client
        self._limit_s = limit_s

    async def add(self, job_id: int) -> int:
        """Count a view, and return the number."""
        if self._client is None:
            raise Uncounted
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(_key(job_id))
            pipeline.expire(_key(job_id), KEPT_S)
            return int((await self._answer(pipeline.execute()))[0])

    async def number(self, job_id: int) -> int:
        """Return the number of views."""
        if self._client is None:
            raise Uncounted
        return int(await self._answer(self._client.get(_key(job_id))) or 0)

    async def _answer(self, command: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._limit_s):
                return await command
        except FAILURES as error:
            log.warning("views unavailable", extra={"error": type(error).__name__})
            if isinstance(error, ReadOnlyError) and self._client is not None:
                leave(self._client)
            raise Uncounted from None


def _key(job_id: int) -> str:
    return f"{PREFIX}views:{job_id}"
