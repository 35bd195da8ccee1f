"""Judgement of what a closed model can tell: a locustfile's users, who wait for each answer."""

from __future__ import annotations

from pytest_prodready.checks.load_words import at, judged
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Load, Stage
from pytest_prodready.probes.load_closed import (
    expected,
    short,
    shortfall,
    too_few,
    too_few_words,
    users_needed,
)
from pytest_prodready.probes.load_limits import doubts, slow_by_itself
from pytest_prodready.probes.load_recovery import IN_A_ROW
from pytest_prodready.settings import LoadSettings


def users_reach_the_rate(rule: Rule, seen: Load, limits: LoadSettings) -> Finding:
    """As many requests as are expected; fewer are the service's fault where its answers held the users."""
    limit = f"{limits.achieved:.0%} of {seen.expected_rps:g}/s times each stage's multiple"
    missed = [each for each in seen.climb if short(each, seen, limits.achieved)]
    held = next((each for each in missed if not too_few(each, seen, limits.achieved)), None)
    if held:
        own = slow_by_itself(held, limits)
        return judged(rule, seen, wrong=_held(held, seen), told="", limit=limit, own=own)
    if missed:
        needed = users_needed(missed[0], seen)
        return rule.inconclusive(
            f"{too_few_words(missed[0], seen)}{_machine(seen)}",
            limit=limit,
            change=f"Set [load] users_at_1x = {needed} (by what these made), or shorten their wait_time.",
        )
    last = seen.climb[-1]
    told = f"{at(last)} where {expected(last, seen):g}/s are expected"
    return judged(rule, seen, wrong="", told=told, limit=limit)


def users_were_held(rule: Rule, seen: Load, limits: LoadSettings, limit: str) -> Finding | None:
    """Inconclusive where nobody was too slow, but more would have been, had they not been held."""
    for each in seen.climb:
        times = each.in_turn
        if times is not None and (times.p95.ms > limits.p95_ms or times.p99.ms > limits.p99_ms):
            return rule.inconclusive(_omitted(each), limit=limit)
    return None


def users_could_not(stage: Stage, seen: Load, least: float) -> str:
    """Why a stage's users would have made fewer than `least` a second of any service; empty where not."""
    if not stage.users or stage.possible >= least:
        return ""
    return shortfall(seen) or too_few_words(stage, seen)


def users_left_too_soon(again: Stage, seen: Load, limits: LoadSettings) -> str:
    """Why the usual load was hardly tried after the peak, by the users' own doing; empty where it was."""
    tried = sum(each.at_s >= int(again.at_s) for each in seen.seconds)
    return users_could_not(again, seen, limits.achieved * expected(again, seen)) if tried < IN_A_ROW else ""


def _held(stage: Stage, seen: Load) -> str:
    return (
        f"{at(stage)} where {expected(stage, seen):g}/s are expected: its users waited for answers"
        f" {stage.held:.0%} of the time"
    )


def _omitted(stage: Stage) -> str:
    assert stage.response is not None
    assert stage.in_turn is not None
    seen, omitted = stage.response, stage.in_turn
    return (
        f"{at(stage)} p95 was {seen.p95.ms:.0f} ms and p99 {seen.p99.ms:.0f} ms, but while users waited they"
        f" sent nothing: with what they would have sent, p95 is about {omitted.p95.ms:.0f} ms and p99"
        f" {omitted.p99.ms:.0f} ms, which only an open schedule can tell"
    )


def _machine(seen: Load) -> str:
    doubt = doubts(seen.generator)
    return f"; or {doubt}" if doubt else ""
