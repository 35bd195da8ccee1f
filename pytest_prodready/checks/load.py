"""Checks of the load suite: is the target met, and what is it worth."""

from __future__ import annotations

from dataclasses import replace

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_users import (
    users_could_not,
    users_reach_the_rate,
    users_were_held,
)
from pytest_prodready.checks.load_words import (
    at,
    by_enough_users,
    judged,
    kinds,
    longer,
    of_either_model,
    percent,
    too_few_users,
    unmeasured,
)
from pytest_prodready.findings import Finding, Rule, Verdict
from pytest_prodready.probes.load import Load, Stage
from pytest_prodready.probes.load_asked import slowest
from pytest_prodready.probes.load_busy import short_of_users
from pytest_prodready.probes.load_limits import (
    FEWEST_FOR_P99,
    SLOWNESS,
    SOME,
    errors_in_all,
    slow_by_itself,
    sure,
    too_few_to_tell,
    too_many,
    too_many_errors,
    too_many_in_all,
    too_slow,
)
from pytest_prodready.settings import LoadSettings


@of_either_model
def stays_up(seen: Load, limits: LoadSettings) -> Finding:
    """There are answers at every load, from the process that was there before."""
    rule = RULES["load.stays-up"]
    limit = "answers in each stage, from the same process"
    if seen.same_process is False and not seen.doubt:
        words = f" ({seen.last_words[:120]})" if seen.last_words else ""
        where = f"in stage {seen.died_in}" if seen.died_in else "after the last request"
        return rule.failed(f"the service's process ended {where}{words}", limit=limit)
    if nothing := unmeasured(rule, seen):
        return nothing
    silent = next((each for each in seen.climb if each.answered == 0), None)
    wrong = (
        f"{at(silent)} none of {silent.due} requests had an answer: {kinds(silent.failed)}" if silent else ""
    )
    told = f"{sum(each.answered for each in seen.climb)} requests answered up to {_peak(seen)}"
    if seen.log_errors:
        told += f"; {seen.log_errors} lines of the service's log speak of errors"
    own = slow_by_itself(silent, limits) if silent else ""
    return judged(rule, seen, wrong=wrong, told=told, limit=limit, own=own)


@of_either_model
@by_enough_users
def requests_succeed(seen: Load, limits: LoadSettings) -> Finding:
    """Few requests fail in any stage; what the service itself calls an error is no machine's fault."""
    rule = RULES["load.requests-succeed"]
    if nothing := unmeasured(rule, seen):
        return nothing
    limit = f"{percent(limits.failures)} of each stage"
    missed = [each for each in seen.climb if too_many(each, limits)]
    single = [each for each in missed if too_few_to_tell(each, limits)]
    bad = max((each for each in missed if each not in single), key=_failed_share, default=None)
    in_all = bad is None and too_many_in_all(seen.climb, limits)
    if single and bad is None and not in_all:
        return _single_failure(rule, seen, max(single, key=_failed_share), limit)
    told = _failed_in_all(seen) if in_all else _failed(bad or max(seen.climb, key=_failed_share))
    if not bad and not in_all:
        return judged(rule, seen, wrong="", told=told, limit=limit)
    if seen.log_errors:
        told += f"; {seen.log_errors} lines of the service's log speak of errors"
    firm = errors_in_all(seen.climb, limits) if bad is None else too_many_errors(bad, limits)
    return judged(rule, seen, wrong=told, told="", limit=limit, firm=firm)


@of_either_model
@by_enough_users
def responses_in_time(seen: Load, limits: LoadSettings) -> Finding:
    """p95 and p99 from the intended start are within their limits in each stage."""
    rule = RULES["load.responses-in-time"]
    if nothing := unmeasured(rule, seen):
        return nothing
    limit = (
        f"p95 {limits.p95_ms:g} ms, p99 {limits.p99_ms:g} ms, and p95 no more than {limits.slowdown:g} times"
        f" that of 1x (below {limits.unnoticed_ms:g} ms nobody minds)"
    )
    slow = [(each, words) for each in seen.climb if (words := too_slow(each, seen.usual, limits))]
    if not slow and (hidden := users_were_held(rule, seen, limits, limit)):
        return hidden
    if not slow and (few := _too_few_for_p99(seen, limits)):
        change = longer(seen, seen.climb[-1], FEWEST_FOR_P99)
        return rule.inconclusive(few, limit=limit, change=change)
    if not slow:
        return judged(rule, seen, wrong="", told=_times(seen.climb[-1]), limit=limit)
    stage, words = max(slow, key=lambda pair: pair[0].rate)
    lost = seen.ended_for == SLOWNESS and seen.ended_in == stage.name
    wrong = f"{at(stage)} {words}{_slowest(stage)}{_service(stage)}{_cut(seen, stage)}{_waits(seen)}"
    if not lost and not any(sure(each, limits) for each, _ in slow):
        return rule.inconclusive(f"{wrong}; too close to its limit to tell it from chance", limit=limit)
    own = next((words for each, _ in reversed(slow) if (words := slow_by_itself(each, limits))), "")
    return judged(rule, seen, wrong=wrong, told="", limit=limit, own=own)


