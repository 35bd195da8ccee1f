"""Defects of health checks and of shutdown."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

APP = "jobboard/app.py"
HEALTH = "jobboard/health.py"
MAIN = "jobboard/__main__.py"
SERVER = "jobboard/server.py"
CACHE = "jobboard/cache.py"

LIVE = '''nothing outside of it is asked, nor able to have it restarted."""
        return Json({"status": "ok"})'''
LIVE_HEAD = LIVE.partition("\n")[0]
READY = "        if await self.health.ready():\n"
NOT_READY = (
    """        return Json({"status": "unavailable"}, status_code=503, headers={"Retry-After": "1"})"""
)
DEEP = "        status, checks = await self.health.deep()\n"
PUBLIC = 'shown: dict[str, Any] = {"status": self.status}'
REPORT = '''"""A report that runs beside the service, on a connection that nobody ends."""

import os
import threading

import psycopg


def start() -> None:
    """Run the report for ever in a thread."""
    threading.Thread(target=_run, daemon=True).start()


def _run() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        while True:
            connection.execute("SELECT pg_sleep(25)")
'''

SPECIMENS = (
    Specimen(
        name="liveness-wants-a-login",
        breaks="health.liveness-answers",
        says="401",
        also=frozenset(
            {
                "health.liveness-ignores-database",
                "health.liveness-asks-no-backend",
                "health.liveness-survives-full-pool",
            }
        ),
        swaps=(Swap(APP, LIVE, f'{LIVE_HEAD}\n        return Json({{"error": "log in"}}, status_code=401)'),),
        still_passes=("health.readiness-answers", "health.deep-answers"),
    ),
    Specimen(
        name="readiness-takes-its-time",
        breaks="health.readiness-answers",
        says="late",
        swaps=(Swap(APP, READY, f'        await __import__("asyncio").sleep(2.2)\n{READY}'),),
        still_passes=("health.liveness-answers", "health.deep-answers"),
    ),
    Specimen(
        name="deep-says-only-ok",
        breaks="health.deep-answers",
        says="names no dependency",
        also=frozenset({"health.deep-names-dependency"}),
        swaps=(Swap(APP, DEEP, f"{DEEP}        checks = {{}}\n"),),
        still_passes=("health.liveness-answers", "health.readiness-answers"),
    ),
    Specimen(
        name="readiness-tells-the-dsn",
        breaks="health.tells-no-secrets",
        says="a known secret",
        swaps=(
            Swap(
                APP,
                NOT_READY,
                """        dsn = __import__("os").environ["DATABASE_URL"]
        return Json({"status": "unavailable", "database": dsn}, status_code=503)""",
            ),
        ),
        still_passes=("health.readiness-answers", "health.readiness-follows-database"),
    ),
    Specimen(
        name="deep-tells-the-version",
        breaks="health.tells-no-secrets",
        says="PostgreSQL 15.3",
        swaps=(Swap(HEALTH, PUBLIC, f'{PUBLIC[:-1]}, "server": "PostgreSQL 15.3"}}'),),
        still_passes=("health.deep-answers", "health.readiness-answers"),
    ),
    Specimen(
        name="deep-tells-the-error",
        breaks="health.tells-no-secrets",
        says="OperationalError",
        swaps=(
            Swap(HEALTH, "SQLAlchemyError, TimeoutError):\n", "SQLAlchemyError, TimeoutError) as error:\n"),
            Swap(
                HEALTH,
                'return Check("failing")',
                'return Check("failing", revision=f"psycopg.{error}")',
            ),
            Swap(HEALTH, PUBLIC, f'{PUBLIC[:-1]}, "detail": self.revision}}'),
        ),
        still_passes=("health.deep-answers", "health.readiness-answers"),
    ),
    Specimen(
        name="readiness-is-a-constant",
        breaks="health.readiness-follows-database",
        says="never fell",
        swaps=(Swap(APP, READY, "        if True:\n"),),
        still_passes=("health.liveness-ignores-database", "health.deep-names-dependency"),
    ),
    Specimen(
        name="readiness-never-comes-back",
        breaks="health.readiness-follows-database",
        says="was not back",
        swaps=(
            Swap(
                APP,
                READY,
                """        self.lost = getattr(self, "lost", False) or not await self.health.ready()
        if not self.lost:
""",
            ),
        ),
        still_passes=("health.liveness-ignores-database", "health.deep-names-dependency"),
    ),
    Specimen(
        name="dies-with-the-database",
        breaks="health.readiness-follows-database",
        says="the process ended",
        also=frozenset({"health.liveness-ignores-database", "health.readiness-never-hangs"}),
        swaps=(Swap(APP, NOT_READY, '        __import__("os")._exit(1)'),),
        still_passes=("health.readiness-answers", "health.deep-answers"),
    ),
    Specimen(
        name="readiness-has-no-deadline",
        breaks="health.readiness-never-hangs",
        says="hung",
        swaps=(Swap(HEALTH, "asyncio.timeout(BUDGET_S)", "asyncio.timeout(None)"),),
        settings={"service.env.JOBBOARD_REQUEST_DEADLINE_S": "60"},
        still_passes=("health.readiness-answers", "health.liveness-ignores-database"),
    ),
    Specimen(
        name="liveness-is-readiness",
        breaks="health.liveness-ignores-database",
        says="503",
        also=frozenset({"health.liveness-survives-full-pool"}),
        swaps=(Swap(APP, LIVE, f"{LIVE_HEAD}\n        return await self.ready(_)"),),
        still_passes=("health.readiness-answers", "health.readiness-follows-database"),
    ),
    Specimen(
        name="liveness-queries-the-database",
        breaks="health.liveness-asks-no-backend",
        says="caused",
        swaps=(
            Swap(
                APP,
                LIVE,
                f"""{LIVE_HEAD}
        asyncio = __import__("asyncio")
        try:
            await asyncio.wait_for(self.database.read(queries.schema_revision), 0.2)
        except Exception:
            pass
        return Json({{"status": "ok"}})""",
            ),
        ),
        still_passes=("health.liveness-answers", "health.readiness-answers"),
    ),
    Specimen(
        name="liveness-takes-a-connection",
        breaks="health.liveness-survives-full-pool",
        says="500",
        also=frozenset({"health.liveness-ignores-database"}),
        swaps=(
            Swap(
                APP,
                LIVE,
                f"""{LIVE_HEAD}
        async with self.database._engine.connect():
            return Json({{"status": "ok"}})""",
            ),
        ),
        still_passes=("health.liveness-answers", "health.readiness-answers"),
    ),
    Specimen(
        name="redis-is-required",
        breaks="health.optional-redis",
        says="failed",
        swaps=(
            Swap(
                CACHE,
                "        except FAILURES as error:\n            self._breaker.failed()\n",
                "        except FAILURES as error:\n            raise\n",
            ),
        ),
        still_passes=("health.readiness-answers", "health.liveness-answers"),
    ),
    Specimen(
        name="redis-is-waited-for",
        breaks="health.optional-redis",
        says="Redis silent",
        settings={"service.env.JOBBOARD_REDIS_TIMEOUT_S": "60"},
        still_passes=("health.readiness-answers", "health.liveness-answers"),
    ),
    Specimen(
        name="deep-is-always-ok",
        breaks="health.deep-names-dependency",
        says="still",
        swaps=(
            Swap(
                APP,
                DEEP,
                """        status, checks = "ok", {"database": {"status": "ok"}, "redis": {"status": "ok"}}
""",
            ),
        ),
        still_passes=("health.deep-answers", "health.readiness-follows-database"),
    ),
    Specimen(
        name="deep-blames-everything",
        breaks="health.deep-names-dependency",
        says="every dependency at once",
        swaps=(
            Swap(APP, DEEP, f'{DEEP}        checks = {{name: {{"status": status}} for name in checks}}\n'),
        ),
        still_passes=("health.deep-answers", "health.readiness-follows-database"),
    ),
    Specimen(
        name="ends-at-once",
        breaks="health.shutdown-finishes-requests",
        says="cut off",
        also=frozenset({"health.shutdown-drains"}),
        swaps=(
            Swap(
                SERVER,
                "        self._service.draining = True\n",
                '        __import__("os")._exit(0)\n',
            ),
        ),
        still_passes=("health.shutdown-in-time", "health.shutdown-leaves-no-backend"),
    ),
    Specimen(
        name="closes-its-door-at-once",
        breaks="health.shutdown-drains",
        says="not served",
        settings={"service.env.JOBBOARD_DRAIN_S": "0"},
        still_passes=("health.shutdown-in-time", "health.shutdown-finishes-requests"),
    ),
    Specimen(
        name="a-thread-outlives-sigterm",
        breaks="health.shutdown-in-time",
        says="still alive",
        swaps=(
            Swap(
                MAIN,
                "    server.run()\n",
                """    import threading, time
    threading.Thread(target=time.sleep, args=(60,)).start()
    server.run()
""",
            ),
        ),
        settings={"health.grace_s": 3},
        still_passes=("health.shutdown-drains", "health.shutdown-finishes-requests"),
    ),
    Specimen(
        name="a-report-outlives-the-service",
        breaks="health.shutdown-leaves-no-backend",
        says="active",
        swaps=(
            Swap(
                MAIN,
                "    server.run()\n",
                "    from jobboard import report\n    report.start()\n    server.run()\n",
            ),
        ),
        files={"jobboard/report.py": REPORT},
        still_passes=("health.shutdown-drains", "health.shutdown-finishes-requests"),
    ),
    Specimen(
        name="answers-before-it-commits",
        breaks="health.writes-survive-sigterm",
        says="lost",
        also=frozenset({"health.shutdown-drains"}),
        swaps=(
            Swap(
                APP,
                "        job_id = await self.database.write("
                "lambda connection: queries.create_job(connection, job, key))\n",
                """        asyncio, job_id = __import__("asyncio"), 0

        def later() -> None:
            write = self.database.write(lambda connection: queries.create_job(connection, job, key))
            asyncio.ensure_future(write)

        asyncio.get_running_loop().call_later(1.0, later)
""",
            ),
        ),
        settings={"service.env.JOBBOARD_DRAIN_S": "0"},
        still_passes=("health.shutdown-in-time", "health.readiness-answers"),
    ),
)
