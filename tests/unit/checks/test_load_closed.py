"""Verdicts on a locustfile's load: what a closed model can tell, and what it can't."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Kind, Load
from pytest_prodready.probes.load_limits import Counted, missed

from .loads import LIMITS, POOL, STARVED, closed, load, times, used
from .test_load import ALL

CLOSED = "closed model: your locustfile"
TRUTH = (load_truth.no_write_lost, load_truth.answers_are_right, load_truth.no_hidden_errors)


def all_judged(seen: Load) -> list[Finding]:
    """The findings of each rule that can be judged by a locustfile."""
    return [
        *(judge(seen, LIMITS) for judge in ALL),
        load_truth.memory_is_bounded(seen, LIMITS),
        load_truth.pool_has_room(seen, LIMITS, POOL),
        load_truth.connections_are_given_back(seen, POOL),
    ]


def test_healthy_run_passes_and_says_its_model() -> None:
    """Ten rules can be judged, and each says by what."""
    for finding in all_judged(closed()):
        assert finding.verdict is Verdict.PASSED, finding.summary
        assert finding.summary.endswith(f"; {CLOSED}")
    assert not missed(closed(), LIMITS)


def test_open_schedule_says_nothing_of_it() -> None:
    """The declared requests are no closed model."""
    assert not any(CLOSED in finding.summary for finding in all_judged(load()))


@pytest.mark.parametrize("judge", TRUTH)
def test_what_it_keeps_to_itself_is_unverified(judge: object) -> None:
    """Its writes, right answers and shapes aren't known, and the remedy is a run that knows them."""
    assert callable(judge)
    finding = judge(closed())
    assert finding.verdict is Verdict.UNVERIFIED
    assert "--prodready-set load.locustfile=" in finding.change
    assert judge(load()).verdict is Verdict.PASSED