@of_either_model
@by_enough_users
def rate_is_reached(seen: Load, limits: LoadSettings) -> Finding:
    """What is due in a stage is answered within it."""
    rule = RULES["load.rate-is-reached"]
    if nothing := unmeasured(rule, seen):
        return nothing
    if seen.locustfile:
        return users_reach_the_rate(rule, seen, limits)
    short = next((each for each in seen.climb if each.achieved < limits.achieved), None)
    stage = short or seen.climb[-1]
    told = f"{at(stage)} {stage.achieved:.1%} were answered within the stage{_cut(seen, stage)}"
    wrong = ""
    if short:
        waited = f"; for {short.busy} no user of the generator was free" if short.busy else ""
        wrong = f"{told}{waited}{_waits(seen)}"
    own = slow_by_itself(short, limits) if short else ""
    return judged(rule, seen, wrong=wrong, told=told, limit=f"{limits.achieved:.0%} of what is due", own=own)


@of_either_model
def goodput_holds(seen: Load, limits: LoadSettings) -> Finding:
    """Good answers a second don't become fewer when more is asked for.

    Too few users of the generator excuse the highest load alone: what there was most of is true anyway.
    """
    finding = _goodput(seen, limits)
    if finding.verdict is not Verdict.FAILED or not short_of_users(last := seen.climb[-1], limits):
        return finding
    below = replace(seen, stages=tuple(each for each in seen.stages if each is not last))
    if below.climb and (within := goodput_holds(below, limits)).verdict is Verdict.FAILED:
        return within
    return too_few_users(finding, seen, last)


def _goodput(seen: Load, limits: LoadSettings) -> Finding:
    rule = RULES["load.goodput-holds"]
    if nothing := unmeasured(rule, seen):
        return nothing
    best, last = max(seen.climb, key=lambda each: each.goodput), seen.climb[-1]
    told = (
        f"{last.goodput:.0f} good answers a second {at(last)} {best.goodput:.0f} at most (at {best.name})"
        f"{_cut(seen, last)}"
    )
    limit, least = f"{limits.goodput:.0%} of the most at any stage", limits.goodput * best.goodput
    wrong = told if last.goodput < least else ""
    if wrong and (why := users_could_not(last, seen, least)):
        return rule.inconclusive(f"{told}; but {why}", limit=limit)
    return judged(rule, seen, wrong=wrong, told=told, limit=limit)


def _failed_share(stage: Stage) -> float:
    return stage.failed_share


def _failed(stage: Stage) -> str:
    told = f"{at(stage)} {stage.failures} of {stage.due} requests failed ({stage.failed_share:.2%})"
    return f"{told}: {kinds(stage.failed)}" if stage.failed else told


def _failed_in_all(seen: Load) -> str:
    """What failed all along the climb, where it is little in each stage."""
    failed, due = sum(each.failures for each in seen.climb), sum(each.due for each in seen.climb)
    found = [f"{kinds(each.failed)} at {each.name}" for each in seen.climb if each.failed]
    return f"{failed} of {due} requests of all stages failed ({failed / due:.2%}): {', '.join(found)}"


def _too_few_for_p99(seen: Load, limits: LoadSettings) -> str:
    """Why nothing can be said of the slowest percent at the peak; empty where there are requests enough."""
    peak = seen.peak
    if peak is None or seen.ended or peak.response is None:
        return ""
    tried = peak.response.count if too_many(peak, limits) else peak.due  # what failed is forgiven there
    if tried >= FEWEST_FOR_P99:
        return ""
    return f"{_times(peak)}; but of {tried} requests nobody can tell the slowest percent"


def _single_failure(rule: Rule, seen: Load, stage: Stage, limit: str) -> Finding:
    few = f"of fewer than {SOME} requests a single failure tells nothing"
    return rule.inconclusive(f"{_failed(stage)}; but {few}", limit=limit, change=longer(seen, stage, SOME))


def _peak(seen: Load) -> str:
    stage = seen.climb[-1]
    return f"{stage.name}, {stage.rate:g}/s"


def _times(stage: Stage) -> str:
    times = stage.response
    assert times is not None
    return (
        f"{at(stage)} p50 {times.p50.ms:.0f} ms, p95 {times.p95.ms:.0f} ms"
        f" ({times.p95.low_ms:.0f} to {times.p95.high_ms:.0f}), p99 {times.p99.ms:.0f} ms"
        f" ({times.p99.low_ms:.0f} to {times.p99.high_ms:.0f})"
    )


def _slowest(stage: Stage) -> str:
    """Which request it is, where one takes much longer than the others."""
    found = slowest(stage)
    return f"; slowest: {found.request}, p95 {found.p95_ms:.0f} ms of {found.count} requests" if found else ""


def _service(stage: Stage) -> str:
    """What a client that waits for each answer before it sends the next would have seen."""
    return (
        f"; from the actual start p95 is {stage.service.p95.ms:.0f} ms"
        if stage.service and not stage.users
        else ""
    )


def _cut(seen: Load, stage: Stage) -> str:
    ended = seen.ended and seen.ended_in == stage.name
    return f" (ended there: {seen.ended})" if ended else ""


def _waits(seen: Load) -> str:
    """What backends waited for most."""
    most = max(seen.waits, key=lambda each: each.count, default=None)
    looks = sum(each.in_use for each in seen.pool or ())
    if most is None or most.count < max(10.0, 0.2 * looks):
        return ""
    return f"; backends in use mostly waited for {most.name} ({most.count:.0f} of {looks} looks)"
