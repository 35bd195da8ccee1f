"""Drills with a standby: it is promoted, and the service has to follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from pytest_prodready.environment import failures
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.standby import Standby
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.drill_run import Fault, Marker, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.failover import MARGIN_S
from pytest_prodready.probes.pool_hold import warm
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

POOL = 10  # connections, where [pool] size isn't given
Failure = Callable[[Standby, Marker], AbstractContextManager[object]]


def promotion(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Kill the primary, promote the standby, and lead new connections to it."""
    words = f"PostgreSQL killed, its {settings.failover.standby} standby promoted"
    scene = Scene(environment, traffic, settings, progress)
    return _drill(scene, "promotion", words, failures.failed_over)


def demotion(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Drill:
    """Make the primary read-only and its standby the primary; live connections stay where they are."""
    words = "the primary became a read-only standby of its successor"
    scene = Scene(environment, traffic, settings, progress)
    return _drill(scene, "demotion", words, failures.stale_primary)


def _drill(scene: Scene, name: str, words: str, failure: Failure) -> Drill:
    limits = scene.settings.failover
    assert limits.standby is not None
    scene.progress(f"{name}: starting a standby")
    with scene.environment.standby(limits.standby) as standby:
        fault = Fault(
            name=name,
            words=words,
            hold=lambda mark: _healed_by_the_switch(scene, standby, failure, mark),
            seconds=0.0,
            recover_s=limits.follow_within_s + MARGIN_S,
            deadline_s=limits.deadline_s,
            heals_inside=True,
            rows_of=standby.database,
        )
        return run_drill(scene, fault)


@contextmanager
def _healed_by_the_switch(scene: Scene, standby: Standby, failure: Failure, mark: Marker) -> Iterator[None]:
    """The failure, healed once new connections reach the new primary: the rest is the service's."""

    def told(name: str) -> None:
        if name == "demoted":
            # The whole pool is at the demoted primary: a few good connections would hide the bad ones.
            capacity = scene.settings.pool_here.capacity or POOL
            warm(scene.traffic, standby.primary, scene.settings.traffic, capacity)
        if name == "switched":
            mark("healed")
        mark(name)

    with failure(standby, told):
        yield
