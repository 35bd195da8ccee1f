"""What is looked at while the load runs: backends ten times a second, and what the service uses."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
import redis

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.load import Counter, MachineLook, PoolLook, Stage, Usage
from pytest_prodready.probes.load_disturbed import Disturbance, disturbances
from pytest_prodready.probes.load_machine import Machine, with_service
from pytest_prodready.probes.load_servers import awaited, peak_rise
from pytest_prodready.probes.watching import every

POOL_EVERY_S = 0.1
USAGE_EVERY_S = 0.5
MACHINE_EVERY_S = 0.25
COUNT_EVERY_S = 1.0  # Postgres tells its counters no more often
LOOK_WITHIN_S = 5.0
SETTLED_AFTER_S = 2.0  # the last request: then the service has had time to let go of connections
LOCK = "Lock"
BACKENDS = """
    SELECT state, wait_event_type, wait_event FROM pg_stat_activity
    WHERE usename = %s AND backend_type = 'client backend'
"""
COUNTERS = (  # of pg_stat_database
    "xact_commit",
    "xact_rollback",
    "blks_read",
    "blks_hit",
    "temp_files",
    "temp_bytes",
    "deadlocks",
    "conflicts",
    "sessions",
)
REDIS_COUNTERS = (  # of INFO stats
    "total_commands_processed",
    "keyspace_hits",
    "keyspace_misses",
    "evicted_keys",
    "rejected_connections",
    "total_connections_received",
)


class Watch:
    """Looks at database and service from threads of its own."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._began = 0.0
        self._looks: list[PoolLook] = []
        self._usage: list[Usage] = []
        self._machine_looks: list[MachineLook] = []
        self._machine, self._apart = Machine(environment.run.folder), True
        self._waits: list[tuple[float, str]] = []
        self._counts: list[tuple[float, dict[str, float]]] = []
        database = environment.database
        self.sees_pool = database is not None and database.has_admin

    def begin(self, moment: float) -> None:
        """Times count from this moment (monotonic)."""
        self._began = moment

    @property
    def looks(self) -> tuple[PoolLook, ...]:
        """What was seen of the database so far; before the load began at less than 0 s."""
        return tuple(replace(each, at_s=round(each.at_s - self._began, 3)) for each in self._looks)

    @property
    def usage(self) -> tuple[Usage, ...]:
        """What was seen of the service so far."""
        return tuple(replace(each, at_s=round(each.at_s - self._began, 3)) for each in self._usage)

    def of_servers(self, stages: Sequence[Stage]) -> dict[str, Any]:
        """What the servers did at the peak, and what was waited for in which stage."""
        counted = [(at_s - self._began, count) for at_s, count in self._counts]
        # A count asks for its own time-out first, in a transaction of its own.
        counted_twice = [at_s for at_s, _ in self._counts for _ in range(2)]
        ours = [at_s - self._began for at_s in (*(each.at_s for each in self._looks), *counted_twice)]
        waits = [(at_s - self._began, what) for at_s, what in self._waits]
        counts = Counts(what for _, what in self._waits)
        overall = tuple(Counter(what, float(looks)) for what, looks in counts.items())
        return {
            "waits": overall,
            "peak_rise": peak_rise(counted, ours, stages),
            "awaited": awaited(waits, stages),
        }

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the block ends."""
        with ExitStack() as held:
            database = self._environment.database
            if database is not None and self.sees_pool:
                admin = held.enter_context(database.admin(within_s=LOOK_WITHIN_S))
                held.enter_context(every(POOL_EVERY_S, lambda: self._look(admin, database.user)))
            held.enter_context(every(COUNT_EVERY_S, self._count))
            held.enter_context(every(USAGE_EVERY_S, self._use))
            held.enter_context(every(MACHINE_EVERY_S, self._look_around))
            yield

    @property
    def machine(self) -> tuple[MachineLook, ...]:
        """Who had used this machine's processors by then."""
        looks = [replace(each, at_s=round(each.at_s - self._began, 3)) for each in self._machine_looks]
        return with_service(looks, self.usage if self._apart else ())

    @property
    def disturbances(self) -> tuple[Disturbance, ...]:
        """How much time anything that serves requests may have lost to others."""
        return disturbances(self.machine, self.usage if self._apart else None)

    def left(self) -> PoolLook | None:
        """The service's connections some time after the last request."""
        wait_until(time.monotonic() + SETTLED_AFTER_S, lambda: not self.sees_pool)
        database = self._environment.database
        if database is None or not self.sees_pool:
            return None
        with suppress(ProdreadyError, psycopg.Error), database.admin(within_s=LOOK_WITHIN_S) as admin:
            return pool_look(
                time.monotonic() - self._began, admin.execute(BACKENDS, (database.user,)).fetchall()
            )
        return None

    def _look(self, admin: Connection, user: str) -> None:
        rows = admin.execute(BACKENDS, (user,)).fetchall()
        now = time.monotonic()
        self._looks.append(pool_look(now, rows))
        self._waits.extend(
            (now, f"{kind}: {event}")
            for state, kind, event in rows
            if state == "active" and kind not in (None, "Client")
        )

    def _count(self) -> None:
        self._counts.append((time.monotonic(), counters(self._environment)))

    def _look_around(self) -> None:
        self._machine_looks.append(self._machine.look())
        application = self._environment.application
        if application is not None and self._machine.counts(application.pid):
            self._apart = False  # for good: it may end before the load does

    def _use(self) -> None:
        application = self._environment.application
        used = application.consumption() if application is not None else None
        if used is not None:
            delay = None if used.delay_s is None else round(used.delay_s, 3)
            self._usage.append(Usage(time.monotonic(), round(used.cpu_s, 3), round(used.memory_mb, 2), delay))


def pool_look(at_s: float, rows: Sequence[tuple[Any, ...]]) -> PoolLook:
    """What the backends of the service are at."""
    return PoolLook(
        at_s=round(at_s, 3),
        total=len(rows),
        in_use=sum(state not in (None, "idle") for state, _, _ in rows),
        idle_in_transaction=sum(str(state).startswith("idle in") for state, _, _ in rows),
        waiting=sum(state == "active" and kind == LOCK for state, kind, _ in rows),
    )


def counters(environment: Environment) -> dict[str, float]:
    """The servers' own counters by name; those that can't be had are left out."""
    found: dict[str, float] = {}
    with suppress(ProdreadyError, psycopg.Error):
        found |= _of_postgres(environment.database)
    with suppress(ProdreadyError, redis.RedisError):
        found |= _of_redis(environment.cache)
    return found


def _of_postgres(database: Database | None) -> dict[str, float]:
    if database is None or not database.has_admin:
        return {}
    query = f"SELECT {', '.join(COUNTERS)} FROM pg_stat_database WHERE datname = %s"  # noqa: S608 (names of ours)
    with database.admin() as admin:
        row = admin.execute(query.encode(), (database.name,)).fetchone()
    return {f"postgres {name}": float(value or 0) for name, value in zip(COUNTERS, row or (), strict=False)}


def _of_redis(cache: Cache | None) -> dict[str, float]:
    if cache is None:
        return {}
    with cache.client() as client:
        told: Any = client.info("stats")
    return {f"redis {name}": float(told[name]) for name in REDIS_COUNTERS if name in told}
