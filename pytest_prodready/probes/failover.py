"""The drills of the failover suite: which server fails, how, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import sql

from pytest_prodready.environment import failures
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

MARGIN_S = 5.0  # recovery is watched for longer than it may take, to tell late from never
UNKNOWN_S = 1.5  # without answers, after the cut
COMMITS_WITHIN_S = 3.0
NOBODY = "prodready_nobody"


def outage(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Cut and refuse the database's connections for a while."""
    limits = settings.failover
    scene = Scene(environment, traffic, settings, progress)
    return refused(scene, "outage", limits.outage_s, limits.recover_within_s + MARGIN_S)


def refused(scene: Scene, name: str, seconds: float, recover_s: float) -> Drill:
    """Cut and refuse the database's connections for so long."""
    proxied = proxy_of(scene.environment)
    fault = Fault(
        name=name,
        words=f"connections to the database refused for {seconds:g} s",
        hold=lambda _: proxied.down(),
        seconds=seconds,
        recover_s=recover_s,
        deadline_s=scene.settings.failover.deadline_s,
    )
    return run_drill(scene, fault)


def crash(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Kill PostgreSQL with all its processes, and start it again on the same data."""
    server = database_of(environment).server
    assert server is not None
    fault = Fault(
        name="crash",
        words="PostgreSQL killed and started again",
        hold=lambda _: failures.killed(server, proxy_of(environment)),
        seconds=0.5,
        recover_s=settings.failover.recover_within_s + MARGIN_S,
        deadline_s=settings.failover.deadline_s,
    )
    return run_drill(Scene(environment, traffic, settings, progress), fault)


def lost_commits(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Cut the service off while its transactions have been written and COMMIT has not been answered."""
    database, proxied = database_of(environment), proxy_of(environment)
    fault = Fault(
        name="lost commits",
        words="connections cut while COMMIT was under way",
        hold=lambda mark: commits_unanswered(database, proxied, mark),
        seconds=UNKNOWN_S,
        recover_s=settings.failover.recover_within_s + MARGIN_S,
        deadline_s=settings.failover.deadline_s,
    )
    return run_drill(Scene(environment, traffic, settings, progress), fault)


@contextmanager
def commits_unanswered(database: Database, proxied: Proxied, mark: Marker) -> Iterator[None]:
    """Let COMMIT write and not answer, cut the connections that wait for it; later answer again.

    A synchronous standby that doesn't exist does that: a transaction is durable, its client hears nothing.
    """
    try:
        _set_standbys(database, NOBODY)
        if wait_until(time.monotonic() + COMMITS_WITHIN_S, lambda: _waiting_for_standby(database) > 0):
            proxied.cut()
            mark("cut")
        yield
    finally:
        _set_standbys(database, None)


def _set_standbys(database: Database, names: str | None) -> None:
    with database.admin() as admin:
        if names is None:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        else:
            admin.execute(
                sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(names))
            )
        admin.execute("SELECT pg_reload_conf()")


def _waiting_for_standby(database: Database) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'SyncRep'"
    with database.admin() as admin:
        row = admin.execute(query, (database.user,)).fetchone()
    return int(row[0]) if row else 0


def database_of(environment: Environment) -> Database:
    """The service's database; an error where there is none of ours."""
    if environment.database is None or environment.database.server is None:
        raise ProdreadyError("there is no database of ours to fail")
    return environment.database


def proxy_of(environment: Environment) -> Proxied:
    """The proxy in front of the database; an error where there is none."""
    proxied = database_of(environment).proxied
    if proxied is None:
        raise ProdreadyError("the service reaches its database without a fault proxy")
    return proxied
