"""Drills in which the database is there and its network isn't: stalled, dead, slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.drill_run import Fault, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.failover import MARGIN_S, database_of, proxy_of
from pytest_prodready.probes.holders import UNKNOWN, Usage, cached, runs_no_statement
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request, Settings

BEYOND_S = 2.0  # a fault outlasts the limit by so much, or what hangs would be answered by the heal in time
LATENCY_MS = 1000
JITTER_MS = 200
ASK_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class DeadPeer:
    """A drill in which packets were lost, or why they can't be lost here."""

    drill: Drill | None
    unsupported: str = ""


@dataclass(frozen=True, slots=True)
class SlowDatabase:
    """A drill in which every answer of the database was late."""

    drill: Drill
    free: tuple[str, ...]  # requests that run no statement: liveness, an unknown path, or neither
    cached: tuple[str, ...]  # declared ones that run none until the cache that answers them expires
    latency_ms: int = LATENCY_MS


def stall(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Hold back all data between the service and its database, both ways."""
    limits, proxied = settings.failover, proxy_of(environment)
    stall_s = max(limits.stall_s, limits.deadline_s + BEYOND_S)
    fault = Fault(
        name="stall",
        words=f"nothing delivered to or from the database for {stall_s:g} s",
        hold=lambda _: proxied.stalled(),
        seconds=stall_s,
        recover_s=limits.recover_within_s + MARGIN_S,
        deadline_s=stall_s + BEYOND_S,
    )
    return run_drill(Scene(environment, traffic, settings, progress), fault)


def dead_peer(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> DeadPeer:
    """Lose every packet between the service and its database, as a broken network does."""
    limits, proxied = settings.failover, proxy_of(environment)
    if reason := proxied.why_not("packet_loss"):
        return DeadPeer(None, reason)
    dead_s = limits.dead_peer_within_s + BEYOND_S
    fault = Fault(
        name="dead peer",
        words=f"every packet to and from the database lost for {dead_s:g} s",
        hold=lambda _: proxied.dropped(),
        seconds=dead_s,
        recover_s=limits.recover_within_s + MARGIN_S,
        deadline_s=dead_s + BEYOND_S,
    )
    return DeadPeer(run_drill(Scene(environment, traffic, settings, progress), fault))


def slow_database(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> SlowDatabase:
    """Delay every answer of the database, and send requests that need it and others that don't."""
    limits, proxied = settings.failover, proxy_of(environment)
    slow_s = max(limits.slow_s, limits.deadline_s + BEYOND_S)
    free = _free(traffic, database_of(environment), settings)
    unknown = (UNKNOWN,) if UNKNOWN.label in free else ()
    fault = Fault(
        name="slow database",
        words=f"answers of the database late by {LATENCY_MS} ± {JITTER_MS} ms for {slow_s:g} s",
        hold=lambda _: proxied.latency(LATENCY_MS, JITTER_MS),
        seconds=slow_s,
        recover_s=limits.recover_within_s + MARGIN_S,
        deadline_s=slow_s + BEYOND_S,
        requests=(*settings.traffic, *unknown),
    )
    drill = run_drill(Scene(environment, traffic, settings, progress), fault)
    return SlowDatabase(drill, free, tuple(each.label for each in cached(settings.traffic, usage)))


def _free(traffic: Traffic, database: Database, settings: Settings) -> tuple[str, ...]:
    """What runs no statement, of liveness and an unknown path."""
    liveness = settings.health.liveness
    asked = [*([Request(path=liveness, name="liveness")] if liveness else []), UNKNOWN]
    return tuple(each.label for each in asked if runs_no_statement(traffic, database, each, ASK_WITHIN_S))
