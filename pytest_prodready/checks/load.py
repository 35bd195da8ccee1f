"""Checks of the load suite: is the target met, and what is it worth."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_users import (
    users_could_not,
    users_left_too_soon,
    users_reach_the_rate,
    users_were_held,
)
from pytest_prodready.checks.load_words import at, judged, kinds, of_either_model, unmeasured
from pytest_prodready.findings import Finding
from pytest_prodready.probes.load import Load, Stage
from pytest_prodready.probes.load_limits import (
    KNOWN_TO_S,
    SLOWNESS,
    doubts,
    recovered_at,
    slow_by_itself,
    sure,
    too_many,
    too_many_errors,
    too_slow,
)
from pytest_prodready.settings import LoadSettings


@of_either_model
def stays_up(seen: Load, limits: LoadSettings) -> Finding:
    """There are answers at every load, from the process that was there before."""
    rule = RULES["load.stays-up"]
    if nothing := unmeasured(rule, seen):
        return nothing
    limit = "answers in each stage, from the same process"
    if seen.same_process is False:
        words = f" ({seen.last_words[:120]})" if seen.last_words else ""
        where = seen.ended_in or seen.climb[-1].name
        return rule.failed(f"the service's process ended in stage {where}{words}", limit=limit)
    silent = next((each for each in seen.climb if each.answered == 0), None)
    wrong = (
        f"{at(silent)} none of {silent.due} requests had an answer: {kinds(silent.failed)}" if silent else ""
    )
    told = f"{sum(each.answered for each in seen.climb)} requests answered up to {_peak(seen)}"
    own = slow_by_itself(silent, limits) if silent else ""
    return judged(rule, seen, wrong=wrong, told=told, limit=limit, own=own)


@of_either_model
def requests_succeed(seen: Load, limits: LoadSettings) -> Finding:
    """Few requests fail in any stage; what the service itself calls an error is no machine's fault."""
    rule = RULES["load.requests-succeed"]
    if nothing := unmeasured(rule, seen):
        return nothing
    bad = max((each for each in seen.climb if too_many(each, limits)), key=_failed_share, default=None)
    worst = bad or max(seen.climb, key=_failed_share)
    told = f"{at(worst)} {worst.failures} of {worst.due} requests failed ({worst.failed_share:.2%})"
    if worst.failed:
        told += f": {kinds(worst.failed)}"
    if bad and seen.log_errors:
        told += f"; {seen.log_errors} lines of the service's log speak of errors"
    firm = bad is not None and too_many_errors(bad, limits)
    wrong = told if bad else ""
    return judged(rule, seen, wrong=wrong, told=told, limit=f"{limits.failures:.1%} of each stage", firm=firm)


@of_either_model
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
    if not slow:
        return judged(rule, seen, wrong="", told=_times(seen.climb[-1]), limit=limit)
    stage, words = max(slow, key=lambda pair: pair[0].rate)
    lost = seen.ended_for == SLOWNESS and seen.ended_in == stage.name
    wrong = f"{at(stage)} {words}{_service(stage)}{_cut(seen, stage)}{_waits(seen)}"
    if not lost and not any(sure(each, limits) for each, _ in slow):
        return rule.inconclusive(f"{wrong}; too close to its limit to tell it from chance", limit=limit)
    own = next((words for each, _ in reversed(slow) if (words := slow_by_itself(each, limits))), "")
    return judged(rule, seen, wrong=wrong, told="", limit=limit, own=own)


@of_either_model
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
def recovers(seen: Load, limits: LoadSettings) -> Finding:
    """The usual load is soon served after the peak as before it."""
    rule = RULES["load.recovers"]
    if nothing := unmeasured(rule, seen):
        return nothing
    usual, again = seen.usual, seen.again
    limit = f"as before within {limits.recover_within_s:g} s"
    if usual is None or usual.response is None or again is None:
        return rule.inconclusive("the usual load was not tried before and after the peak", limit=limit)
    before, at_s = usual.response.p95.high_ms, recovered_at(seen, limits)
    now = again.response.p95.ms if again.response else None
    figures = f"p95 {before:.0f} ms before, {'no answer' if now is None else f'{now:.0f} ms'} afterwards"
    if at_s is None and (why := users_left_too_soon(again, seen, limits)):
        return rule.inconclusive(f"the usual load was hardly tried after the peak: {why}", limit=limit)
    if at_s is None:
        wrong = f"{again.seconds:.0f} s after the peak it was not as before: {figures}"
        failed = f", {kinds(again.failed)}" if again.failed else ""
        own = slow_by_itself(again, limits)
        return judged(rule, seen, wrong=wrong + failed, told="", limit=limit, own=own)
    took = max(0.0, at_s - again.at_s)
    told = f"as before {took:.0f} s after the peak: {figures}"
    if took > limits.recover_within_s + KNOWN_TO_S:
        return judged(rule, seen, wrong=told, told="", limit=limit)
    return rule.passed(told, limit=limit)


@of_either_model
def has_headroom(seen: Load, limits: LoadSettings) -> Finding:
    """How much more it could take, as far as that can be told from here."""
    rule = RULES["load.has-headroom"]
    if nothing := unmeasured(rule, seen):
        return nothing
    limit = f"{limits.headroom:g} times the peak (advice)"
    if seen.knee is None:
        return rule.inconclusive("too few stages to estimate it from", limit=limit)
    peak = max(each.rate for each in seen.climb)
    most = seen.knee.most_per_s
    if most is None:
        return rule.passed(f"no sign of a limit up to {peak:g}/s{_processor(seen)}", limit=limit)
    told = (
        f"about {most:.0f}/s is the most by this machine's figures, {most / peak:.1f} times {peak:g}/s"
        f" (contention {seen.knee.alpha:.3f}, coherence {seen.knee.beta:.5f}){_processor(seen)}"
    )
    if most >= limits.headroom * peak:
        return rule.passed(told, limit=limit)
    if doubt := doubts(seen.generator):
        return rule.inconclusive(f"{told}; but {doubt}", limit=limit)
    return rule.failed(told, limit=limit)


def _failed_share(stage: Stage) -> float:
    return stage.failed_share


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


def _processor(seen: Load) -> str:
    peak = seen.climb[-1]
    used = [each for each in seen.usage or () if peak.at_s <= each.at_s <= peak.at_s + peak.seconds]
    if len(used) < 2 or used[-1].at_s <= used[0].at_s:
        return ""
    share = (used[-1].cpu_s - used[0].cpu_s) / (used[-1].at_s - used[0].at_s)
    return f"; it used {share:.0%} of a processor there"
