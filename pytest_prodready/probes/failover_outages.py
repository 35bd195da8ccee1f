"""Drills in which the database goes away again and again, or for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.failover import MARGIN_S, database_of, proxy_of, refused
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

NOWHERE = "127.0.0.1:1"  # where nothing listens
LATE_S = 5.0  # beyond its limit, recovery from a long outage is watched for so much longer


@dataclass(frozen=True, slots=True)
class Flapping:
    """A drill in which the database went away and came back several times."""

    drill: Drill
    flaps: int
    sessions: int | None = None  # that the service began in the meantime; None: the server can't tell


def flap(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Flapping:
    """Let the database go away and come back, again and again."""
    limits, database, proxied = settings.failover, database_of(environment), proxy_of(environment)
    before = _sessions(database)
    fault = Fault(
        name="flap",
        words=f"the database away for {limits.flap_s:g} s and back as long, {limits.flaps} times",
        hold=lambda mark: flapping(proxied, limits.flap_s, limits.flaps, mark),
        seconds=limits.flap_s,
        recover_s=limits.recover_within_s + MARGIN_S,
        deadline_s=limits.deadline_s,
    )
    drill = run_drill(Scene(environment, traffic, settings, progress), fault)
    after = _sessions(database)
    return Flapping(drill, limits.flaps, None if before is None or after is None else after - before)


def long_outage(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Refuse the database's connections for longer than pools like to wait between two attempts."""
    limits = settings.failover
    scene = Scene(environment, traffic, settings, progress)
    return refused(scene, "long outage", limits.long_outage_s, limits.long_recover_within_s + LATE_S)


@contextmanager
def flapping(proxied: Proxied, each_s: float, times: int, mark: Marker) -> Iterator[None]:
    """Away and back so many times; the last time it is away until the block ends.

    Clients are accepted and closed at once meanwhile, as by a load balancer with nothing behind it: so the
    proxy counts how often they try.
    """
    for number in range(1, times):
        with away(proxied):
            mark(f"away {number}")
            wait_until(time.monotonic() + each_s)
        mark(f"back {number}")
        wait_until(time.monotonic() + each_s)
    with away(proxied):
        mark(f"away {times}")
        yield


@contextmanager
def away(proxied: Proxied) -> Iterator[None]:
    """The proxy accepts clients, finds nobody behind it, and closes them."""
    with proxied.upstream_switched(NOWHERE):
        yield


def _sessions(database: Database) -> int | None:
    with suppress(ProdreadyError, psycopg.Error):
        return database.sessions()
    return None
