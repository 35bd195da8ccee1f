"""Checks of the load suite: is the target met, and what is it worth."""

from __future__ import annotations

import math

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_users import (
    users_could_not,
    users_left_too_soon,
    users_reach_the_rate,
    users_were_held,
)
from pytest_prodready.checks.load_words import (
    as_far_as_it_went,
    at,
    by_enough_users,
    judged,
    kinds,
    of_either_model,
    percent,
    unmeasured,
)
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Load, Stage
from pytest_prodready.probes.load_asked import slowest
from pytest_prodready.probes.load_limits import (
    SLOWNESS,
    errors_in_all,
    slow_by_itself,
    sure,
    too_many,
    too_many_errors,
    too_many_in_all,
    too_slow,
    unsettled,
)
from pytest_prodready.probes.load_recovery import in_time, recovered_at, relapsed, settled_after_s
from pytest_prodready.settings import LoadSettings

FEWEST_FOR_P99 = 100  # requests


@of_either_model
def stays_up(seen: Load, limits: LoadSettings) -> Finding:
    """There are answers at every load, from the process that was there before."""
    rule = RULES["load.stays-up"]
    limit = "answers in each stage, from the same process"
    if seen.same_process is False and not seen.doubt:
        words = f" ({seen.last_words[:120]})" if seen.last_words else ""
        where = seen.ended_in or (seen.climb or seen.stages)[-1].name
        return rule.failed(f"the service's process ended in stage {where}{words}", limit=limit)
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
    bad = max((each for each in seen.climb if too_many(each, limits)), key=_failed_share, default=None)
    in_all = bad is None and too_many_in_all(seen.climb, limits)
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
    if not slow and (few := _too_few_for_p99(seen)):
        return rule.inconclusive(few, limit=limit, change=_longer_peak(seen))
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
@by_enough_users
def goodput_holds(seen: Load, limits: LoadSettings) -> Finding:
    """Good answers a second don't become fewer when more is asked for."""
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


@of_either_model
@by_enough_users
def recovers(seen: Load, limits: LoadSettings) -> Finding:
    """The usual load is soon served after the peak as before it."""
    rule = RULES["load.recovers"]
    if nothing := unmeasured(rule, seen):
        return nothing
    again, limit = seen.again, _recovered_words(limits)
    if again is None or (seen.usual is None or seen.usual.response is None):
        return rule.inconclusive("the usual load was not tried before and after the peak", limit=limit)
    if seen.same_process is False and seen.ended_in == again.name:
        return rule.failed("the service's process ended at the usual load after the peak", limit=limit)
    if not in_time(seen, limits):
        return _not_recovered(rule, seen, again, limits)
    if seen.settled and (late := unsettled(seen, limits)):
        failed = f": {kinds(seen.settled.failed)}" if seen.settled.failed else ""
        wrong = f"from {settled_after_s(limits):g} s after the peak on {late}{failed}"
        firm, own = too_many_errors(seen.settled, limits), slow_by_itself(seen.settled, limits)
        return judged(rule, seen, wrong=wrong, told="", limit=limit, firm=firm, own=own)
    told = f"as before {_since_the_peak(recovered_at(seen, limits), again)}: {_before_and_after(seen)}"
    return as_far_as_it_went(rule, seen, told, limit, needs_more=True)


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


def _too_few_for_p99(seen: Load) -> str:
    """Why nothing can be said of the slowest percent at the peak; empty where there are requests enough."""
    peak = seen.peak
    if peak is None or seen.ended or peak.response is None or peak.response.count >= FEWEST_FOR_P99:
        return ""
    return f"{_times(peak)}; but of {peak.response.count} requests nobody can tell the slowest percent"


def _longer_peak(seen: Load) -> str:
    seconds = math.ceil(FEWEST_FOR_P99 / (seen.expected_rps * seen.multiplier))
    return f"Set [load] peak_s = {seconds} or more, for {FEWEST_FOR_P99} requests at the peak."


def _recovered_words(limits: LoadSettings) -> str:
    return f"as before within {limits.recover_within_s:g} s (known to the second), and from then on"


def _not_recovered(rule: Rule, seen: Load, again: Stage, limits: LoadSettings) -> Finding:
    """Too late, not for good, or never; open where the users of a locustfile had left."""
    at_s, first, limit = recovered_at(seen, limits), relapsed(seen, limits), _recovered_words(limits)
    if at_s is None and (why := users_left_too_soon(again, seen, limits)):
        return rule.inconclusive(f"the usual load was hardly tried after the peak: {why}", limit=limit)
    if first and first[0] != at_s:
        since = _since_the_peak(first[0], again)
        wrong = f"as before {since}, but not for good: {first[1]} seconds after that were not"
    elif at_s is None:
        wrong = f"{again.seconds:.0f} s after the peak it was not as before"
    else:
        wrong = f"as before {_since_the_peak(at_s, again)}"
    wrong += f": {_before_and_after(seen)}" + (f", {kinds(again.failed)}" if again.failed else "")
    return judged(rule, seen, wrong=wrong, told="", limit=limit, own=slow_by_itself(again, limits))


def _since_the_peak(at_s: float | None, again: Stage) -> str:
    return f"{max(0.0, (at_s or 0.0) - again.at_s):.0f} s after the peak"


def _before_and_after(seen: Load) -> str:
    usual, again = seen.usual, seen.again
    before = usual.response.p95.high_ms if usual and usual.response else 0.0
    now = f"{again.response.p95.ms:.0f} ms" if again and again.response else "no answer"
    return f"p95 {before:.0f} ms before, {now} afterwards"


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
