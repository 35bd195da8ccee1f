"""Verdicts on recovery from the peak: as before, soon, and for good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.load import Kind, Load, Second, Stage, Times
from pytest_prodready.probes.load_limits import firm, missed
from tests.unit.test_load_users import PLAN, Told, steadily

from .loads import HEALTHY, LIMITS, STARVED, calm, closed, ended, load, second, stage, times, used

SILENT = Kind("list", "no answer in time", 8)


def seen_as(after: str, before: str = "........") -> Load:
    """A run by the seconds of the usual load, before and after: . as it should be, s slow, f failed."""
    seconds = [each for each in calm(load().stages) if not 3 <= each.at_s < 11 and each.at_s < 30]
    seconds += [_second(3 + at, 1, how) for at, how in enumerate(before)]
    seconds += [_second(30 + at, 4, how) for at, how in enumerate(after)]
    return load(seconds=seconds)


def _second(at_s: float, number: int, how: str) -> Second:
    slow, failed = (20 if how == "s" else 0), (20 if how == "f" else 0)
    return second(at_s, number, 20, 900 if slow else 10, slow=slow, failed=failed)


def settled(**more: object) -> Stage:
    """What is left of the usual load after the peak when it has to be as before, with these differences."""
    return stage("1x again", 1, 34, 4, **more)


@pytest.mark.parametrize(
    ("after", "before", "verdict", "says"),
    [
        ("ss......", "........", Verdict.PASSED, "as before 2 s after the peak"),
        ("sss.....", "........", Verdict.PASSED, "as before 3 s after the peak"),
        ("ssssss..", "........", Verdict.FAILED, "as before 6 s after the peak"),
        ("....s...", "........", Verdict.PASSED, "as before 0 s after the peak"),  # one noisy second
        (".......s", "........", Verdict.PASSED, "as before 0 s after the peak"),
        ("..ss....", "........", Verdict.PASSED, "as before 4 s after the peak"),  # in time, all the same
        ("..ffffff", "........", Verdict.FAILED, "as before 0 s after the peak, but not for good: 6 seconds"),
        ("..ssssss", "........", Verdict.FAILED, "but not for good: 6 seconds"),
        ("....ff..", "........", Verdict.FAILED, "but not for good: 2 seconds"),
        ("..s.s.s.", "........", Verdict.FAILED, "but not for good: 3 seconds"),
        ("..s..s..", "..s..s..", Verdict.PASSED, "as before 0 s after the peak"),  # it was so before, too
        ("....ss..", "..ss....", Verdict.PASSED, "as before 0 s after the peak"),
        ("..sssss.", "..ss....", Verdict.FAILED, "but not for good: 5 seconds"),
        ("ssssssss", "........", Verdict.FAILED, "8 s after the peak it was not as before"),
    ],
)
def test_recovery_has_to_last(after: str, before: str, verdict: Verdict, says: str) -> None:
    """A service that breaks again hasn't recovered; a single second is noise, and so is what was before."""
    seen = seen_as(after, before)
    finding = recovers(seen, LIMITS)
    assert finding.verdict is verdict, finding.summary
    assert says in finding.summary
    assert missed(seen, LIMITS) == (verdict is Verdict.FAILED)


def test_a_relapse_on_a_busy_machine_is_open() -> None:
    """Whoever waits for a processor may be slow again for that."""
    finding = recovers(replace(seen_as("..ssssss"), generator=STARVED), LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "65%" in finding.summary


def test_few_requests_of_users_are_no_relapse() -> None:
    """One of two requests of a second failed: a single such second of a locustfile's users is forgiven."""
    seconds = [each for each in closed().seconds if each.at_s < 30]
    few = [second(30 + at, 3, 2, failed=int(at == 5)) for at in range(8)]
    again = used("1x again", 1, 30, 8, rate=2.0, due=16, planned=160)
    late = replace(settled(due=8, failed=(replace(SILENT, count=1),)), users=10)
    seen = closed(again, seconds=[*seconds, *few], settled=late)
    assert recovers(seen, LIMITS).verdict is Verdict.PASSED


@pytest.mark.parametrize("generator", [HEALTHY, STARVED])
def test_what_fails_for_long_after_the_peak_fails(generator: object) -> None:
    """A tenth of the requests of no second, and more than may of all: a refusal may be the machine's."""
    seen = load(settled=settled(failed=(replace(SILENT, count=5),)), generator=generator)
    finding = recovers(seen, LIMITS)
    assert finding.verdict is (Verdict.FAILED if generator is HEALTHY else Verdict.INCONCLUSIVE)
    assert "from 4 s after the peak on 5 of 80 requests failed (6.25%)" in finding.summary
    assert "5 x no answer in time (list)" in finding.summary
    assert missed(seen, LIMITS)


def test_errors_for_long_after_the_peak_are_no_machines_fault() -> None:
    """The service says 500, whatever the machine does."""
    told = settled(failed=(Kind("list", "500", 5),), server_errors=5)
    assert recovers(load(settled=told, generator=STARVED), LIMITS).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "late",
    [
        None,  # nothing is left of the stage
        settled(),
        settled(failed=(replace(SILENT, count=1),)),  # a single one
        settled(due=10, failed=(replace(SILENT, count=2),)),  # of too few
        settled(response=times(10, 20, 1500, sure=0.9)),  # one of eighty, which may be chance
        settled(response=times(10, 20, 1200, count=80)),  # or which a bootstrap can't see
        stage("1x again", 1, 37, 1, response=times(10, 400, 900, count=20)),  # of a single second
        stage("1x again", 1, 37, 1, failed=(replace(SILENT, count=2),)),
    ],
)
def test_what_is_left_keeps_its_limits(late: Stage | None) -> None:
    """Within its limits, or too little to tell."""
    assert recovers(load(settled=late), LIMITS).verdict is Verdict.PASSED
    assert not missed(load(settled=late), LIMITS)


