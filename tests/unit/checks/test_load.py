"""Verdicts of the load suite about rate, time, failures and recovery."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks.load_headroom import has_headroom
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.load import Counter, Kind, Load, Stage
from pytest_prodready.probes.load_limits import FAILURES, SLOWNESS, Counted, doubts, firm, missed
from pytest_prodready.probes.load_parts import Asked

from .loads import HEALTHY, LIMITS, STARVED, calm, ended, load, second, stage, times

ALL = (
    check.stays_up,
    check.requests_succeed,
    check.responses_in_time,
    check.rate_is_reached,
    check.goodput_holds,
    recovers,
    has_headroom,
)
SILENT = Kind("list", "no answer in time", 80)


def peak(**more: object) -> Stage:
    """The highest stage, with these differences."""
    return stage("10x", 10, 15, 15, **more)


@pytest.mark.parametrize("judge", ALL)
def test_healthy_run_passes(judge: object) -> None:
    """Every rule passes on a run in which everything is well."""
    assert _judged(judge, load()).verdict is Verdict.PASSED


@pytest.mark.parametrize("judge", ALL)
def test_target_met_on_a_starved_machine_passes(judge: object) -> None:
    """Noise only adds time by this clock: what was met is met."""
    assert _judged(judge, load(generator=STARVED)).verdict is Verdict.PASSED


@pytest.mark.parametrize("judge", ALL)
def test_no_data_is_no_pass(judge: object) -> None:
    """A run that never began, one without a request, and a machine without Locust tell nothing."""
    assert _judged(judge, Load(20, 10, doubt="the service was not steady")).verdict is Verdict.INCONCLUSIVE
    assert _judged(judge, Load(20, 10)).verdict is Verdict.INCONCLUSIVE
    finding = _judged(judge, Load(20, 10, lacking="Locust isn't installed"))
    assert finding.verdict is Verdict.UNVERIFIED
    assert "pip install" in finding.change


MISSED = (
    (check.stays_up, load(stage("4x", 4, 11, 4, failed=(replace(SILENT, count=320),), response=None))),
    (check.requests_succeed, load(peak(failed=(SILENT,)))),
    (check.responses_in_time, load(peak(response=times(100, 400, 900)))),
    (check.responses_in_time, load(peak(response=times(10, 200, 1500)))),
    (check.responses_in_time, load(peak(response=times(50, 250, 400)))),  # ten times that of 1x, and more
    (check.rate_is_reached, load(peak(in_time=2500, busy=300))),
    (check.goodput_holds, load(peak(failed=(replace(SILENT, count=2000),)))),
    (recovers, load(seconds=[second(30 + at, 4, 20, 500, slow=20) for at in range(8)])),
    (
        recovers,
        load(
            seconds=[
                second(30 + at, 4, 20, 500 if at < 6 else 10, slow=20 if at < 6 else 0) for at in range(8)
            ]
        ),
    ),
)


@pytest.mark.parametrize(("judge", "seen"), MISSED)
def test_missed_target_fails_on_a_healthy_machine(judge: object, seen: Load) -> None:
    """Generator and machine had time to spare: it was the service."""
    assert _judged(judge, seen).verdict is Verdict.FAILED


@pytest.mark.parametrize(("judge", "seen"), MISSED)
def test_missed_target_is_open_on_a_starved_machine(judge: object, seen: Load) -> None:
    """The generator itself had to wait: nobody can tell, and the figures say so."""
    finding = _judged(judge, replace(seen, generator=STARVED, attempts=2))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "65%" in finding.summary
    assert "tried 2 times" in finding.summary


HELD = {"busy": 1500, "held_ms": 150.0, "service": times(150, 160, 170), "response": times(800, 1900, 2500)}
FEW_USERS = (
    (check.responses_in_time, load(peak(**HELD), users=20)),
    (check.rate_is_reached, load(peak(**HELD, in_time=2000), users=20)),
    (check.requests_succeed, load(peak(**HELD, failed=(SILENT,), unsent=80), users=20)),
    (check.goodput_holds, load(peak(**HELD, goodput=60.0), users=20)),
    (
        recovers,
        load(
            stage("1x again", 1, 30, 8, **{**HELD, "busy": 100}),
            seconds=[second(30 + at, 4, 20, 900, slow=20) for at in range(8)],
            users=20,
        ),
    ),
)


@pytest.mark.parametrize(("judge", "seen"), FEW_USERS)
def test_too_few_users_are_no_fault_of_the_service(judge: object, seen: Load) -> None:
    """Requests waited for the generator, and were quick once sent: what to change is told."""
    finding = _judged(judge, seen)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "requests waited for a user of the generator" in finding.summary
    assert finding.change == "Raise [load] users (now 20)."


def test_a_collapse_is_none_of_the_users_below_it() -> None:
    """At 4x a few requests waited for a user; at the peak none did, and little was answered."""
    few = stage("4x", 4, 11, 4, busy=10, held_ms=150.0)
    collapsed = load(few, peak(goodput=20.0), users=20)
    assert check.goodput_holds(collapsed, LIMITS).verdict is Verdict.FAILED
    short = peak(**HELD, goodput=60.0)
    assert check.goodput_holds(load(few, short, users=20), LIMITS).verdict is Verdict.INCONCLUSIVE
    below = load(stage("4x", 4, 11, 4, goodput=10.0), replace(short, goodput=5.0), users=20)
    assert check.goodput_holds(below, LIMITS).verdict is Verdict.FAILED  # whatever the peak was


def test_headroom_is_not_told_by_too_few_users() -> None:
    """What was answered is what they could ask for; whichever way it bends."""
    for seen in (load(peak(**HELD, goodput=60.0), users=20), load(peak(**HELD), users=20)):
        finding = has_headroom(seen, LIMITS)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "requests waited for a user of the generator" in finding.summary
        assert finding.change == "Raise [load] users (now 20)."


HOLDS = {"held_ms": 1500.0}, {"service": times(150, 400, 900)}, {"failed": (replace(SILENT, count=800),)}


@pytest.mark.parametrize("differs", HOLDS)
def test_users_that_the_service_holds_are_no_excuse(differs: dict[str, object]) -> None:
    """A stall, slow answers, or none: more users would have waited for the same."""
    finding = check.responses_in_time(load(peak(**{**HELD, **differs}), users=20), LIMITS)
    assert finding.verdict is Verdict.FAILED


def test_what_is_wrong_elsewhere_fails_with_too_few_users_too() -> None:
    """One stage had too few users, and another was too slow by itself."""
    slow = stage("4x", 4, 11, 4, response=times(100, 900, 950))
    assert check.responses_in_time(load(slow, peak(**HELD), users=20), LIMITS).verdict is Verdict.FAILED


SLOW = {"response": times(800, 900, 950), "undisturbed": times(500, 600, 700)}
AWAITED = (replace(SILENT, count=320),)
BY_ITSELF = (
    (check.responses_in_time, load(peak(**SLOW))),
    (check.rate_is_reached, load(peak(**SLOW, in_time=2500, busy=300))),
    (check.stays_up, load(stage("4x", 4, 11, 4, **SLOW, failed=AWAITED))),
    (
        recovers,
        load(
            stage("1x again", 1, 30, 8, **SLOW),
            seconds=[second(30 + at, 4, 20, 900, slow=20) for at in range(8)],
        ),
    ),
)


@pytest.mark.parametrize(("judge", "seen"), BY_ITSELF)
def test_slowness_beyond_the_machines_fails_on_a_starved_machine(judge: object, seen: Load) -> None:
    """What is left when all is taken off that the machine may have added is the service's own."""
    starved = replace(seen, generator=STARVED)
    finding = _judged(judge, starved)
    assert finding.verdict is Verdict.FAILED
    assert "but p95 is 600 ms without" in finding.summary
    assert "65% of the time" in finding.summary
    assert firm(starved, LIMITS)


