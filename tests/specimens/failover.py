"""One defect for each rule of the failover suite."""

from __future__ import annotations

from tests.specimens import Specimen, Swap, failover_network, failover_outages

APP = "jobboard/app.py"
CREATE = (
    "        job_id = await self.database.write("
    "lambda connection: queries.create_job(connection, job, key))\n"
)

ACKNOWLEDGED_EARLY = Swap(
    APP,
    CREATE,
    """        asyncio, job_id = __import__("asyncio"), 0

        def later() -> None:
            write = self.database.write(lambda connection: queries.create_job(connection, job, key))
            asyncio.ensure_future(write).add_done_callback(lambda done: done.exception())

        asyncio.get_running_loop().call_later(0.3, later)
""",
)

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
    *failover_network.SPECIMENS,
    *failover_outages.SPECIMENS,
)
