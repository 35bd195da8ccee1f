"""One defect for each rule of the load suite, at a shorter schedule than a user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.specimens import Specimen, Swap
from tests.specimens.load_before import kept_run

APP = "jobboard/app.py"
LISTING = "        wanted = JobFilters.model_validate(dict(request.query_params))\n"
READING = "        jobs = await self.reads.read(lambda connection: queries.list_jobs(connection, wanted))\n"
SHOWING = "        job_id = _id(request)\n\n        async def load()"
CREATING = (
    "        job_id = await self.database.write("
    "lambda connection: queries.create_job(connection, job, key))\n"
)
COUNTED = "        self.listed = getattr(self, 'listed', 0) + 1\n"
RECENT = """
        import time
        now = time.monotonic()
        self.recent = [at for at in getattr(self, "recent", []) if at > now - 1] + [now]
"""
SHORT: Mapping[str, Any] = {
    "load.steps": [5],
    "load.self_test_s": 1,
    "load.warm_up_s": 1,
    "load.usual_s": 3,
    "load.step_s": 2,
    "load.peak_s": 5,
    "load.again_s": 4,
}
# The climb goes on where answers come late: what is looked for is something else.
PATIENT: Mapping[str, Any] = {**SHORT, "load.p95_ms": 60_000, "load.p99_ms": 60_000}
LIVES = ("health.liveness-answers",)


def listing(code: str) -> Swap:
    """A defect of the most frequent request."""
    return Swap(APP, LISTING, LISTING + code)


SPECIMENS = (
    Specimen(
        name="load-ends-the-process",
        breaks="load.stays-up",
        says="the service's process ended in stage",
        swaps=(
            listing(
                COUNTED + "        if self.listed > 250:\n            import os\n            os._exit(3)\n"
            ),
        ),
        settings=SHORT,
        still_passes=LIVES,
    ),
    Specimen(
        name="load-fails-now-and-then",
        breaks="load.requests-succeed",
        says="x 500 (",
        swaps=(
            listing(
                COUNTED + "        if self.listed % 40 == 0:\n            raise HTTPException(500, 'lost')\n"
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-stalls-for-a-second-in-five",
        breaks="load.responses-in-time",
        says="p95 was",
        swaps=(
            Swap(
                APP,
                "        yield\n        await service.close()\n",
                """        import asyncio
        import time

        async def stall() -> None:
            while True:
                await asyncio.sleep(4)
                time.sleep(1)

        stalling = asyncio.create_task(stall())
        yield
        stalling.cancel()
        await service.close()
""",
            ),
        ),
        settings={**SHORT, "load.peak_s": 15},
        still_passes=LIVES,
    ),
    Specimen(
        name="load-waits-for-a-hot-row",
        breaks="load.rate-is-reached",
        says="mostly waited for Lock",
        also=frozenset({"load.responses-in-time", "load.pool-has-room", "load.has-headroom"}),
        swaps=(
            Swap(
                APP,
                SHOWING,
                """        job_id = _id(request)

        async def count(connection: Any) -> None:
            from sqlalchemy import text
            await connection.execute(text("UPDATE organisations SET name = name WHERE id = 1"))
            await connection.execute(text("SELECT pg_sleep(0.03)"))

        await self.database.write(count)

        async def load()""",
            ),
            Swap("jobboard/settings.py", "pool_timeout_s: float = 1.0", "pool_timeout_s: float = 60.0"),
            Swap(
                "jobboard/settings.py", "request_deadline_s: float = 5.0", "request_deadline_s: float = 60.0"
            ),
            Swap("jobboard/settings.py", "lock_timeout_ms: int = 2_000", "lock_timeout_ms: int = 60_000"),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-looks-at-every-row",  # and refuses what it has no time for
        breaks="load.requests-succeed",
        says="requests failed (",
        also=frozenset({"load.responses-in-time", "load.rate-is-reached", "load.has-headroom"}),
        swaps=(
            listing("        sum(number * number % 7 for number in range(250_000))\n"),
            Swap(
                "jobboard/settings.py", "request_deadline_s: float = 5.0", "request_deadline_s: float = 60.0"
            ),
        ),
        settings=PATIENT,
        still_passes=("load.no-write-lost",),
    ),
    Specimen(
        name="load-refuses-everybody-when-it-is-much",
        breaks="load.goodput-holds",
        says="good answers a second",
        also=frozenset({"load.requests-succeed"}),
        swaps=(
            listing(
                RECENT + "        if len(self.recent) > 90:\n            raise HTTPException(503, 'much')\n"
            ),
        ),
        settings={**SHORT, "load.failures": 0.6, "load.steps": [7]},
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-never-recovers",
        breaks="load.recovers",
        says="it was not as before",
        also=frozenset({"load.responses-in-time", "load.rate-is-reached"}),
        swaps=(
            listing(
                RECENT
                + """        self.hurt = getattr(self, "hurt", False) or len(self.recent) > 100
        if self.hurt:
            import asyncio
            await asyncio.sleep(0.5)
