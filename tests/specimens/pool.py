"""Defects of the connection pool: each is the job board with one thing done wrong."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

SIZED_RIGHT = ("pool.fits-server", "pool.size-fits-traffic")
IN_PROCESS = ("pool.checkout-times-out", "pool.statement-timeout", "pool.idle-connections-retired")

LIST_READS = "jobs = await self.reads.read(lambda connection: queries.list_jobs(connection, wanted))"
CREATE_WRITES = "await self.database.write(lambda connection: queries.create_job(connection, job, key))"

# Connects before it forks: every process then talks on the same socket.
PREFORK = '''
"""A service of two processes that connects first and forks then."""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from jobboard.dsn import connection_parameters
from jobboard.settings import Settings

LIST = text("SELECT id, title FROM jobs ORDER BY id LIMIT 5")


def make_engine():
    return create_engine(
        "postgresql+psycopg://",
        connect_args=connection_parameters(Settings.from_env()),
        pool_size=5,
        max_overflow=0,
        pool_timeout=1,
        pool_pre_ping=True,
    )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/health"):
            return self.answer(200, {})
        try:
            with ENGINE.connect() as connection:
                rows = [row._asdict() for row in connection.execute(LIST)]
        except SQLAlchemyError:
            return self.answer(503, {})
        self.answer(200, rows)

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ENGINE = make_engine()

if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler, bind_and_activate=False)
    server.allow_reuse_address = True
    server.request_queue_size = 128
    server.server_bind()
    server.server_activate()
    with ENGINE.connect() as connection:
        connection.execute(LIST)
    for _ in range(2):
        if os.fork() == 0:
            server.serve_forever()
    os.wait()
'''

SPECIMENS = (
    Specimen(
        name="pool-too-many-replicas",
        breaks="pool.fits-server",
        says="20 replicas * 1 worker * 10 = 200 connections",
        settings={"pool.replicas": 20},
        still_passes=("pool.size-fits-traffic", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-overflows",
        breaks="pool.bounded",
        says="the service opened 30 connections for 30 requests",
        also=frozenset({"pool.checkout-times-out", "pool.excess-is-refused"}),
        swaps=(Swap("jobboard/db.py", "max_overflow=0,", "max_overflow=1000,"),),
        still_passes=("pool.fits-server", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-checkout-waits-for-a-minute",
        breaks="pool.checkout-times-out",
        says="waited longer than 3.0 s",
        also=frozenset({"pool.excess-is-refused"}),
        swaps=(Swap("jobboard/settings.py", "pool_timeout_s: float = 1.0", "pool_timeout_s: float = 60.0"),),
        still_passes=("pool.fits-server", "pool.statement-timeout", "pool.idle-connections-retired"),
    ),
    Specimen(
        name="pool-waits-for-ever",
        breaks="pool.excess-is-refused",
        says="20 waited longer than 3.0 s",
        also=frozenset({"pool.checkout-times-out"}),
        swaps=(Swap("jobboard/settings.py", "pool_timeout_s: float = 1.0", "pool_timeout_s: float = 60.0"),),
        still_passes=("pool.bounded", "pool.fits-server"),
    ),
    Specimen(
        name="pool-exhaustion-is-an-internal-error",
        breaks="pool.excess-is-refused",
        says="20 got 500",
        swaps=(Swap("jobboard/outages.py", 'return Unavailable("PoolExhausted")', "return None"),),
        still_passes=("pool.bounded", "pool.recovers-after-exhaustion"),
    ),
    Specimen(
        name="pool-breaker-stays-open",
        breaks="pool.recovers-after-exhaustion",
        says="it served nothing for",
        also=frozenset(
            {
                "pool.connect-times-out",
                "pool.excess-is-refused",
                "pool.lock-wait-is-bounded",
                "pool.no-reconnect-storm",
                "pool.refusal-is-survived",
            }
        ),
        swaps=(
            Swap(
                "jobboard/db.py",
                'self.last_answer = float("-inf")',
                'self.last_answer = float("-inf")\n        self._closed_until = 0.0',
            ),
            Swap(
                "jobboard/db.py",
                "if len(self._running) >= self._most:",
                "if len(self._running) >= self._most or time.monotonic() < self._closed_until:",
            ),
            Swap(
                "jobboard/db.py",
                "            raise as_outage(error) or error",
                "            self._closed_until = time.monotonic() + 60\n"
                "            raise as_outage(error) or error",
            ),
        ),
        still_passes=("pool.fits-server", *IN_PROCESS),
    ),
    Specimen(
        name="pool-leaks-on-an-error-path",
        breaks="pool.error-paths-return-connections",
        says="connections were not given back",
        swaps=(
            Swap("jobboard/app.py", "class Service:", "LEAKED: list[Any] = []\n\n\nclass Service:"),
            Swap(
                "jobboard/app.py",
                "        if job is None:\n",
                "        if job is None:\n"
                "            LEAKED.append(await self.database._engine.connect())  # and never closed\n",
            ),
        ),
        still_passes=("pool.bounded", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-leaks-in-a-transaction",
        breaks="pool.error-paths-return-connections",
        says="idle in transaction",
        swaps=(
            Swap("jobboard/app.py", "class Service:", "LEAKED: list[Any] = []\n\n\nclass Service:"),
            Swap(
                "jobboard/app.py",
                "        if job is None:\n",
                "        if job is None:\n"
                "            LEAKED.append(await self.database._engine.connect())\n"
                "            await queries.job_detail(LEAKED[-1], job_id)\n",
            ),
        ),
        still_passes=("pool.fits-server", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-leaks-on-cancellation",
        breaks="pool.aborted-requests-return-connections",
        says="after 10 requests aborted mid-query",
        swaps=(
            Swap(
                "jobboard/db.py", "class Database:", "KEPT: list[AsyncConnection] = []\n\n\nclass Database:"
            ),
            Swap(
                "jobboard/db.py",
                "            self._abandon(task)\n",
                "            self._abandon(task)\n"
                "            KEPT.append(await self._engine.connect())  # to note who went away, some day\n",
            ),
        ),
        still_passes=("pool.bounded", "pool.error-paths-return-connections"),
    ),
    Specimen(
        name="pool-nested-checkout",
        breaks="pool.no-deadlock",
        says="10 requests at once over a pool of 10",
        also=frozenset({"pool.aborted-requests-return-connections", "pool.lost-connections-are-replaced"}),
        swaps=(
            Swap(
                "jobboard/app.py",
                LIST_READS,
                "async def with_revision(connection: Any) -> Any:\n"
                "            await self.database.read(queries.schema_revision)\n"
                "            return await queries.list_jobs(connection, wanted)\n\n"
                "        jobs = await self.database.read(with_revision)",
            ),
        ),
        still_passes=("pool.fits-server", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-redis-inside-the-transaction",
        breaks="pool.no-idle-in-transaction",
        says="idle in a transaction, for up to",
        swaps=(
            Swap(
                "jobboard/app.py",
                f"job_id = {CREATE_WRITES}",
                "async def create(connection: Any) -> int:\n"
                "            made = await queries.create_job(connection, job, key)\n"
                "            await self.cache.forget(_key(made))\n"
                "            return made\n\n"
                "        job_id = await self.database.write(create)",
            ),
        ),
        settings={"service.env.JOBBOARD_REDIS_TIMEOUT_S": "10"},
        still_passes=("pool.bounded", "pool.lock-wait-is-bounded"),
    ),
    Specimen(
        name="pool-blocking-driver-in-the-event-loop",
        breaks="pool.slow-query-is-isolated",
        says="blocked",
        also=frozenset(
            {
                "pool.excess-is-refused",
                "pool.lock-wait-is-bounded",
                "pool.refusal-is-survived",
                "pool.lost-connections-are-replaced",
            }
        ),
        swaps=(
            Swap("jobboard/app.py", "from jobboard import queries", "from jobboard import blocking, queries"),
            Swap("jobboard/app.py", LIST_READS, f"blocking.count_jobs()\n        {LIST_READS}"),
        ),
        files={
            "jobboard/blocking.py": '''
"""A query by a driver that blocks."""

import psycopg

from jobboard.dsn import connection_parameters
from jobboard.settings import Settings

CONNECTION: list[psycopg.Connection] = []


def count_jobs() -> None:
    if not CONNECTION or CONNECTION[0].closed:
        CONNECTION[:] = [psycopg.connect(**connection_parameters(Settings.from_env()), autocommit=True)]
    CONNECTION[0].execute("SELECT count(*) FROM organisations")
'''
        },
        still_passes=("pool.fits-server", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-no-lock-timeout",
        breaks="pool.lock-wait-is-bounded",
        says="3 waited as long as the lock was held",
        settings={
            "service.env.JOBBOARD_LOCK_TIMEOUT_MS": "60000",
            "service.env.JOBBOARD_REQUEST_DEADLINE_S": "60",
        },
        still_passes=("pool.bounded", "pool.excess-is-refused"),
    ),
    Specimen(
        name="pool-dies-when-refused",
        breaks="pool.refusal-is-survived",
        says="its process had ended",
        swaps=(
            Swap(
                "jobboard/outages.py",
                '    state = sqlstate(error) or ""\n',
                '    state = sqlstate(error) or ""\n'
                '    if state == "53300" or "too many connections" in str(error):\n'
                "        __import__('os')._exit(3)\n",
            ),
        ),
        still_passes=("pool.bounded", "pool.lost-connections-are-replaced"),
    ),
    Specimen(
        name="pool-refusal-is-an-internal-error",
        breaks="pool.refusal-is-survived",
        says="got 500",
        also=frozenset({"pool.connect-times-out"}),
        swaps=(
            Swap(
                "jobboard/outages.py",
                "return Unavailable(type(error.orig).__name__, error) if passing else None",
                "lost = error.connection_invalidated\n"
                "    return Unavailable(type(error.orig).__name__, error) if lost else None",
            ),
        ),
        still_passes=("pool.lost-connections-are-replaced", "pool.error-paths-return-connections"),
    ),
    Specimen(
        name="pool-no-pre-ping",
        breaks="pool.lost-connections-are-replaced",
        says="failed after",
        swaps=(
            Swap("jobboard/db.py", "pool_pre_ping=True", "pool_pre_ping=False"),
            Swap(
                "jobboard/db.py",
                "            if not outage.connection_lost:\n                raise",
                "            raise",
            ),
        ),
        still_passes=("pool.bounded", "pool.error-paths-return-connections"),
    ),
    Specimen(
        name="pool-reconnects-in-a-loop",
        breaks="pool.no-reconnect-storm",
        says="a storm",
        swaps=(
            Swap(
                "jobboard/db.py",
                "            return dialect.connect(*args, **parameters)",
                "            for _ in range(3):\n"
                "                dialect.connect(*args, **parameters).close()  # until it seems stable\n"
                "            return dialect.connect(*args, **parameters)",
            ),
        ),
        still_passes=("pool.bounded", "pool.lost-connections-are-replaced"),
    ),
    Specimen(
        name="pool-no-connect-timeout",
        breaks="pool.connect-times-out",
        says="3 not answered in time",
        swaps=(Swap("jobboard/dsn.py", '"connect_timeout": "2"', '"connect_timeout": "120"'),),
        settings={"service.env.JOBBOARD_REQUEST_DEADLINE_S": "60"},
        still_passes=("pool.bounded", "pool.lost-connections-are-replaced"),
    ),
    Specimen(
        name="pool-no-statement-timeout",
        breaks="pool.statement-timeout",
        says="statement_timeout is off; pg_sleep(2) ran to its end",
        swaps=(Swap("jobboard/dsn.py", '        "statement_timeout": settings.statement_timeout_ms,\n', ""),),
        settings={"pool.statement_timeout_s": 1},
        still_passes=("pool.checkout-times-out", "pool.idle-connections-retired"),
    ),
    Specimen(
        name="pool-never-recycles",
        breaks="pool.idle-connections-retired",
        says="gave out a connection that was 1801 s old",
        swaps=(Swap("jobboard/db.py", "pool_recycle=settings.pool_recycle_s", "pool_recycle=-1"),),
        still_passes=("pool.checkout-times-out", "pool.statement-timeout"),
    ),
    Specimen(
        name="pool-forks-after-connecting",
        breaks="pool.fork-safe",
        says="at the start 1 were shared",
        also=frozenset({"pool.excess-is-refused", "pool.idle-connections-retired"}),
        files={"prefork.py": PREFORK},
        settings={
            "service.command": "{python} prefork.py {port}",
            "service.engine": "prefork:make_engine",
            "pool.size": 5,
            "pool.workers": 2,
        },
        still_passes=("pool.fits-server",),
    ),
    Specimen(
        name="pool-too-small-for-its-traffic",
        breaks="pool.size-fits-traffic",
        says="5,000 requests a minute: the checklist advises 50 connections",
        settings={"pool.requests_per_minute": 5000},
        still_passes=("pool.fits-server",),
    ),
)
