"""Verdicts on requests that wait, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.pool_waiting import (
    lock_wait_is_bounded,
    no_idle_in_transaction,
    slow_query_is_isolated,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.pool_steady import Outcome, Recovery
from pytest_prodready.probes.pool_waiting import Beside, IdleInTransaction, LockWait, SlowQuery
from pytest_prodready.settings import PoolSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
POOL = PoolSettings(size=10)

QUICK = Outcome("liveness", 200, 0.004, expected=True)
BLOCKED = Outcome("liveness", 200, 0.8, expected=True)
REFUSED = Outcome("list", 503, 2.0, expected=False)
SILENT = Outcome("list", None, 6.0, expected=False, error="no answer within 6 s")
BACK = Recovery(alive=True, served_after_s=0.1, watched_s=0.1, last=None)

IDLE = IdleInTransaction(
    latency_ms=2000,
    watched_s=2.5,
    samples=40,
    sent=8,
    answered=8,
    redis_asked=4,
    seen=1,
    longest_s=0.02,
    started_anew=False,
)
ROUND = Beside(held_s=0.8, still_held=True, seen_waiting=True, others=(QUICK,) * 40)
STUCK = replace(ROUND, others=(BLOCKED,))
SLOW = SlowQuery("search", ("liveness",), (), (QUICK,) * 10, (ROUND, ROUND), started_anew=False)
LOCK = LockWait(2.1, (REFUSED,) * 3, waiting_for_lock=3, back=BACK, started_anew=False)


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "8 requests left no transaction idle for more than 0.1 s (40 samples)"),
        ({"longest_s": 2.0}, FAILED, "1 backend stayed idle in a transaction, for up to 2.0 s"),
        ({"redis_asked": 0}, INCONCLUSIVE, "none of the 8 requests asked Redis"),
        ({"latency_ms": 900}, INCONCLUSIVE, "less than the limit"),
        ({"samples": 0}, INCONCLUSIVE, "no backend was looked at"),
    ],
)
def test_no_idle_in_transaction(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Only a transaction that is open for longer than the limit counts."""
    finding = no_idle_in_transaction(replace(IDLE, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.no-idle-in-transaction")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "beside a search held by a lock, liveness took 4 ms"),
        ({"rounds": (STUCK, STUCK)}, FAILED, "blocked: beside a search"),
        ({"rounds": (replace(ROUND, others=(replace(QUICK, seconds=0.2),) * 9),) * 2}, FAILED, "200 ms"),
        (
            {"rounds": (replace(ROUND, others=(*(QUICK,) * 20, BLOCKED)), ROUND)},
            INCONCLUSIVE,
            "1 of 2 rounds",
        ),
        ({"rounds": (replace(ROUND, others=(replace(QUICK, seconds=0.06),) * 9),) * 2}, PASSED, "60 ms"),
        ({"rounds": (replace(ROUND, seen_waiting=False),) * 2}, INCONCLUSIVE, "never held"),
        ({"references": (), "using_database": ("liveness",)}, INCONCLUSIVE, "runs statements"),
    ],
)
def test_slow_query_is_isolated(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """What takes as long as the slow query, again and again, was blocked by it; a hiccup wasn't."""
    finding = slow_query_is_isolated(replace(SLOW, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.slow-query-is-isolated")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        (
            {},
            PASSED,
            "3 requests met locked tables: 3 got 503 within 2.0 s; it served again 0.1 s afterwards",
        ),
        ({"answers": (SILENT,) * 3, "locked_s": 6.0}, FAILED, "3 waited as long as the lock was held, 6.0 s"),
        ({"answers": (replace(REFUSED, seconds=5.5),)}, FAILED, "1 waited"),
        ({"back": replace(BACK, served_after_s=None, watched_s=5.0)}, FAILED, "it served nothing for 5.0 s"),
        ({"back": replace(BACK, alive=False)}, FAILED, "its process had ended"),
        ({"waiting_for_lock": 0}, INCONCLUSIVE, "no backend waited"),
    ],
)
def test_lock_wait_is_bounded(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Any answer within the limit will do, a request deadline's too."""
    finding = lock_wait_is_bounded(replace(LOCK, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.lock-wait-is-bounded")
    assert says in finding.summary


@pytest.mark.parametrize("seen", [IDLE, SLOW, LOCK], ids=lambda seen: type(seen).__name__)
def test_measurements_survive_json(seen: Any) -> None:
    """What was recorded can be judged again."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(seen))
    assert adapter.validate_json(adapter.dump_json(seen)) == seen
