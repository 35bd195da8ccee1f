"""The checks of drills in which the database goes away again and again, or for long, from literals."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_prodready.checks.failover_outages import flapping_is_survived, long_outage_is_survived
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Backends, Drill
from pytest_prodready.probes.failover_outages import Flapping
from tests.unit.checks.drills import END_S, FAULT_S, HEALED_S, SETTINGS, drill, stream

ASKED = {"request": "liveness", "status": 503, "expected": False}
SIZED = SETTINGS.model_copy(update={"pool": SETTINGS.pool.model_copy(update={"size": 10})})


def totals(before: int, after: int) -> tuple[Backends, ...]:
    """Connections sampled before the fault and at the end."""
    return (Backends(0.5, before, 0), Backends(3.0, 0, 0), Backends(END_S - 0.2, after, 0))


def flapping(
    accepts: tuple[float, ...] | None = (2.0, 2.1), sessions: int | None = 60, **changes: Any
) -> Flapping:
    """A drill that went well: few attempts, as many connections as before."""
    given = {"backends": totals(10, 10), **changes}
    return Flapping(drill(accepted_at_s=accepts, **given), flaps=7, sessions=sessions)


STORM = tuple(2 + number / 1000 for number in range(400))


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (flapping(), Verdict.PASSED, "up to 2 attempts to connect in a second; 10 connections before and 10"),
        (flapping(backends=totals(3, 10)), Verdict.PASSED, "3 connections before and 10 after"),
        (flapping(accepts=None), Verdict.PASSED, "60 connections made"),
        (flapping(accepts=None, sessions=None), Verdict.INCONCLUSIVE, "attempts to connect not counted"),
        (flapping(backends=totals(10, 10)[1:]), Verdict.INCONCLUSIVE, "its connections not counted"),
        (flapping(accepts=None, sessions=None, after={"status": 503}), Verdict.FAILED, "not served again"),
        (flapping(during={}), Verdict.INCONCLUSIVE, "every request was served"),
        (flapping(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
        (flapping(backends=()), Verdict.INCONCLUSIVE, "connections not counted"),
        (flapping(accepts=STORM), Verdict.FAILED, "a storm of 400 attempts in a second"),
        (flapping(accepts=None, sessions=5000), Verdict.FAILED, "a storm of 5000 connections"),
        (flapping(backends=totals(10, 31)), Verdict.FAILED, "6 connections too many: a leak"),
        (flapping(after={"status": 503}), Verdict.FAILED, "not served again"),
        (flapping(same_process=False, last_words="boom"), Verdict.FAILED, "the process ended (boom)"),
        (flapping(health=stream(FAULT_S, END_S, **ASKED)), Verdict.FAILED, "liveness said"),
    ],
)
def test_flapping(seen: Flapping, verdict: Verdict, part: str) -> None:
    """No storm, no leak, and service afterwards."""
    finding = flapping_is_survived(seen, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


def test_a_declared_pool_is_the_bound() -> None:
    """With a pool of 10 declared, 11 connections are one too many, and 10 are none although 3 were there."""
    assert flapping_is_survived(flapping(backends=totals(10, 11)), SIZED).verdict is Verdict.FAILED
    assert flapping_is_survived(flapping(backends=totals(3, 10)), SIZED).verdict is Verdict.PASSED
    assert flapping_is_survived(flapping(backends=totals(14, 14)), SIZED).verdict is Verdict.PASSED


def late(by_s: float) -> tuple[Any, ...]:
    """Served again so long after the heal."""
    back = HEALED_S + by_s
    return (*stream(0.0, FAULT_S), *stream(FAULT_S, back, status=503), *stream(back, END_S + 8))


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (drill(), Verdict.PASSED, "49 x 503; served again"),
        (drill(sent=late(4.0)), Verdict.PASSED, "served again 4.0 s"),
        (drill(sent=late(9.6)), Verdict.FAILED, "served again 9.6 s"),
        (drill(after={"status": 503}), Verdict.FAILED, "not served again"),
        (drill(during={"status": 500}), Verdict.FAILED, "got 49 x 500"),
        (drill(same_process=False, last_words="gave up"), Verdict.FAILED, "the process ended (gave up)"),
        (drill(health=stream(FAULT_S, END_S, **ASKED)), Verdict.FAILED, "liveness said"),
        (drill(during={}), Verdict.INCONCLUSIVE, "every request was served"),
        (drill(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
    ],
)
def test_long_outage(seen: Drill, verdict: Verdict, part: str) -> None:
    """The same process, and back within the limit."""
    finding = long_outage_is_survived(seen, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


def test_a_late_return_is_advised_on() -> None:
    """Who comes back late is told of backoffs; who died is not."""
    assert "ceiling" in long_outage_is_survived(drill(sent=late(9.6)), SETTINGS).change
    dead = drill(after={"status": None, "error": "connection refused"}, same_process=False)
    assert not long_outage_is_survived(dead, SETTINGS).change