def test_what_was_so_before_is_no_trace_of_the_peak() -> None:
    """Other rules tell what is wrong at the usual load already."""
    failing = (replace(SILENT, count=3),)
    seen = load(stage("1x", 1, 3, 8, failed=failing), settled=settled(failed=failing))
    assert recovers(seen, LIMITS).verdict is Verdict.PASSED
    slow = times(100, 320, 500)
    seen = load(stage("1x", 1, 3, 8, response=slow), settled=settled(response=slow))
    assert recovers(seen, LIMITS).verdict is Verdict.PASSED


def test_times_after_the_peak_have_the_limits_of_all() -> None:
    """Not ten times those of before, and yet too long; beyond what the machine may add they fail anywhere."""
    usual = stage("1x", 1, 3, 8, response=times(50, 100, 200))
    late = settled(response=times(300, 500, 700))
    finding = recovers(load(usual, settled=late), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "from 4 s after the peak on p95 was 500 ms" in finding.summary
    assert recovers(load(usual, settled=late, generator=STARVED), LIMITS).verdict is (Verdict.INCONCLUSIVE)
    own = replace(late, undisturbed=times(250, 450, 600))
    assert recovers(load(usual, settled=own, generator=STARVED), LIMITS).verdict is Verdict.FAILED


def test_enough_after_the_peak_is_judged() -> None:
    """Three seconds, and of p99 a hundred requests."""
    slow = settled(response=times(10, 20, 1200, count=100))
    for late in (slow, stage("1x again", 1, 35, 3, response=times(10, 400, 900, count=60))):
        assert recovers(load(settled=late), LIMITS).verdict is Verdict.FAILED
        assert missed(load(settled=late), LIMITS)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (times(10, 20, 1300, sure=0.8), times(500, 800, 1250), Verdict.FAILED),  # by p95, which was well
        (times(10, 20, 1300, sure=0.8), times(10, 20, 1250), Verdict.PASSED),  # p99 may have been so before
        (times(10, 20, 1300, sure=0.8), times(10, 20, 5000), Verdict.FAILED),  # not as long as that
        (times(10, 20, 1300, sure=0.1), times(10, 20, 5000), Verdict.PASSED),  # other rules tell of it
        (times(100, 320, 500), times(900, 1900, 2500), Verdict.FAILED),  # p99, which was well
        (times(10, 18, 1300, sure=0.3), times(150, 290, 400), Verdict.FAILED),  # ten times as long
    ],
)
def test_chance_before_the_peak_excuses_no_more_than_it_can(
    before: Times, after: Times, verdict: Verdict
) -> None:
    """One slow request at 1x, and a service that is slow for good afterwards: percentile by percentile."""
    seen = load(stage("1x", 1, 3, 8, response=before), settled=settled(response=after))
    finding = recovers(seen, LIMITS)
    assert finding.verdict is verdict, finding.summary
    assert missed(replace(seen, stages=load().stages), LIMITS) or verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("rate", "bad", "verdict"),
    [
        (20, (0, 0, 0, 0, 5, 5, 0, 0), Verdict.PASSED),  # a stall of half a second, across two
        (20, (0, 0, 0, 0, 10, 10, 0, 0), Verdict.FAILED),  # of a whole one: a sixth of the six seconds
        (5, (0, 0, 0, 0, 1, 1, 0, 0), Verdict.PASSED),
        (5, (0, 0, 0, 0, 2, 2, 0, 0), Verdict.FAILED),
        (5, (0, 0, 1, 0, 1, 0, 1, 0), Verdict.PASSED),
        (5, (0, 0, 1, 0, 1, 0, 2, 0), Verdict.FAILED),
        (20, (*[0] * 30, *[20] * 3, *[0] * 27), Verdict.FAILED),  # few of a minute's, but three seconds' all
        (20, (*[0] * 30, *[5] * 2, *[0] * 28), Verdict.PASSED),
    ],
)
@pytest.mark.parametrize("failed", [True, False])
def test_few_requests_are_no_relapse(rate: int, bad: tuple[int, ...], verdict: Verdict, failed: bool) -> None:
    """At low rates one request is much of its second, and a short stall lies across two."""
    calm_ = [each for each in calm(load().stages) if each.at_s < 30]
    late = [
        second(30 + at, 4, rate, 400 if count else 10, **{"failed" if failed else "slow": count})
        for at, count in enumerate(bad)
    ]
    seen = load(stage("1x again", 1, 30, len(bad)), seconds=[*calm_, *late])
    assert recovers(seen, LIMITS).verdict is verdict
    assert missed(seen, LIMITS) == (verdict is Verdict.FAILED)


