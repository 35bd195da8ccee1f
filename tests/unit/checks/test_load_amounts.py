"""Verdicts on little: few requests, a climb that ended early, a service that died at once, a second try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.checks.load_headroom import has_headroom
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.load import Kind, Load, Stage
from pytest_prodready.probes.load_knee import knee
from pytest_prodready.probes.load_limits import FAILURES, firm, missed

from .loads import LIMITS, POOL, STARVED, closed, ended, load, look, second, stage, times
from .test_load import ALL

LOST = Kind("list", "no answer in time", 80)
TRUTH: tuple[Callable[[Load], Finding], ...] = (
    load_truth.no_write_lost,
    load_truth.answers_are_right,
    load_truth.no_hidden_errors,
    lambda seen: load_truth.connections_are_given_back(seen, POOL),
    lambda seen: load_truth.memory_is_bounded(seen, LIMITS),
)


def failing(count: int, name: str = "1x", multiple: float = 1, due: int = 160, what: str = "500") -> Stage:
    """A stage of which so many requests failed."""
    kind = Kind("list", what, count)
    all_of = {"due": due, "planned": due, "in_time": due, "good": due - count}
    told = {**all_of, "failed": (kind,), "server_errors": count}
    return stage(name, multiple, {1: 3, 4: 11, 10: 15}[int(multiple)], 8, **told)


def test_death_in_the_warm_up_fails() -> None:
    """Nothing was sent at the usual load, since the process had ended: that is known, and why it did."""
    whole = load()
    seen = replace(
        whole,
        stages=whole.stages[:1],
        same_process=False,
        last_words="MemoryError",
        ended="the service's process had ended",
        ended_in="warm-up",
        died_in="warm-up",
    )
    finding = check.stays_up(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == "the service's process ended in stage warm-up (MemoryError)"
    assert check.stays_up(replace(seen, stages=()), LIMITS).verdict is Verdict.FAILED
    assert check.requests_succeed(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
    alive = check.stays_up(replace(seen, same_process=True), LIMITS)
    assert alive.verdict is Verdict.INCONCLUSIVE
    given_up = check.stays_up(replace(seen, doubt="the load was given up"), LIMITS)
    assert given_up.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("judge", TRUTH)
def test_what_was_seen_at_the_usual_load_alone_is_no_proof(judge: Callable[[Load], Finding]) -> None:
    """The climb was ended at 1x: none of it is known of the peak."""
    seen = ended(stage("1x", 1, 3, 8, failed=(LOST,)), "80 of 160 requests had failed", FAILURES)
    finding = judge(seen)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "but no more than the usual load was tried: the climb was ended in stage 1x" in finding.summary


@pytest.mark.parametrize("judge", TRUTH)
def test_what_was_seen_under_load_says_how_far_it_went(judge: Callable[[Load], Finding]) -> None:
    """A service that had more than it could take at 4x kept its word there."""
    finding = judge(ended(stage("4x", 4, 11, 4, failed=(LOST,)), "80 of 320 had failed", FAILURES))
    assert finding.verdict is Verdict.PASSED
    assert finding.summary.endswith("; as far as the climb went, which was ended in stage 4x")
    assert "as far as" not in judge(load()).summary


def test_a_defect_at_the_usual_load_is_one() -> None:
    """However early the climb was ended: a lost write is lost."""
    seen = ended(stage("1x", 1, 3, 8, failed=(LOST,)), "80 of 160 requests had failed", FAILURES)
    lost = replace(seen, ledger=Ledger(acknowledged=9, lost=("a",), read_from=("database",)))
    assert load_truth.no_write_lost(lost).verdict is Verdict.FAILED
    left = replace(seen, left=look(40, total=25))
    assert load_truth.connections_are_given_back(left, POOL).verdict is Verdict.FAILED


def test_a_load_without_a_peak_proves_what_it_tried() -> None:
    """`multiplier = 1`: answers were right at all that was asked for; there was nothing to recover from."""
    usual, again = stage("1x", 1, 3, 8), stage("1x again", 1, 11, 8)
    seen = replace(load(), multiplier=1, stages=(usual, again))
    assert load_truth.answers_are_right(seen).verdict is Verdict.PASSED
    ill = [second(11 + at, 1, 20, 900, slow=20) for at in range(8)]
    for finding in (
        load_truth.memory_is_bounded(seen, LIMITS),
        recovers(replace(seen, seconds=load().seconds), LIMITS),
        recovers(replace(seen, seconds=tuple(ill)), LIMITS),  # as it may be without any peak
    ):
        assert finding.verdict is Verdict.UNVERIFIED
        assert finding.change == "Set [load] multiplier above 1."
    assert not missed(replace(seen, seconds=tuple(ill)), LIMITS)


@pytest.mark.parametrize(
    ("stages", "failures", "verdict"),
    [
        ((failing(1),), 0.005, Verdict.PASSED),  # one of 160 is a rounding
        ((failing(1, due=20),), 0.005, Verdict.PASSED),
        ((failing(2, due=16),), 0.005, Verdict.FAILED),
        ((failing(1, due=5),), 0.0, Verdict.FAILED),
        ((failing(2),), 0.005, Verdict.FAILED),
        ((failing(1),), 0.0, Verdict.FAILED),
        ((failing(1), failing(1, "4x", 4), failing(1, "10x", 10)), 0.0, Verdict.FAILED),
        ((failing(1), failing(1, "4x", 4), failing(1, "10x", 10)), 0.005, Verdict.FAILED),  # 3 of 480
        ((failing(1), failing(1, "4x", 4, 320), failing(1, "10x", 10, 3000)), 0.005, Verdict.PASSED),
        ((failing(1, "10x", 10, 3000),), 0.0004, Verdict.PASSED),
        ((failing(2, "10x", 10, 3000),), 0.0004, Verdict.FAILED),
    ],
)
def test_a_single_failure_is_forgiven_where_it_tells_nothing(
    stages: tuple[Stage, ...], failures: float, verdict: Verdict
) -> None:
    """One of some, where any may fail, and where single ones are within the limit together."""
    limits = LIMITS.model_copy(update={"failures": failures})
    seen = load(*stages)
    finding = check.requests_succeed(seen, limits)
    assert finding.verdict is verdict, finding.summary
    assert missed(seen, limits) == (verdict is Verdict.FAILED)
    starved = check.requests_succeed(replace(seen, generator=STARVED), limits)
    assert starved.verdict is verdict  # what the service calls an error itself


@pytest.mark.parametrize(
    ("few", "change"),
    [
        (failing(1, due=16), "Set [load] usual_s = 11 or more, for 20 requests at 1x."),
        (failing(1, "4x", 4, due=16), "Set [load] step_s = 9 or more, for 20 requests at 4x."),
    ],
)
def test_a_single_failure_of_a_handful_is_open(few: Stage, change: str) -> None:
    """At 2/s a service that fails one request in 200 shows it there now and then: the stage is too short."""
    seen = replace(load(few), expected_rps=2)
    finding = check.requests_succeed(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "1 of 16 requests failed (6.25%): 1 x 500 (list); but of fewer than 20 requests" in finding.summary
    assert finding.change == change
    assert missed(seen, LIMITS)
    assert not firm(seen, LIMITS)  # nor is it an error that no machine can be blamed for: it may be chance


def test_a_single_failure_of_a_handful_excuses_no_other() -> None:
    """What fails elsewhere, or in all stages together, has failed."""
    few = failing(1, due=16)
    for other in (failing(9, "4x", 4, 320), failing(3, "4x", 4, 2000), failing(1, "4x", 4, due=5)):
        short = stage("10x", 10, 15, 1, due=20, planned=20, good=20, in_time=20)
        worst = check.requests_succeed(load(few, other, short), LIMITS)
        assert worst.verdict is (Verdict.INCONCLUSIVE if other.due == 2000 else Verdict.FAILED), worst.summary


def test_single_failures_are_told_together() -> None:
    """How many of all, and where; what the service calls errors itself isn't tried away."""
    seen = load(failing(1), failing(1, "4x", 4), failing(1, "10x", 10, what="no answer in time"))
    assert firm(seen, LIMITS)
    assert not firm(load(failing(1)), LIMITS)
    warm_up = stage("warm-up", 1, 0, 1, due=5, failed=(LOST,), server_errors=1)
    assert not firm(replace(load(), stages=(warm_up, *load().stages)), LIMITS)
    summary = check.requests_succeed(seen, LIMITS).summary
    assert "3 of 480 requests of all stages failed (0.62%): 1 x 500 (list) at 1x, 1 x 500" in summary
    assert "1 x no answer in time (list) at 10x" in summary


