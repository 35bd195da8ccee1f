"""Judge a service whose optional Redis was taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.health_words import outcome, seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.health_cache import CacheLoss, Served
from pytest_prodready.settings import HealthSettings

PHASES = {"refused": "Redis refused", "silent": "Redis silent", "after": "Redis back"}


def optional_redis(seen: CacheLoss, limits: HealthSettings) -> Finding:
    """Readiness stays at 200 and every request is served as before, without Redis and after it is back."""
    rule = RULES["health.optional-redis"]
    limit = f"as before, within {limits.degraded_within_s:g} s"
    wanted = {"degraded_within_s": limits.degraded_within_s}
    # The deep check may, and should, say that Redis is gone.
    well = {
        each.request: each.seconds for each in seen.of("before") if each.expected and each.request != "deep"
    }
    if doubt := _doubt(seen, well):
        return rule.inconclusive(doubt)
    if seen.same_process is False:
        return rule.failed("the process ended while Redis was gone", limit=limit, limits=wanted)
    told: list[str] = []
    bad: list[str] = []
    for phase, name in PHASES.items():
        answers = [each for each in seen.of(phase) if each.request in well]
        told.append(f"{name}: {len(answers)} as before, slowest {seconds(max(a.seconds for a in answers))}")
        bad.extend(f"{name}: {what}" for what in _wrong(answers, well, limits.degraded_within_s))
    if bad:
        return rule.failed("; ".join(bad), limit=limit, limits=wanted)
    return rule.passed("; ".join(told), limit=limit, limits=wanted)


def _doubt(seen: CacheLoss, well: Mapping[str, float]) -> str:
    """Why the measurement can't tell; empty when it can."""
    if not seen.tried:
        return "Redis could not be taken away"
    if set(well) <= {"readiness"}:
        return "no declared request was answered as expected even before Redis was gone"
    if seen.connected is False:
        return "the service made no connection to Redis; does it use {redis.url}?"
    for phase, name in PHASES.items():
        if missing := sorted(set(well) - {each.request for each in seen.of(phase)}):
            return f"{', '.join(missing)} was not sent in the phase: {name}"
    return ""


def _wrong(answers: Sequence[Served], well: Mapping[str, float], within_s: float) -> Iterator[str]:
    failed = [each for each in answers if not each.expected]
    slow = [each for each in answers if each.expected and each.seconds > within_s + well[each.request]]
    if failed:
        yield f"{len(failed)} of {len(answers)} failed ({_outcomes(failed)})"
    if len(slow) > 1:  # one alone may be the machine's
        yield f"{len(slow)} of {len(answers)} were slow, up to {seconds(max(each.seconds for each in slow))}"


def _outcomes(answers: Sequence[Served]) -> str:
    count = Counter(f"{each.request} {outcome(each.status, each.error)}" for each in answers)
    return ", ".join(f"{number} x {what}" for what, number in count.most_common(4))