def test_held_users_are_the_services_fault() -> None:
    """Had every answer come at once, they would have made it."""
    seen = closed(used("10x", 10, 15, 15, rate=140.0, held=0.45, possible=254.0))
    finding = check.rate_is_reached(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "waited for answers 45% of the time" in finding.summary
    assert missed(seen, LIMITS)
    starved = check.rate_is_reached(replace(seen, generator=STARVED), LIMITS)
    assert starved.verdict is Verdict.INCONCLUSIVE
    assert "65%" in starved.summary
    slow = used("10x", 10, 15, 15, rate=140.0, held=0.45, possible=254.0, undisturbed=times(300, 500, 900))
    assert check.rate_is_reached(closed(slow, generator=STARVED), LIMITS).verdict is Verdict.FAILED


def test_users_who_hang_are_the_services_fault() -> None:
    """Nothing was sent any more, since everybody waited."""
    seen = closed(used("10x", 10, 15, 15, rate=0.0, held=1.0, possible=90_000.0))
    assert check.rate_is_reached(seen, LIMITS).verdict is Verdict.FAILED


def test_too_few_users_prove_nothing() -> None:
    """No service gets the load from them: whatever else looks well is open, and the remedy has a number."""
    seen = closed(
        used("1x", 1, 3, 8, rate=5.0, possible=5.1),
        used("4x", 4, 11, 4, rate=20.0, possible=20.4),
        used("10x", 10, 15, 15, rate=50.0, possible=51.0),
    )
    finding = check.rate_is_reached(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "10 users made 5/s at 1x, where 20/s are expected" in finding.summary
    assert "users_at_1x = 40" in finding.change
    assert {each.verdict for each in all_judged(seen)} == {Verdict.INCONCLUSIVE}


def test_too_many_users_fail_nobody() -> None:
    """Slow at three times the load that is expected, the service isn't to blame; the remedy has a number."""
    slow = times(300, 900, 1500)
    seen = closed(used("10x", 10, 15, 15, rate=600.0, possible=650.0, response=slow))
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE, finding.summary
    assert "users made 600/s at 10x, where 200/s are the most that is expected" in finding.summary
    assert "users_at_1x = " in finding.change


@pytest.mark.parametrize(
    ("rate", "possible"),
    [
        (210.0, 230.0),  # somewhat more than expected
        (150.0, 650.0),  # so many wanted it, and it couldn't do what is expected
        (208.0, 260.0),  # users who wait, for answers as well
    ],
)
def test_a_service_that_is_slow_at_what_is_expected_fails(rate: float, possible: float) -> None:
    """More users than that make no excuse for it."""
    seen = closed(used("10x", 10, 15, 15, rate=rate, possible=possible, response=times(300, 900, 1500)))
    assert check.responses_in_time(seen, LIMITS).verdict is Verdict.FAILED


def test_errors_are_no_answers() -> None:
    """A service that fails quickly gets more requests from users than it would if it answered."""
    failed = (Kind("500", "list", 14_900),)
    bad = used("10x", 10, 15, 15, rate=1000.0, possible=1100.0, due=15_000, good=100, failed=failed)
    assert check.requests_succeed(closed(bad), LIMITS).verdict is Verdict.FAILED


def test_too_many_users_excuse_no_lower_stage() -> None:
    """It was slow at 4x already, where less was asked of it than it has to take."""
    slow = times(300, 900, 1500)
    seen = closed(
        used("4x", 4, 11, 4, rate=150.0, possible=160.0, response=slow),
        used("10x", 10, 15, 15, rate=600.0, possible=650.0, response=slow),
    )
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "at 4x," in finding.summary


def test_starved_users_may_be_the_machines_fault() -> None:
    """Too few requests of a generator that waits for a processor: both are said."""
    seen = closed(used("10x", 10, 15, 15, rate=50.0, possible=51.0), generator=STARVED)
    finding = check.rate_is_reached(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "or it waited for a processor 65% of the time" in finding.summary


def test_users_wait_as_it_comes() -> None:
    """A rate that is lower by no more than chance is reached."""
    seen = closed(used("1x", 1, 3, 8, rate=18.0, possible=18.4))  # 108 requests where 118.8 are wanted
    assert check.rate_is_reached(seen, LIMITS).verdict is Verdict.PASSED


def test_a_stage_without_steady_seconds_says_nothing_of_its_rate() -> None:
    """A climb that was ended while its users were coming."""
    seen = closed(used("10x", 10, 15, 1, rate=30.0, steady_s=0.0))
    assert not missed(seen, LIMITS)


def test_users_who_make_more_than_planned_lose_no_climb_by_it() -> None:
    """Fifteen slow ones of three hundred are as many as may be, though a third of these was planned."""
    counted = Counted(100)
    for number in range(300):
        took_s = 0.5 if number % 20 == 0 else 0.01
        counted.add(Sample(number, 0, 0, 0.0, 0.0, took_s, 200, RIGHT, -1, 0, -1), LIMITS)
        assert counted.lost(LIMITS) == ("", "")
    assert (counted.slow, counted.planned) == (15, 300)


def test_hidden_stalls_are_no_pass() -> None:
    """Its own p95 is 10 ms; with what held users would have sent it is 700, which nobody has measured."""
    seen = closed(used("10x", 10, 15, 15, in_turn=times(3, 700, 900)))
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "p95 was 10 ms" in finding.summary
    assert "p95 is about 700 ms" in finding.summary
    assert "only an open schedule can tell" in finding.summary


def test_what_its_users_saw_themselves_fails() -> None:
    """What is too slow even from the actual start is too slow."""
    seen = closed(used("10x", 10, 15, 15, response=times(100, 400, 900)))
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "at 10x, 100 users, 200/s," in finding.summary


def test_failures_by_its_marking_fail() -> None:
    """Its own word counts, whatever the status; errors that the service told are no machine's fault."""
    marked = Kind("GET /jobs", "200, but marked as failed", 80)
    seen = closed(replace(used("10x", 10, 15, 15), failed=(marked,)))
    finding = check.requests_succeed(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "80 x 200, but marked as failed (GET /jobs)" in finding.summary
    assert check.stays_up(seen, LIMITS).verdict is Verdict.PASSED
    told = replace(used("10x", 10, 15, 15), failed=(Kind("GET /jobs", "500", 80),), server_errors=80)
    assert check.requests_succeed(closed(told, generator=STARVED), LIMITS).verdict is Verdict.FAILED


def test_a_locustfile_that_stops_proves_nothing() -> None:
    """It ended its test, its users left, or its tasks raised: no rule passes, and each says why."""
    seen = closed(shortfall="your locustfile ended its test itself in stage 4x")
    for finding in all_judged(seen):
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "ended its test itself in stage 4x" in finding.summary
    cut = replace(seen, stages=seen.stages[:2])
    assert {each.verdict for each in all_judged(cut)} == {Verdict.INCONCLUSIVE}


def test_users_who_left_are_no_lost_goodput() -> None:
    """Those who are left at the peak could make no more, however quick the answers; held ones could have."""
    gone = "only 7 of 100 users were there in stage 10x: others stopped themselves, or were slow to come"
    seen = closed(used("10x", 10, 15, 15, rate=14.0, possible=14.3), shortfall=gone)
    finding = check.goodput_holds(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "only 7 of 100 users" in finding.summary
    assert {each.verdict for each in all_judged(seen)} == {Verdict.INCONCLUSIVE}
    held = closed(used("10x", 10, 15, 15, rate=14.0, held=0.93, possible=200.0), shortfall=gone)
    assert check.goodput_holds(held, LIMITS).verdict is Verdict.FAILED


def test_users_who_left_at_once_are_no_slow_recovery() -> None:
    """One second of requests after the peak, and nobody there to send more; or all held by the first."""
    seconds = [each for each in closed().seconds if each.at_s <= 30]
    gone = used("1x again", 1, 30, 8, rate=0.0, possible=1.5)
    seen = closed(gone, seconds=seconds, shortfall="only 0 of 10 users were there in stage 1x again: …")
    finding = recovers(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "only 0 of 10 users" in finding.summary
    held = used("1x again", 1, 30, 8, rate=0.0, held=1.0, possible=10_000.0)
    assert recovers(closed(held, seconds=seconds), LIMITS).verdict is Verdict.FAILED
    slow = [
        replace(each, p95_ms=900.0, slow=each.due) if each.at_s >= 30 else each for each in closed().seconds
    ]
    assert recovers(closed(gone, seconds=slow), LIMITS).verdict is Verdict.FAILED


def test_no_data_is_no_pass() -> None:
    """A locustfile that can't be run, or never sends, leaves every rule open."""
    doubt = (
        "your locustfile can't be run: locustfile.py, line 1: ModuleNotFoundError: No module named 'faker'"
    )
    seen = Load(20, 10, doubt=doubt)
    assert {each.verdict for each in all_judged(seen)} == {Verdict.INCONCLUSIVE}
    assert {judge(seen).verdict for judge in TRUTH} == {Verdict.INCONCLUSIVE}