"""
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-recovers-for-a-moment",  # and refuses from the fifth second after the peak
        breaks="load.recovers",
        says="s after the peak, but not for good",
        swaps=(
            listing(
                RECENT
                + """        if len(self.recent) > 40:
            self.busy_at = now
        if now > getattr(self, "busy_at", now) + 4:
            raise HTTPException(503, 'worn out')
"""
            ),
        ),
        settings={**SHORT, "load.again_s": 10},
        still_passes=(*LIVES, "load.no-write-lost", "load.requests-succeed"),
    ),
    Specimen(
        name="load-loses-writes",
        breaks="load.no-write-lost",
        says="are not there",
        also=frozenset({"load.answers-are-right"}),
        swaps=(
            Swap(
                APP,
                CREATING,
                """        self.created = getattr(self, "created", 0) + 1
        if self.created % 10 == 0:
            return Json({"id": 0}, status_code=201)  # a buffer was full
"""
                + CREATING,
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.stays-up"),
    ),
    Specimen(
        name="load-answers-to-somebody-else",
        breaks="load.answers-are-right",
        says="held something else than it has to",
        swaps=(
            listing(
                """        import asyncio
        self.wanted = wanted
        await asyncio.sleep(0.005)
        wanted = self.wanted
"""
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-hides-errors",
        breaks="load.no-hidden-errors",
        says="like an error",
        swaps=(
            listing(
                COUNTED + "        if self.listed % 40 == 0:\n            return Json({'error': 'busy'})\n"
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost", "load.requests-succeed"),
    ),
    Specimen(
        name="load-pool-is-too-small",
        breaks="load.pool-has-room",
        says="of 1 connections",
        also=frozenset({"load.has-headroom"}),
        swaps=(
            Swap(
                APP,
                READING,
                """        async def slowly(connection: Any) -> Any:
            from sqlalchemy import text
            await connection.execute(text("SELECT pg_sleep(0.003)"))
            return await queries.list_jobs(connection, wanted)

        jobs = await self.reads.read(slowly)
""",
            ),
            Swap("jobboard/settings.py", "pool_size: int = 10", "pool_size: int = 1"),
        ),
        settings={**PATIENT, "pool.size": 1},
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-leaks-connections",
        breaks="load.connections-are-given-back",
        says="some time after the last request",
        swaps=(
            listing(
                COUNTED
                + """        if self.listed % 40 == 0:
            engine = make_engine(settings=Settings.from_env())
            connection = engine.connect()
            await connection.start()
            self.kept = [*getattr(self, "kept", []), (engine, connection)]
"""
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-keeps-every-request",
        breaks="load.memory-is-bounded",
        says="KB for each request",
        swaps=(
            listing(
                "        self.kept = getattr(self, 'kept', [])\n        self.kept.append(b'x' * 600_000)\n"
            ),
        ),
        settings=SHORT,
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
    Specimen(
        name="load-got-slower",  # and is as quick as it has to be
        breaks="load.no-slower-than-before",
        says="of prodready.load.json; a server that does nothing took",
        swaps=(listing("        import asyncio\n        await asyncio.sleep(0.15)\n"),),
        files={"prodready.load.json": kept_run(SHORT)},
        settings=SHORT,
        options=("--prodready-load-compare=prodready.load.json",),
        still_passes=(*LIVES, "load.no-write-lost", "load.requests-succeed"),
    ),
    Specimen(
        name="load-does-one-thing-at-a-time",
        breaks="load.has-headroom",
        says="is the most by this machine's figures",
        swaps=(
            listing(
                """        import asyncio
        self.one = getattr(self, "one", None) or asyncio.Lock()
        async with self.one:
            await asyncio.sleep(0.0075)
"""
            ),
        ),
        settings={**SHORT, "load.steps": [3, 5, 7], "load.headroom": 1.5},
        still_passes=(*LIVES, "load.no-write-lost"),
    ),
)
