"""Verdicts of the load suite about what was answered, and what was left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_prodready.checks import load_truth as check
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.load import Kind, Load, Usage
from pytest_prodready.settings import PoolSettings

from .loads import LIMITS, POOL, STARVED, load, look, stage

LEDGER = Ledger(acknowledged=300, refused=2, unknown=1, read_from=("database",))
ALL: tuple[Callable[[Load], Finding], ...] = (
    check.no_write_lost,
    check.answers_are_right,
    check.no_hidden_errors,
    lambda seen: check.pool_has_room(seen, LIMITS, POOL),
    lambda seen: check.connections_are_given_back(seen, POOL),
    lambda seen: check.memory_is_bounded(seen, LIMITS),
)


@pytest.mark.parametrize("judge", ALL)
def test_healthy_run_passes(judge: Callable[[Load], Finding]) -> None:
    """Every rule passes on a run in which everything is well."""
    assert judge(load()).verdict is Verdict.PASSED


@pytest.mark.parametrize("judge", ALL)
def test_no_data_is_no_pass(judge: Callable[[Load], Finding]) -> None:
    """A run that never began tells nothing, and a machine without Locust neither."""
    assert judge(Load(20, 10, doubt="not steady")).verdict is Verdict.INCONCLUSIVE
    assert judge(Load(20, 10, lacking="no Locust")).verdict is Verdict.UNVERIFIED


@pytest.mark.parametrize(
    "ledger",
    [
        replace(LEDGER, lost=("a", "b")),
        replace(LEDGER, twice=("a",)),
        replace(LEDGER, refused_but_there=1),
    ],
)
def test_writes_have_to_add_up(ledger: Ledger) -> None:
    """Lost, twice, or there although refused: each fails, and no machine is to blame."""
    assert check.no_write_lost(load(ledger=ledger, generator=STARVED)).verdict is Verdict.FAILED


@pytest.mark.parametrize("ledger", [None, Ledger(acknowledged=2), replace(LEDGER, doubt="no way to read")])
def test_writes_that_cant_be_told(ledger: Ledger | None) -> None:
    """Too few writes, or none that could be read back, tell nothing."""
    assert check.no_write_lost(load(ledger=ledger)).verdict is Verdict.INCONCLUSIVE


def test_unknown_writes_may_be_there_or_not() -> None:
    """A write without an answer is nobody's promise."""
    ledger = replace(LEDGER, unknown=9, unknown_but_there=4)
    assert check.no_write_lost(load(ledger=ledger)).verdict is Verdict.PASSED


def test_wrong_answers_fail_always() -> None:
    """One answer to somebody else's question is enough."""
    bad = stage("10x", 10, 15, 15, wrong=(Kind("read back", "200", 3),))
    finding = check.answers_are_right(load(bad, generator=STARVED))
    assert finding.verdict is Verdict.FAILED
    assert "3 x 200 (read back)" in finding.summary


def test_hidden_errors_fail_always() -> None:
    """Errors with status 200 are counted over all stages."""
    bad = [stage("4x", 4, 11, 4, hidden=(Kind("list", "200", 3),))]
    bad.append(stage("10x", 10, 15, 15, hidden=(Kind("list", "200", 4),)))
    finding = check.no_hidden_errors(load(*bad, generator=STARVED))
    assert finding.verdict is Verdict.FAILED
    assert "7 x 200 (list)" in finding.summary


@pytest.mark.parametrize("good", [0, 20])
@pytest.mark.parametrize("judge", [check.answers_are_right, check.no_hidden_errors])
def test_no_answer_is_no_right_answer(judge: Callable[[Load], Finding], good: int) -> None:
    """Where nothing was answered as declared, or nothing of which is known what is right, nothing can be."""
    stages = [replace(each, good=good, checked=0, shaped=0) for each in load().stages]
    assert judge(load(*stages)).verdict is Verdict.INCONCLUSIVE


def test_answers_that_nobody_could_tell_from_errors_are_no_pass() -> None:
    """Pages without `contains` leave the rule open, and say what is missing; of a part, how many."""
    pages = [replace(each, shaped=0) for each in load().stages]
    finding = check.no_hidden_errors(load(*pages))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "no `contains` says what they hold" in finding.summary
    assert "Set `contains`" in finding.change
    peak = stage("10x", 10, 15, 15, shaped=1000)
    finding = check.no_hidden_errors(load(peak))
    assert finding.verdict is Verdict.PASSED
    assert "in none of 2000 others an error would have been seen" in finding.summary
    hidden = replace(peak, hidden=(Kind("list", "200", 4),))
    assert check.no_hidden_errors(load(hidden)).verdict is Verdict.FAILED
    assert "others" not in check.no_hidden_errors(load()).summary


def test_full_pool_fails() -> None:
    """All connections in use in many looks at the peak; what they are at is told."""
    looks = tuple(look(at / 10, in_use=10, idle_in_transaction=8) for at in range(150, 300))
    finding = check.pool_has_room(load(pool=looks), LIMITS, POOL)
    assert finding.verdict is Verdict.FAILED
    assert "80% idle in a transaction" in finding.summary
    starved = check.pool_has_room(load(pool=looks, generator=STARVED), LIMITS, POOL)
    assert starved.verdict is Verdict.INCONCLUSIVE


def test_pool_of_several_processes_is_larger() -> None:
    """Ten connections in use are no full pool of four processes."""
    looks = tuple(look(at / 10, total=40, in_use=10) for at in range(150, 300))
    assert check.pool_has_room(load(pool=looks), LIMITS, PoolSettings(size=10, workers=4)).verdict is (
        Verdict.PASSED
    )


def test_pool_needs_looks() -> None:
    """A few looks tell nothing."""
    assert check.pool_has_room(load(pool=(look(20.0),)), LIMITS, POOL).verdict is Verdict.INCONCLUSIVE


def test_connections_left_fail() -> None:
    """More than the pool may hold, or still in use."""
    assert check.connections_are_given_back(load(left=look(40, total=25)), POOL).verdict is Verdict.FAILED
    assert check.connections_are_given_back(load(left=look(40, in_use=3)), POOL).verdict is Verdict.FAILED
    assert check.connections_are_given_back(load(left=None), POOL).verdict is Verdict.INCONCLUSIVE


def test_listening_connection_is_no_leak() -> None:
    """What was there, and in use, at rest is the service's own affair."""
    seen = load(rested=look(-1, total=12, in_use=1), left=look(40, total=12, in_use=1))
    assert check.connections_are_given_back(seen, POOL).verdict is Verdict.PASSED


@pytest.mark.parametrize(("after_mb", "verdict"), [(500, Verdict.FAILED), (170, Verdict.PASSED)])
def test_memory(after_mb: float, verdict: Verdict) -> None:
    """Growth counts when it is much, and much for this service."""
    usage = tuple(Usage(float(at), 0.25 * at, 80.0 if at < 20 else after_mb) for at in range(40))
    finding = check.memory_is_bounded(load(usage=usage), LIMITS)
    assert finding.verdict is verdict
    assert check.memory_is_bounded(load(usage=None), LIMITS).verdict is Verdict.INCONCLUSIVE


def test_large_service_may_grow_a_little() -> None:
    """150 MB more are a tenth of a service that takes 1.5 GB."""
    usage = tuple(Usage(float(at), 0.25 * at, 1500.0 if at < 20 else 1650.0) for at in range(40))
    assert check.memory_is_bounded(load(usage=usage), LIMITS).verdict is Verdict.PASSED