@pytest.mark.parametrize(("judge", "seen"), BY_ITSELF)
def test_slowness_within_the_machines_is_open(judge: object, seen: Load) -> None:
    """Where the machine may have added nearly all of it, nobody can tell."""
    stages = [replace(each, undisturbed=times(20, 290, 310, sure=0.1)) for each in seen.stages]
    excused = replace(seen, stages=tuple(stages), generator=STARVED)
    assert _judged(judge, excused).verdict is Verdict.INCONCLUSIVE
    assert not firm(excused, LIMITS)


def test_errors_of_the_service_are_no_machines_fault() -> None:
    """What it calls an error itself fails, whatever the machine did."""
    bad = peak(failed=(Kind("list", "500", 80),), server_errors=80)
    finding = check.requests_succeed(load(bad, generator=STARVED, log_errors=7), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "80 x 500 (list)" in finding.summary
    assert "7 lines" in finding.summary


def test_errors_in_the_log_are_told_of_a_service_that_stays_up() -> None:
    """They fail nothing where the answers are right, but whoever reads the report learns of them."""
    finding = check.stays_up(load(log_errors=7), LIMITS)
    assert finding.verdict is Verdict.PASSED
    assert "7 lines of the service's log speak of errors" in finding.summary
    assert "log" not in check.stays_up(load(), LIMITS).summary


def test_one_failure_is_allowed() -> None:
    """A single request of a short stage is more than the share, and no evidence."""
    usual = stage("1x", 1, 3, 8, failed=(replace(SILENT, count=1),))
    assert check.requests_succeed(load(usual), LIMITS).verdict is Verdict.PASSED


def test_process_that_ended_fails() -> None:
    """A dead process is no noise; its last words are told."""
    seen = load(same_process=False, last_words="MemoryError", generator=STARVED)
    finding = check.stays_up(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "MemoryError" in finding.summary


def test_slow_request_is_named() -> None:
    """Where one of the mix takes much longer than the others, the reader learns which."""
    asks = (Asked("search", 40, 900.0, 2100.0), Asked("list", 2960, 3.0, 10.0))
    finding = check.responses_in_time(load(peak(response=times(10, 350, 2000), asked=asks)), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "; slowest: search, p95 2100 ms of 40 requests" in finding.summary
    queue = (replace(asks[0], p95_ms=400.0), replace(asks[1], p95_ms=350.0))
    finding = check.responses_in_time(load(peak(response=times(10, 350, 2000), asked=queue)), LIMITS)
    assert "slowest" not in finding.summary


def test_percentile_near_its_limit_is_open() -> None:
    """Where the confidence reaches below the limit, chance may be all of it."""
    seen = load(peak(response=times(50, 320, 500, sure=0.3)))
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "chance" in finding.summary


def test_lost_climb_is_conclusive() -> None:
    """Ended since too many were too slow for the whole stage, it failed, however few seconds were seen."""
    lost = stage("4x", 4, 11, 4, response=times(50, 320, 500, sure=0.3))
    seen = ended(lost, "40 of 320 requests had taken longer than 300 ms", SLOWNESS)
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "ended there: 40 of 320" in finding.summary


def test_nothing_wrong_before_the_end_is_no_pass() -> None:
    """What the climb never came to isn't known."""
    seen = ended(stage("4x", 4, 11, 4, failed=(SILENT,)), "80 of 320 requests had failed", FAILURES)
    assert check.requests_succeed(seen, LIMITS).verdict is Verdict.FAILED
    finding = check.responses_in_time(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "ended in stage 4x" in finding.summary


@pytest.mark.parametrize("judge", ALL[:5])
def test_requests_without_an_end_are_no_pass(judge: object) -> None:
    """What nobody knows the end of isn't among the figures."""
    finding = _judged(judge, load(unfinished=3))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "3 requests were still under way" in finding.summary


def test_slowdown_below_notice_is_none() -> None:
    """From 2 ms to 60 ms is thirty times as long, and nobody minds."""
    quick = stage("1x", 1, 3, 8, response=times(1, 2, 3))
    assert check.responses_in_time(load(quick, peak(response=times(20, 60, 90))), LIMITS).verdict is (
        Verdict.PASSED
    )


def test_waits_are_named() -> None:
    """What backends mostly waited for stands beside what was slow."""
    seen = load(peak(in_time=2500), waits=(Counter("Lock: transactionid", 300),))
    assert "Lock: transactionid" in check.rate_is_reached(seen, LIMITS).summary


def test_recovery_needs_the_usual_load_twice() -> None:
    """Without the usual load after the peak, recovery can't be told."""
    whole = load()
    seen = replace(whole, stages=whole.stages[:-1])
    assert recovers(seen, LIMITS).verdict is Verdict.INCONCLUSIVE


def test_recovery_forgives_a_few_seconds() -> None:
    """Two seconds of disorder after the peak are within the limit."""
    seconds = [each for each in calm(load().stages) if each.at_s < 30]
    seconds += [second(30 + at, 4, 20, 500 if at < 2 else 10, slow=20 if at < 2 else 0) for at in range(8)]
    finding = recovers(load(seconds=seconds), LIMITS)
    assert finding.verdict is Verdict.PASSED
    assert "2 s after the peak" in finding.summary


def test_recovery_is_seen_in_the_only_second_with_requests() -> None:
    """At one request in some seconds there may be one after the peak: that one has to be well."""
    seconds = [each for each in calm(load().stages) if each.at_s < 30]
    assert recovers(load(seconds=[*seconds, second(30, 4, 1)]), LIMITS).verdict is Verdict.PASSED
    ill = [*seconds, second(30, 4, 1, failed=1)]
    assert recovers(load(seconds=ill), LIMITS).verdict is Verdict.FAILED


def test_headroom_is_advice_with_figures() -> None:
    """A limit just above the peak is told; too few stages tell nothing."""
    bent = [
        stage("1x", 1, 3, 8, mean_s=0.005),
        stage("4x", 4, 11, 4, mean_s=0.008),
        stage("10x", 10, 15, 15, mean_s=0.05),
    ]
    finding = has_headroom(load(*bent), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "is the most by this machine's figures" in finding.summary
    assert has_headroom(replace(load(), knee=None), LIMITS).verdict is Verdict.INCONCLUSIVE
    starved = has_headroom(load(*bent, generator=STARVED), LIMITS)
    assert (starved.verdict, "65%" in starved.summary) == (Verdict.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (replace(HEALTHY, self_test=0.9), "90.0% of 300/s"),
        (replace(HEALTHY, cpu=0.99), "busy 99%"),
        (replace(HEALTHY, steal=0.3), "taken from this machine"),
        (replace(HEALTHY, service_delay=0.6), "the service waited"),
        (replace(HEALTHY, lag_ms=72), "72 ms"),
        (replace(HEALTHY, others=0.7, idle=0.02), "others used 70%"),
    ],
)
def test_each_doubt_has_its_figure(generator: object, says: str) -> None:
    """The self-test, the processor, steal, the clock and the service's own waiting."""
    assert says in doubts(generator)  # type: ignore[arg-type]


def test_slow_service_is_no_doubt() -> None:
    """All users busy, processor free: that is the service (169 of 300/s in a real run)."""
    assert doubts(replace(HEALTHY, cpu=0.19, delay=0.07, lag_ms=8, busy=1.0)) == ""
    assert doubts(replace(HEALTHY, others=0.05, idle=0.0)) == ""
    assert doubts(replace(HEALTHY, others=0.7, idle=0.3)) == ""  # a large machine, with room for all


def test_only_what_was_missed_is_repeated() -> None:
    """A run within its limits isn't repeated, one short of them is."""
    assert not missed(load(), LIMITS)
    assert missed(load(peak(in_time=2000)), LIMITS)
    assert missed(ended(stage("4x", 4, 11, 4), "80 failed", FAILURES), LIMITS)


@pytest.mark.parametrize(
    "seen",
    [
        load(ledger=Ledger(acknowledged=300, lost=("a",))),
        load(peak(wrong=(SILENT,))),
        load(peak(hidden=(SILENT,))),
        load(peak(failed=(Kind("list", "500", 80),), server_errors=80)),
        load(same_process=False),
    ],
)
def test_what_is_no_machines_fault_is_not_tried_away(seen: Load) -> None:
    """A second run without a lost write proves nothing about the first."""
    assert firm(seen, LIMITS)
    assert not firm(load(), LIMITS)


def test_climb_is_lost_beyond_doubt() -> None:
    """It takes twice as many as may be, of all that are planned, to end it."""
    counted = Counted(1000)
    counted.slow = 100
    assert counted.lost(LIMITS) == ("", "")
    counted.slow = 101
    assert counted.lost(LIMITS)[0] == SLOWNESS
    counted.failed = 11
    assert counted.lost(LIMITS)[0] == FAILURES


def _judged(judge: object, seen: Load) -> Finding:
    return judge(seen, LIMITS)  # type: ignore[operator,no-any-return]
