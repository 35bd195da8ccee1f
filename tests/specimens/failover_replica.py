"""Defects of a service that reads from a replica."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

REPLICA = "jobboard/replica.py"
FRESH = "        if time.monotonic() - self._fresh_at < self._stale_after_s:\n"
SAYS = "were missing from reads sent later than 5 s"

SPECIMENS = (
    Specimen(
        name="failover-replica-trusted-blindly",
        breaks="failover.replica-reads-are-fresh",
        says=SAYS,
        swaps=(Swap(REPLICA, FRESH, "        if True:\n"),),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-replica-found-fresh-once",
        breaks="failover.replica-reads-are-fresh",
        says=SAYS,
        swaps=(Swap(REPLICA, FRESH, "        if self._fresh_at > 0:\n"),),
    ),
    Specimen(
        name="failover-replica-received-is-not-replayed",
        breaks="failover.replica-reads-are-fresh",
        says=SAYS,
        swaps=(Swap("jobboard/queries.py", "pg_last_wal_replay_lsn()", "pg_last_wal_receive_lsn()"),),
    ),
    Specimen(
        name="failover-replica-lag-is-an-error",
        breaks="failover.replica-reads-are-fresh",
        says="500 instead of the write or 503",
        swaps=(
            Swap(
                REPLICA,
                "        return await self._primary.read(work)\n\n    async def close",
                '        raise RuntimeError("the replica lags")\n\n    async def close',
            ),
            # Until it is known to be fresh there is nothing to read from but the primary.
            Swap(
                REPLICA,
                "        self._check_now_and_then(self._replica)\n",
                "        self._check_now_and_then(self._replica)\n"
                "        if self._fresh_at < 0:\n"
                "            return await self._primary.read(work)\n",
            ),
        ),
    ),
)
