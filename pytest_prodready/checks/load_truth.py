"""Checks of the load suite: whether what was answered under load is true, and what was left behind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.load_words import (
    as_far_as_it_went,
    at,
    judged,
    kinds,
    longer,
    of_either_model,
    unknown_to_us,
    unmeasured,
)
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.load import Kind, Load, PoolLook, Stage
from pytest_prodready.settings import LoadSettings, PoolSettings

FEWEST_WRITES = 5
FEWEST_ANSWERS = 20
_BLIND = (
    "an error would have been seen: at rest they were no JSON, unlike each other, or 64 KB or longer, and no"
    " `contains` says what they hold"
)
_CONTAINS = "set `contains` of the declared requests: what a right answer holds and an error page doesn't."
FEWEST_LOOKS = 10
LOOKS_A_SECOND = 2.0


def no_write_lost(seen: Load) -> Finding:
    """Acknowledged writes are there once, refused ones aren't."""
    rule = RULES["load.no-write-lost"]
    if nothing := unmeasured(rule, seen):
        return nothing
    if seen.locustfile:
        return unknown_to_us(
            rule, "which writes it has sent, and how to read them back, is known to it alone"
        )
    ledger = seen.ledger
    limit = "every acknowledged write is there once, and no refused one"
    if ledger is None or ledger.acknowledged < FEWEST_WRITES:
        count = ledger.acknowledged if ledger else 0
        return rule.inconclusive(f"only {count} writes were acknowledged: too few to tell", limit=limit)
    if ledger.doubt:
        return rule.inconclusive(ledger.doubt, limit=limit)
    told = (
        f"{ledger.acknowledged} writes acknowledged, {ledger.refused} refused, {ledger.unknown} without a"
        f" clear answer; {len(ledger.lost)} acknowledged ones lost, read from the {ledger.read_from[0]}"
    )
    wrong = [
        (ledger.lost, f"{len(ledger.lost)} are not there"),
        (ledger.twice, f"{len(ledger.twice)} are there more than once"),
        (ledger.refused_but_there, f"{ledger.refused_but_there} are there although they were refused"),
    ]
    found = ", ".join(words for there, words in wrong if there)
    if found:
        return rule.failed(f"{told}: {found}", limit=limit)
    return as_far_as_it_went(rule, seen, told, limit)


def answers_are_right(seen: Load) -> Finding:
    """Every answer of the declared status holds what it has to."""
    rule = RULES["load.answers-are-right"]
    if nothing := unmeasured(rule, seen):
        return nothing
    if seen.locustfile:
        return unknown_to_us(
            rule, "what answers have to hold it says itself, by marking those that don't as failed"
        )
    stages = _served(seen)
    wrong = [each for stage in stages for each in stage.wrong]
    checked = sum(stage.checked for stage in stages)
    return _none_of(rule, seen, wrong, checked, "held something else than it has to")


def no_hidden_errors(seen: Load) -> Finding:
    """No answer of the declared status is an error by its content."""
    rule = RULES["load.no-hidden-errors"]
    if nothing := unmeasured(rule, seen):
        return nothing
    if seen.locustfile:
        return unknown_to_us(rule, "what its answers look like at rest was not learned")
    stages = _served(seen)
    hidden = [each for stage in stages for each in stage.hidden]
    shaped, good = sum(stage.shaped for stage in stages), sum(stage.good for stage in stages)
    if good and not shaped and not hidden:
        return rule.inconclusive(
            f"in none of {good} good answers {_BLIND}", limit="none", change=_set_contains()
        )
    finding = _none_of(rule, seen, hidden, shaped, "looked like none at rest, but like an error")
    if shaped == good:
        return finding
    return replace(finding, summary=f"{finding.summary}; in none of {good - shaped} others {_BLIND}")


@of_either_model
def pool_has_room(seen: Load, limits: LoadSettings, pool: PoolSettings) -> Finding:
    """The pool isn't used up at the highest load that was tried."""
    rule = RULES["load.pool-has-room"]
    if nothing := unmeasured(rule, seen):
        return nothing
    stage, capacity = seen.climb[-1], pool.capacity
    looks = seen.during(stage)
    limit = f"all in use in less than {limits.pool_full:.0%} of the looks"
    if capacity is None or len(looks) < FEWEST_LOOKS:
        return rule.inconclusive(
            f"the database was looked at only {len(looks)} times at the peak", limit=limit
        )
    full = sum(each.in_use >= capacity for each in looks) / len(looks)
    mean = sum(each.in_use for each in looks) / len(looks)
    told = (
        f"{at(stage)} of {capacity} connections {mean:.1f} were in use on average,"
        f" {max(each.in_use for each in looks)} at most, all of them in {full:.0%} of {len(looks)} looks"
    )
    wrong = told + _why_in_use(looks) if full >= limits.pool_full else ""
    if not wrong and len(looks) < LOOKS_A_SECOND * stage.seconds:
        return rule.inconclusive(f"{told}: too few looks in {stage.seconds:.0f} s to tell", limit=limit)
    return judged(rule, seen, wrong=wrong, told=told, limit=limit)