@pytest.mark.parametrize(
    ("failures", "says"), [(0.005, "0.5%"), (0.0004, "0.04%"), (0.0, "0%"), (0.1, "10%")]
)
def test_the_limit_is_told_as_it_was_given(failures: float, says: str) -> None:
    """And not rounded to nothing."""
    limits = LIMITS.model_copy(update={"failures": failures})
    assert check.requests_succeed(load(), limits).limit == f"{says} of each stage"


def test_a_handful_of_requests_has_no_p99() -> None:
    """At half a request a second the peak of 15 s has 75: it has to last longer, and it is said how long."""
    few = load(stage("10x", 10, 15, 15, due=75, response=times(3, 10, 20, count=75)))
    finding = check.responses_in_time(replace(few, expected_rps=0.5), LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "of 75 requests nobody can tell the slowest percent" in finding.summary
    assert finding.change == "Set [load] peak_s = 22 or more, for 100 requests at 10x."
    slow = load(stage("10x", 10, 15, 15, due=75, response=times(300, 800, 900, count=75)))
    assert check.responses_in_time(slow, LIMITS).verdict is Verdict.FAILED
    enough = load(stage("10x", 10, 15, 20, due=100, planned=100, response=times(3, 10, 20, count=100)))
    assert check.responses_in_time(enough, LIMITS).verdict is Verdict.PASSED


def test_a_forgiven_failure_is_no_want_of_requests() -> None:
    """Of 100 one failed, which may be: 99 tell the slowest percent. What is left of a collapse doesn't."""
    hundred = {"due": 100, "planned": 100, "in_time": 100}
    one = stage(
        "10x", 10, 15, 20, **hundred, failed=(replace(LOST, count=1),), response=times(3, 10, 20, count=99)
    )
    assert check.responses_in_time(load(one), LIMITS).verdict is Verdict.PASSED
    most = replace(one, failed=(replace(LOST, count=90),), response=times(3, 10, 20, count=10))
    assert check.responses_in_time(load(most), LIMITS).verdict is Verdict.INCONCLUSIVE


def test_without_a_peak_it_is_the_usual_load_that_is_short() -> None:
    """`multiplier = 1`: peak_s would change nothing; and no advice repeats what is set already."""
    usual = stage("1x", 1, 3, 24, due=96, planned=96, response=times(3, 10, 20, count=96))
    seen = replace(load(), multiplier=1, expected_rps=4, stages=(usual, stage("1x again", 1, 27, 8)))
    assert check.responses_in_time(seen, LIMITS).change.startswith("Set [load] usual_s = 28 or more")
    slower = replace(seen, stages=(replace(usual, seconds=40), seen.stages[1]))  # by users who made less
    assert check.responses_in_time(slower, LIMITS).change.startswith("Set [load] usual_s = 41 or more")


@pytest.mark.parametrize(("count", "verdict"), [(1, Verdict.INCONCLUSIVE), (20, Verdict.PASSED)])
def test_one_checked_answer_is_no_proof(count: int, verdict: Verdict) -> None:
    """Of thousands a single one had content that is known."""
    seen = load()
    stages = [replace(each, checked=0, shaped=0) for each in seen.stages]
    stages[1] = replace(stages[1], checked=count, shaped=count)
    seen = replace(seen, stages=tuple(stages))
    assert load_truth.answers_are_right(seen).verdict is verdict
    assert load_truth.no_hidden_errors(seen).verdict is verdict


@pytest.mark.parametrize(
    ("checked", "change"),
    [
        (11, "Set [load] peak_s = 37 or more, for 165 requests at 10x. Or set `contains` of the declared"),
        (0, "Set `contains` of the declared requests"),
    ],
)
def test_too_few_known_answers_have_a_way_out(checked: int, change: str) -> None:
    """At half a request a second a tenth of them are writes that are read back: eleven in a minute."""
    few = [replace(each, due=0, good=0, checked=0, shaped=0) for each in load().stages]
    few[3] = replace(few[3], due=75, good=109, checked=checked, shaped=checked)
    seen = replace(load(), stages=tuple(few), expected_rps=0.5)
    finding = load_truth.answers_are_right(seen)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.change.startswith(change)
    lost = replace(seen, ended="80 had failed", ended_in="10x")
    assert load_truth.answers_are_right(lost).change.startswith("Set `contains`")


def test_where_all_answers_are_known_they_have_to_be_more() -> None:
    """`contains` is set already; and without a good answer nothing of both would help."""
    few = [replace(each, due=0, good=0, checked=0, shaped=0) for each in load().stages]
    few[3] = replace(few[3], due=10, good=10, checked=10, shaped=10)
    seen = replace(load(), stages=tuple(few), expected_rps=0.5)
    assert load_truth.answers_are_right(seen).change == (
        "Set [load] peak_s = 16 or more, for 20 requests at 10x."
    )
    few[3] = replace(few[3], good=0, checked=0)
    assert load_truth.answers_are_right(replace(seen, stages=tuple(few))).change == ""


def test_a_pool_needs_looks_all_along() -> None:
    """A dozen looks in fifteen seconds may have missed when it was full; full in most of them it was full."""
    few = tuple(look(15.0 + at, in_use=1) for at in range(12))
    finding = load_truth.pool_has_room(load(pool=few), LIMITS, POOL)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "too few looks in 15 s" in finding.summary
    full = tuple(replace(each, in_use=10) for each in few)
    assert load_truth.pool_has_room(load(pool=full), LIMITS, POOL).verdict is Verdict.FAILED


def test_requests_that_nobody_accounts_for_are_no_pass() -> None:
    """The schedule had more than came back."""
    seen = load(stage("4x", 4, 11, 4, planned=330))
    finding = check.requests_succeed(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "only 320 of 330 planned requests are accounted for at 4x" in finding.summary
    assert check.requests_succeed(closed(), LIMITS).verdict is Verdict.PASSED  # nobody planned theirs


def test_a_second_try_says_so() -> None:
    """A pass tells nothing of the first try, and doesn't hide that there was one."""
    for judge in (*(lambda seen, judge=judge: judge(seen, LIMITS) for judge in ALL), *TRUTH):
        finding = judge(load(attempts=2))
        assert finding.verdict is Verdict.PASSED
        assert "(second try: the first missed its target, which the machine or" in finding.summary
        assert "second try" not in judge(load()).summary


def test_lost_goodput_is_a_missed_target() -> None:
    """Fewer good answers at the peak than below it, within the limits for failures: tried once more."""
    generous = LIMITS.model_copy(update={"failures": 0.9})
    seen = load(stage("10x", 10, 15, 15, failed=(replace(LOST, count=2500),)))
    assert missed(seen, generous)
    assert not missed(load(), generous)


def _steady(*took: float, **more: object) -> Load:
    """A run whose answers take so long on average at 1x, 4x, 10x."""
    known = (("1x", 1, 3, 8), ("4x", 4, 11, 4), ("10x", 10, 15, 15))
    stages = [stage(*each, mean_s=mean_s) for each, mean_s in zip(known, took, strict=True)]
    stages[2] = replace(stages[2], **more)  # type: ignore[arg-type]
    return load(*stages)


@pytest.mark.parametrize(
    ("took", "says"),
    [
        (
            (0.003, 0.003, 0.003),
            "0.60 requests were under way at once there, so that even one after the other 333/s",
        ),
        ((0.008, 0.008, 0.008), "only 1.6 requests were ever under way at once, too few to fit a curve to"),
        ((0.005, 0.005, 0.007), "only 1.4 requests were ever under way at once, too few to fit a curve to"),
        ((0.050, 0.050, 0.050), "answers take no longer there than at 1x (10.0 were under way at once)"),
    ],
)
def test_no_sign_of_a_limit_says_what_it_is_worth(took: tuple[float, float, float], says: str) -> None:
    """Room for more, or as quick as ever; and little where hardly anything was under way: it is advice."""
    seen = _steady(*took)
    assert seen.knee is not None
    assert seen.knee.most_per_s is None
    finding = has_headroom(seen, LIMITS)
    assert finding.verdict is Verdict.PASSED, finding.summary
    assert f"no sign of a limit up to 200/s: {says}" in finding.summary


@pytest.mark.parametrize(
    "peak",
    [
        {"failed": (Kind("list", "503", 2000),), "good": 1000},
        {"failed": (Kind("list", "503", 3000),), "good": 0, "mean_s": 0.0},
        {"response": times(300, 800, 900)},
        {"in_time": 2000},
    ],
)
def test_a_service_that_collapses_shows_its_limit(peak: dict[str, object]) -> None:
    """It refuses quickly, or late: no curve bends, and nobody says that there is no limit."""
    seen = replace(_steady(0.003, 0.003, 0.003, **peak), knee=load().knee)
    finding = has_headroom(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "at 10x it missed its limits" in finding.summary


def test_headroom_of_an_ended_climb_is_none() -> None:
    """It never came to the peak: what is enough for 4x isn't for that."""
    seen = ended(stage("4x", 4, 11, 4), "the generator was not done", FAILURES)
    assert has_headroom(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
    known = knee(load().climb)
    assert known is not None
    seen = replace(seen, knee=replace(known, most_per_s=150.0))  # nearly twice 80/s
    finding = has_headroom(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert "0.8 times 200/s" in finding.summary
    seen = replace(seen, knee=replace(known, most_per_s=400.0))
    assert has_headroom(seen, LIMITS).verdict is Verdict.INCONCLUSIVE
