"""Verdicts about a lost Redis, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks.health_cache import optional_redis
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.health_cache import CacheLoss, Served
from pytest_prodready.settings import HealthSettings

LIMITS = HealthSettings()
PHASES = ("before", "refused", "silent", "after")


def served(request: str, phase: str, status: int | None = 200, seconds: float = 0.01) -> Served:
    """One answer."""
    return Served(request, phase, 0.0, seconds, status, status == 200, "" if status else "no answer")


WELL = tuple(served(request, phase) for phase in PHASES for request in ("readiness", "show", "show", "list"))
SEEN = CacheLoss(tried=True, connected=True, served=WELL, same_process=True)


def with_(*more: Served) -> CacheLoss:
    """All is well, but for these."""
    return replace(SEEN, served=(*WELL, *more))


def test_passes() -> None:
    """All as before passes."""
    assert optional_redis(SEEN, LIMITS).verdict is Verdict.PASSED


def test_deep_may_fail() -> None:
    """The deep check may say that Redis is gone."""
    seen = with_(served("deep", "before"), *[served("deep", phase, 503) for phase in PHASES[1:]])
    assert optional_redis(seen, LIMITS).verdict is Verdict.PASSED


def test_broken_before_is_not_blamed() -> None:
    """A request that failed already before isn't judged."""
    seen = with_(*[served("odd", phase, 500) for phase in PHASES])
    assert optional_redis(seen, LIMITS).verdict is Verdict.PASSED


def test_slow_by_nature_is_not_blamed() -> None:
    """A request that takes long anyway has its own time on top of the limit."""
    seen = with_(*[served("report", phase, seconds=3.0) for phase in PHASES for _ in range(2)])
    assert optional_redis(seen, LIMITS).verdict is Verdict.PASSED


@pytest.mark.parametrize("phase", ["refused", "silent", "after"])
@pytest.mark.parametrize("status", [500, 503, None])
def test_failed_request_fails(phase: str, status: int | None) -> None:
    """A request that is lost with Redis, or doesn't recover, fails."""
    finding = optional_redis(with_(served("show", phase, status)), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "show" in finding.summary


def test_readiness_that_falls_fails() -> None:
    """Readiness mustn't fall with an optional dependency."""
    assert optional_redis(with_(served("readiness", "refused", 503)), LIMITS).verdict is Verdict.FAILED


def test_slow_requests_fail() -> None:
    """Several slow answers fail; a single one may be the machine's."""
    slow = served("show", "silent", seconds=3.0)
    assert optional_redis(with_(slow, slow), LIMITS).verdict is Verdict.FAILED
    assert optional_redis(with_(slow), LIMITS).verdict is Verdict.PASSED


def test_end_of_the_process_fails() -> None:
    """A process that ends without Redis fails."""
    assert optional_redis(replace(SEEN, same_process=False), LIMITS).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "seen",
    [
        CacheLoss(),
        replace(SEEN, connected=False),
        replace(SEEN, served=()),
        replace(SEEN, served=tuple(each for each in WELL if each.request == "readiness")),
        replace(SEEN, served=tuple(each for each in WELL if each.phase != "silent")),
    ],
)
def test_inconclusive(seen: CacheLoss) -> None:
    """Not tried, not connected, nothing sent, nothing declared, a phase left out."""
    assert optional_redis(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
