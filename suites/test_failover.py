"""Failover: a server fails and comes back; the service lives through it and loses nothing."""

from __future__ import annotations

from pytest_prodready.checks import failover
from pytest_prodready.probes.drill import Drill
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("failover.outage-is-survived")
def test_outage_is_survived(drill_outage: Drill, limits: Settings, conclude: Conclude) -> None:
    """While the database is away requests are refused quickly; soon after it is back they are served."""
    conclude(failover.outage_is_survived(drill_outage, limits))


@proves("failover.crash-loses-no-write")
def test_crash_loses_no_write(drill_crash: Drill, limits: Settings, conclude: Conclude) -> None:
    """What was acknowledged before the database crashed is there afterwards."""
    conclude(failover.crash_loses_no_write(drill_crash, limits))


@proves("failover.no-write-twice")
def test_no_write_twice(drill_lost_commits: Drill, limits: Settings, conclude: Conclude) -> None:
    """A write whose answer was lost is there once, however often it is sent."""
    conclude(failover.no_write_twice(drill_lost_commits, limits))
