"""What the checks of the load suite have in common: what isn't known, whose fault it is, and words for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Concatenate, ParamSpec

from pytest_prodready.findings import Finding, Rule, Verdict
from pytest_prodready.probes.load import Kind, Load, Stage
from pytest_prodready.probes.load_busy import short_of_users
from pytest_prodready.probes.load_closed import shortfall, too_high, users_needed
from pytest_prodready.probes.load_limits import doubts
from pytest_prodready.settings import LoadSettings

NAMED = 3
MARGIN = 1.1  # times as many requests as are needed are advised
P = ParamSpec("P")
CLOSED = "closed model: your locustfile"
BY_SCHEDULE = "The declared requests can tell: run pytest -m load --prodready-set load.locustfile= as well."
INSTALL = "Install it: pip install 'pytest-prodready[load]'."


def of_either_model(
    check: Callable[Concatenate[Load, P], Finding],
) -> Callable[Concatenate[Load, P], Finding]:
    """A check whose finding says so where the model was closed, and passes nothing without its load."""

    @functools.wraps(check)
    def judge(seen: Load, /, *limits: P.args, **more: P.kwargs) -> Finding:
        finding = check(seen, *limits, **more)
        if not seen.locustfile:
            return finding
        if finding.verdict is Verdict.PASSED and (less := shortfall(seen)):
            finding = finding.rule.inconclusive(f"nothing wrong, but {less}", limit=finding.limit)
        high = [each for each in seen.stages if too_high(each, seen)]
        again = _without(finding, seen, high, lambda rest: check(rest, *limits, **more))
        finding = again or _beyond(finding, seen, max(high, key=lambda each: each.rate))
        return replace(finding, summary=f"{finding.summary}; {CLOSED}")

    return judge


def by_enough_users(
    check: Callable[Concatenate[Load, LoadSettings, P], Finding],
) -> Callable[Concatenate[Load, LoadSettings, P], Finding]:
    """A check that holds nothing against the service for which the generator had too few users."""

    @functools.wraps(check)
    def judge(seen: Load, limits: LoadSettings, /, *more: P.args, **named: P.kwargs) -> Finding:
        finding = check(seen, limits, *more, **named)
        short = [each for each in seen.stages if short_of_users(each, limits)]
        again = _without(finding, seen, short, lambda rest: check(rest, limits, *more, **named))
        return again or too_few_users(finding, seen, max(short, key=lambda each: each.busy))

    return judge


def _without(
    finding: Finding, seen: Load, stages: Sequence[Stage], check: Callable[[Load], Finding]
) -> Finding | None:
    """What is left of a failure without some stages; None where only these have failed."""
    if finding.verdict is not Verdict.FAILED or not stages:
        return finding
    within = check(replace(seen, stages=tuple(each for each in seen.stages if each not in stages)))
    return within if within.verdict is Verdict.FAILED else None


def too_few_users(finding: Finding, seen: Load, stage: Stage) -> Finding:
    """What is wrong where requests waited for the generator."""
    quick = f"p95 {stage.service.p95.ms:.0f} ms" if stage.service else ""
    return finding.rule.inconclusive(
        f"{finding.summary}; but {at(stage)} {stage.busy} of {stage.due} requests waited for a user of the"
        f" generator, while those that were sent were answered in time ({quick})",
        limit=finding.limit,
        change=f"Raise [load] users (now {seen.users}).",
    )


def _beyond(finding: Finding, seen: Load, stage: Stage) -> Finding:
    """What is wrong at a load that nobody expects."""
    most = seen.expected_rps * seen.multiplier
    return finding.rule.inconclusive(
        f"{finding.summary}; but {stage.users} users made {stage.rate:g}/s at {stage.name},"
        f" where {most:g}/s are the most that is expected",
        limit=finding.limit,
        change=f"Set [load] users_at_1x = {users_needed(stage, seen)} (by what these made).",
    )


def unknown_to_us(rule: Rule, what: str) -> Finding:
    """The finding of what a locustfile keeps to itself."""
    return rule.unverified(f"{what}; {CLOSED}", change=BY_SCHEDULE)


def unmeasured(rule: Rule, seen: Load) -> Finding | None:
    """The finding where there is nothing to judge; None where there is."""
    if seen.lacking:
        return rule.unverified(seen.lacking, change=INSTALL)
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    if not seen.climb:
        return rule.inconclusive(f"no request was sent at the usual load{_ended(seen)}")
    return None


def judged(  # noqa: PLR0913 (what a finding is made of, by name)
    rule: Rule, seen: Load, *, wrong: str, told: str, limit: str, firm: bool = False, own: str = ""
) -> Finding:
    """The verdict: a target that was met is met; one that was missed may be the machine's fault.

    `firm` is what no machine can be blamed for: wrong data, lost writes, errors that the service told.
    `own` says what is wrong even without all that the machine may have added.
    """
    if wrong and not firm and (doubt := doubts(seen.generator)):
        if not own:
            return rule.inconclusive(f"{wrong}; but {doubt}{_tries(seen)}", limit=limit)
        wrong = f"{wrong}; {doubt}, but {own}"
    if wrong:
        return rule.failed(wrong, limit=limit)
    if seen.peak is None or seen.ended:
        return rule.inconclusive(f"nothing wrong as far as it went{_ended(seen)}", limit=limit)
    if seen.unfinished:
        return rule.inconclusive(
            f"{seen.unfinished} requests were still under way when all deadlines had passed", limit=limit
        )
    if gone := next((each for each in seen.climb if each.due < each.planned and not each.users), None):
        return rule.inconclusive(
            f"only {gone.due} of {gone.planned} planned requests are accounted for at {gone.name}",
            limit=limit,
        )
    return rule.passed(f"{told}{_second_try(seen)}", limit=limit)


def as_far_as_it_went(rule: Rule, seen: Load, told: str, limit: str, *, needs_more: bool = False) -> Finding:
    """Passed by what was seen under load, with how far that went; inconclusive without any.

    `needs_more` is of what a peak leaves behind: it takes more than the usual load, whatever was planned.
    """
    if needs_more and seen.multiplier <= 1:
        return without_a_peak(rule)
    if not any(each.multiple > 1 for each in seen.climb) and (needs_more or seen.peak is None or seen.ended):
        return rule.inconclusive(
            f"{told}; but no more than the usual load was tried{_ended(seen)}", limit=limit
        )
    return rule.passed(f"{told}{_far(seen)}{_second_try(seen)}", limit=limit)


def without_a_peak(rule: Rule) -> Finding:
    """The finding of what a peak leaves behind, where none was planned."""
    return rule.unverified(
        "[load] multiplier is 1, so there was no peak", change="Set [load] multiplier above 1."
    )


def longer(seen: Load, stage: Stage, requests: int) -> str:
    """What to set for so many requests in a stage, some of which may fail; empty where it was cut short."""
    if seen.ended and seen.ended_in == stage.name:
        return ""
    needed = math.ceil(round(MARGIN * requests / (seen.expected_rps * stage.multiple), 6))
    seconds = max(needed, round(stage.seconds) + 1)
    return (
        f"Set [load] {_length_of(stage, seen)} = {seconds} or more, for {requests} requests at {stage.name}."
    )


def _length_of(stage: Stage, seen: Load) -> str:
    if stage.multiple <= 1:
        return "usual_s"
    return "peak_s" if stage.multiple == seen.multiplier else "step_s"


def at(stage: Stage) -> str:
    """Which load it was: at 10x, 200/s."""
    users = f" {stage.users} users," if stage.users else ""
    return f"at {stage.name},{users} {stage.rate:g}/s,"


def kinds(found: Iterable[Kind]) -> str:
    """What happened how often: 12 x 503 (list), 3 x no answer in time (show)."""
    told = [f"{each.count} x {each.what} ({each.request})" for each in found]
    more = f" and {len(told) - NAMED} more kinds" if len(told) > NAMED else ""
    return ", ".join(told[:NAMED]) + more


def _far(seen: Load) -> str:
    if not seen.ended:
        return ""
    if seen.cut == "load":
        return f"; the load was ended in stage {seen.ended_in}, after the climb"
    return f"; as far as the climb went, which was ended in stage {seen.ended_in}"


def _ended(seen: Load) -> str:
    if seen.shortfall:
        return f": {seen.shortfall}"
    return f": the {seen.cut} was ended in stage {seen.ended_in}, since {seen.ended}" if seen.ended else ""


def _tries(seen: Load) -> str:
    return f" (tried {seen.attempts} times)" if seen.attempts > 1 else ""


def _second_try(seen: Load) -> str:
    why = "which the machine or the generator may have caused"
    return f" (second try: the first missed its target, {why})" if seen.attempts > 1 else ""


def percent(share: float) -> str:
    """A limit as it was given: 0.5%, 0.04%."""
    return f"{100 * share:.6g}%"
