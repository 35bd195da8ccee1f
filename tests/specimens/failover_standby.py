"""One defect for each rule of the failover suite that needs a standby."""

from __future__ import annotations

from typing import Any

from tests.specimens import Specimen, Swap

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
SYNCHRONOUS: dict[str, Any] = {"failover.standby": "synchronous"}

SPECIMENS = (
    Specimen(
        name="failover-breaker-stays-open",
        breaks="failover.promotion-is-followed",
        says="after the switch",
        swaps=(
            Swap(
                "jobboard/db.py",
                "        if len(self._running) >= self._most:\n",
                "        if getattr(self, 'broken', False):\n"
                '            raise Unavailable("Broken")\n'
                "        if len(self._running) >= self._most:\n",
            ),
            Swap(
                "jobboard/db.py",
                "            # Outside an except clause, so that an outage",
                "            self.broken = True\n            # Outside an except clause, so that an outage",
            ),
        ),
        settings=SYNCHRONOUS,
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-acknowledged-too-early-for-the-standby",
        breaks="failover.promotion-loses-nothing",
        says="of them lost",
        swaps=(ACKNOWLEDGED_EARLY,),
        settings=SYNCHRONOUS,
        still_passes=("health.liveness-answers",),
    ),
    Specimen(
        name="failover-keeps-a-demoted-primary",
        breaks="failover.read-only-primary-is-left",
        says="no write was served",
        swaps=(
            Swap(
                "jobboard/db.py",
                '    event.listen(engine.sync_engine, "handle_error", _leave_a_demoted_primary)\n',
                "",
            ),
        ),
        settings=SYNCHRONOUS,
        still_passes=("health.liveness-answers",),
    ),
)
