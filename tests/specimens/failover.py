"""One defect for each rule of the failover suite."""

from __future__ import annotations

from tests.specimens import (
    Specimen,
    Swap,
    failover_moved,
    failover_network,
    failover_outages,
    failover_redis,
    failover_replica,
    failover_standby,
)
from tests.specimens.failover_standby import ACKNOWLEDGED_EARLY, APP, CREATE

SPECIMENS = (
    Specimen(
        name="failover-outage-is-an-internal-error",
        breaks="failover.outage-is-survived",
        says="500",
        swaps=(
            Swap(
                "jobboard/outages.py",
                "return Unavailable(type(error.orig).__name__, error) if passing else None",
                "return None",
            ),
        ),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-acknowledged-before-commit",
        breaks="failover.crash-loses-no-write",
        says="acknowledged writes lost",
        swaps=(ACKNOWLEDGED_EARLY,),
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-retries-what-may-have-happened",
        breaks="failover.no-write-twice",
        says="there more than once",
        swaps=(
            Swap(
                APP,
                CREATE,
                """        from jobboard.outages import Unavailable
        for attempt in range(3):
            try:
                job_id = await self.database.write(
                    lambda connection: queries.create_job(connection, job, None)
                )
                break
            except Unavailable:
                if attempt == 2:
                    raise
""",
            ),
        ),
        still_passes=("health.liveness-answers",),
    ),
    *failover_moved.SPECIMENS,
    *failover_network.SPECIMENS,
    *failover_outages.SPECIMENS,
    *failover_redis.SPECIMENS,
    *failover_replica.SPECIMENS,
    *failover_standby.SPECIMENS,
)
