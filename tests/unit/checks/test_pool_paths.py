"""Verdicts on connections that should come back, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.pool_paths import (
    aborted_requests_return_connections,
    error_paths_return_connections,
    no_deadlock,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.pool_paths import Aborted, Burst, Bursts, ErrorPath, ErrorPaths
from pytest_prodready.probes.pool_steady import Outcome
from pytest_prodready.settings import PoolSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
POOL = PoolSettings(size=10)

OK = Outcome("list", 200, 0.1, expected=True)
REFUSED = Outcome("list", 503, 1.0, expected=False)
PATH = ErrorPath("unknown job", planned=30, sent=30, as_declared=30, others=())
PATHS = ErrorPaths(
    capacity=10,
    paths=(PATH,),
    left_busy=0,
    left_states=(),
    before=(OK,) * 10,
    after=(OK,) * 10,
    started_anew=False,
)
ABORTED = Aborted(
    capacity=10,
    sent=10,
    aborted=10,
    waiting_for_lock=10,
    left_busy=0,
    left_states=(),
    settled_after_s=0.2,
    watched_s=3.0,
    before=(OK,) * 10,
    after=(OK,) * 10,
    started_anew=False,
)
SERVED = Burst(sent=10, served=10, refused=0, limited=0, wrong=0, unanswered=0, slowest_s=0.2)
CROWD = Burst(sent=48, served=40, refused=8, limited=0, wrong=0, unanswered=0, slowest_s=1.1)
BURSTS = Bursts(size=10, overlapped=True, deadline_s=10.0, bursts=(SERVED, CROWD), started_anew=False)


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "after 30 failing requests (unknown job: 30 of 30 as declared)"),
        ({"after": (REFUSED,) * 10}, FAILED, "10 got 503 within 1.0 s: connections were not given back"),
        ({"left_busy": 2, "left_states": ("idle in transaction",)}, FAILED, "2 backends stayed idle in tran"),
        (
            {"paths": (replace(PATH, sent=15, as_declared=10, others=(("503", 5),)),)},
            FAILED,
            "stopped answering as declared",
        ),
        (
            {"paths": (replace(PATH, sent=5, as_declared=0, others=(("400", 5),)),)},
            INCONCLUSIVE,
            "never answered as declared: unknown job",
        ),
        ({"paths": ()}, INCONCLUSIVE, "no request"),
        ({"before": (REFUSED,) * 10, "after": (REFUSED,) * 10}, INCONCLUSIVE, "even before, 10 requests"),
    ],
)
def test_error_paths(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A leak shows in refused requests or in busy backends; another status than declared proves nothing."""
    finding = error_paths_return_connections(replace(PATHS, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.error-paths-return-connections")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "after 10 requests aborted mid-query, no backend was busy 0.2 s after the lock"),
        ({"after": (OK, *(REFUSED,) * 9)}, FAILED, "connections were not given back"),
        (
            {"settled_after_s": None, "left_busy": 1, "left_states": ("active",)},
            FAILED,
            "1 backend stayed active for 3.0 s",
        ),
        ({"waiting_for_lock": 0}, INCONCLUSIVE, "no request was held"),
        ({"aborted": 0}, INCONCLUSIVE, "none was aborted"),
        ({"before": (REFUSED,) * 10, "after": (REFUSED,) * 10}, INCONCLUSIVE, "even before, 10 requests"),
    ],
)
def test_aborted_requests(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """What an impatient client leaves behind shows on the server and in the pool."""
    finding = aborted_requests_return_connections(replace(ABORTED, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.aborted-requests-return-connections")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("bursts", "verdict", "says"),
    [
        ((SERVED, CROWD), PASSED, "bursts of 10, 48 over a pool of 10: 50 of 58 served"),
        ((SERVED, replace(CROWD, served=0, refused=48)), FAILED, "no progress: 48 requests at once"),
        ((replace(SERVED, served=0, unanswered=10),), FAILED, "10 unanswered"),
        ((replace(SERVED, served=2, refused=8),), FAILED, "more than one connection a request"),
        ((replace(SERVED, served=6, refused=4, limited=4), CROWD), PASSED, "46 of 58 served"),
        ((SERVED, replace(CROWD, served=40, refused=7, unanswered=1)), FAILED, "left waiting"),
        ((SERVED, replace(CROWD, slowest_s=12.0)), FAILED, "left waiting"),
        ((), INCONCLUSIVE, "no burst"),
    ],
)
def test_no_deadlock(bursts: tuple[Burst, ...], verdict: Verdict, says: str) -> None:
    """As many requests as connections are all served; a client's own limit (429) is forgiven."""
    finding = no_deadlock(replace(BURSTS, bursts=bursts), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.no-deadlock")
    assert says in finding.summary


@pytest.mark.parametrize("seen", [PATHS, ABORTED, BURSTS], ids=lambda seen: type(seen).__name__)
def test_measurements_survive_json(seen: Any) -> None:
    """What was recorded can be judged again."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(seen))
    assert adapter.validate_json(adapter.dump_json(seen)) == seen