def test_few_requests_of_users_tell_less() -> None:
    """Whoever waits sends nothing meanwhile: a stall that held two users has two requests."""
    seconds = [each for each in closed().seconds if each.at_s < 30]
    late = [second(30 + at, 3, 20, 1200 if at in (4, 5) else 10, slow=3 * (at in (4, 5))) for at in range(8)]
    assert recovers(closed(seconds=[*seconds, *late]), LIMITS).verdict is Verdict.FAILED
    assert recovers(load(seconds=[*seconds, *late]), LIMITS).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("ended_in", "died_in", "says"),
    [
        ("1x again", "1x again", "at the usual load after the peak"),
        ("4x", "1x again", "at the usual load after the peak"),  # the climb had been ended before
        ("", "", "soon after the last request"),
    ],
)
def test_a_process_that_ends_after_the_peak_has_not_recovered(ended_in: str, died_in: str, says: str) -> None:
    """However well the seconds before that were, and whatever had ended the climb."""
    ended_ = "80 of 320 requests had failed" if ended_in else ""
    seen = load(same_process=False, ended=ended_, ended_in=ended_in, died_in=died_in)
    finding = recovers(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == f"the service's process ended {says}"
    assert firm(seen, LIMITS)
    where = f"in stage {died_in}" if died_in else "after the last request"
    assert check.stays_up(seen, LIMITS).summary == f"the service's process ended {where}"


def test_a_process_that_ends_at_the_peak_leaves_recovery_open() -> None:
    """The usual load was never tried again."""
    whole = load()
    why = "the service's process had ended"
    seen = replace(
        whole, stages=whole.stages[:-1], same_process=False, ended=why, ended_in="10x", died_in="10x"
    )
    assert recovers(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
    assert check.stays_up(seen, LIMITS).summary == "the service's process ended in stage 10x"


def test_what_is_no_machines_fault_after_the_peak_is_not_tried_away() -> None:
    """Errors, and slowness beyond the machine's, of what has to be as before."""
    generous = LIMITS.model_copy(update={"failures": 0.04})
    told = load(settled=settled(failed=(Kind("list", "500", 5),), server_errors=5))
    slow = load(settled=settled(response=times(300, 500, 700), undisturbed=times(250, 450, 600)))
    refused = load(settled=settled(failed=(Kind("list", "503", 5),)))
    assert [firm(each, generous) for each in (told, slow, refused, load())] == [True, True, False, False]
    before = stage("1x", 1, 3, 8, failed=(Kind("list", "500", 9),))
    assert not firm(load(before, settled=told.settled), generous)  # it is no trace of the peak
    assert not firm(replace(told, multiplier=1), generous)


def test_an_end_after_the_climb_is_none_of_the_climb() -> None:
    """The climb was whole."""
    seen = load(ended="the generator was not done when all deadlines had passed", ended_in="1x again")
    assert recovers(seen, LIMITS).summary.endswith("; the load was ended in stage 1x again, after the climb")
    assert "the load was ended in stage 1x again" in check.responses_in_time(seen, LIMITS).summary


def test_recovery_from_nothing_is_no_recovery() -> None:
    """Lost at the usual load already, there was no peak; from 4x there was something to recover from."""
    lost = "80 of 160 requests had failed"
    usual = ended(stage("1x", 1, 3, 8, failed=(SILENT,)), lost, "failures")
    finding = recovers(usual, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert f"no more than the usual load was tried: the climb was ended in stage 1x, since {lost}" in (
        finding.summary
    )
    higher = recovers(ended(stage("4x", 4, 11, 4), lost, "failures"), LIMITS)
    assert higher.verdict is Verdict.PASSED
    assert "as far as the climb went, which was ended in stage 4x" in higher.summary
    ill = replace(usual, seconds=seen_as("ssssssss").seconds)
    assert recovers(ill, LIMITS).verdict is Verdict.FAILED


def test_the_limit_says_how_well_it_is_known() -> None:
    """Three seconds, known to one: so a fourth passes."""
    assert recovers(load(), LIMITS).limit == "as before within 3 s (known to the second), and from then on"


def test_what_is_left_is_of_one_stage() -> None:
    """Requests that were due later than so long after a stage's beginning, and no other stage."""
    told = Told()
    told.sent(1, *steadily(8, 4, 50))
    told.sent(2, *steadily(12, 4, 10))
    late = told.digest.since(2, 3.0)
    (left,) = late.stages()
    assert (left.name, left.due, left.at_s) == (PLAN.stages[2].name, 10, 15)
    assert told.digest.since(0, 3.0).stages() == ()
