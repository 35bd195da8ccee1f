"""Reads from a replica, as long as it is known to be fresh; from the primary otherwise."""

import asyncio
import logging
import time
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from jobboard import queries
from jobboard.db import Database, Work
from jobboard.outages import Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

CHECKED_EVERY_S = 0.5


class Reads:
    """Sends reads to the replica, unless it may lag by more than the service promises.

    Neither the age of the last transaction nor what the replica has received tells its lag: the first grows
    while nobody writes, the second while nothing is replayed. What the primary had written at a moment, and the
    replica has replayed, does: the replica has everything up to that moment.
    """

    def __init__(self, primary: Database, replica: Database | None, stale_after_s: float) -> None:
        self._primary = primary
        self._replica = replica
        self._stale_after_s = stale_after_s
        self._check: asyncio.Task[None] | None = None
        self._checked_at = float("-inf")
        self._fresh_at = float("-inf")  # what was written until then is on the replica
        self._written, self._written_at = 0, float("-inf")  # by the primary, and when it said so

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, and can do with what was true a moment ago."""
        if self._replica is None:
            return await self._primary.read(work)
        self._check_now_and_then(self._replica)
        if time.monotonic() - self._fresh_at < self._stale_after_s:
            try:
                return await self._replica.read(work)
            except Unavailable:
                # Down, busy, or replaying what the query was in the way of: nobody else tries before the next check.
                self._fresh_at = float("-inf")
        return await self._primary.read(work)

    async def close(self) -> None:
        """Close the connections to the replica."""
        if self._check is not None:
            await asyncio.wait({self._check})
        if self._replica is not None:
            await self._replica.close()

    def _check_now_and_then(self, replica: Database) -> None:
        # In the background: no read waits for a replica that doesn't answer.
        due = time.monotonic() - self._checked_at > CHECKED_EVERY_S
        if due and (self._check is None or self._check.done()):
            self._checked_at = time.monotonic()
            self._check = asyncio.create_task(self._compare(replica))

    async def _compare(self, replica: Database) -> None:
        asked_at = time.monotonic()
        try:
            written = await self._primary.read(queries.wal_position)
            replayed = await replica.read(queries.wal_position)
        except (Unavailable, SQLAlchemyError):
            return
        if replayed >= self._written:
            self._fresh_at = self._written_at
            self._written, self._written_at = written, asked_at