@of_either_model
def connections_are_given_back(seen: Load, pool: PoolSettings) -> Finding:
    """No more connections than the pool may hold are left, and no more in use than at rest before."""
    rule = RULES["load.connections-are-given-back"]
    if nothing := unmeasured(rule, seen):
        return nothing
    left, rested, capacity = seen.left, seen.rested, pool.capacity
    limit = f"{capacity} connections, none in use"
    if left is None or rested is None or capacity is None:
        return rule.inconclusive("the service's connections could not be counted", limit=limit)
    most = max([left.total, *(each.total for each in seen.pool or ())])
    told = (
        f"{rested.total} connections before, {most} at most, {left.total} some time after the last request,"
        f" {left.in_use} of them in use"
    )
    too_many = left.total > max(capacity, rested.total)
    if too_many or left.in_use > rested.in_use:
        return rule.failed(told, limit=limit)
    return as_far_as_it_went(rule, seen, told, limit)


@of_either_model
def memory_is_bounded(seen: Load, limits: LoadSettings) -> Finding:
    """The usual load needs about as much memory after the peak as before it."""
    rule = RULES["load.memory-is-bounded"]
    if nothing := unmeasured(rule, seen):
        return nothing
    before, after = seen.memory_mb(seen.usual), seen.memory_mb(seen.again)
    limit = f"{limits.memory_growth:g} times, or {limits.memory_growth_mb:g} MB more"
    if not before or after is None:
        return rule.inconclusive("the memory of the service could not be read", limit=limit)
    served = sum(each.good for each in _served(seen))
    told = f"{before:.0f} MB before the peak, {after:.0f} MB after it, {served} requests served"
    grown = after - before
    if grown > limits.memory_growth_mb and after > limits.memory_growth * before:
        each = f": {1024 * grown / max(1, served):.0f} KB for each request"
        return rule.failed(told + each, limit=limit)
    return as_far_as_it_went(rule, seen, told, limit, needs_more=True)


def _served(seen: Load) -> tuple[Stage, ...]:
    """The stages that were the service's."""
    return tuple(each for each in seen.stages if each.multiple)


def _none_of(rule: Rule, seen: Load, bad: Iterable[Kind], known: int, words: str) -> Finding:
    """No answer is bad; `known` good ones could have been."""
    counts: Counter[tuple[str, str]] = Counter()
    for each in bad:
        counts[each.request, each.what] += each.count
    limit = "none"
    if counts:
        found = [Kind(request, what, count) for (request, what), count in counts.most_common()]
        return rule.failed(f"{counts.total()} answers {words}: {kinds(found)}", limit=limit)
    if known < FEWEST_ANSWERS:
        few = f"only {known} good answers" if known else "no good answer"
        told = f"{few} could be held against what is known of them"
        return rule.inconclusive(told, limit=limit, change=_for_more(seen, known))
    return as_far_as_it_went(rule, seen, f"none of {known} good answers {words}", limit)


def _for_more(seen: Load, known: int) -> str:
    """What to change for enough answers of which something is known; empty where there were none at all."""
    good, peak = sum(each.good for each in _served(seen)), seen.peak
    if not known or peak is None or seen.ended:
        return _set_contains() if good > known else ""
    lacking = math.ceil((FEWEST_ANSWERS - known) * good / known)
    lengthen = longer(seen, peak, peak.due + lacking)
    return f"{lengthen} Or {_CONTAINS}" if good > known else lengthen


def _set_contains() -> str:
    return _CONTAINS[0].upper() + _CONTAINS[1:]


def _why_in_use(looks: Iterable[PoolLook]) -> str:
    """What those in use were at, where it was not work."""
    found = list(looks)
    in_use = sum(each.in_use for each in found)
    idle, waiting = (
        sum(each.idle_in_transaction for each in found),
        sum(each.waiting for each in found),
    )
    told = [
        f"{idle / in_use:.0%} idle in a transaction" if in_use and idle > 0.2 * in_use else "",
        f"{waiting / in_use:.0%} waiting for a lock" if in_use and waiting > 0.2 * in_use else "",
    ]
    return "".join(f"; {each}" for each in told if each)
