"""Judge what the health paths answered while all was well."""

from __future__ import annotations

import math

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.health_body import KNOWN, State, dependencies, is_insides, is_json, tells_of
from pytest_prodready.checks.health_words import late, of, outcomes, seconds, too_many_late, worst_s
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.health import Healthy, Quiet
from pytest_prodready.settings import HealthSettings

FEW = 2  # statements that a background job may run just then


def liveness_answers(seen: Healthy, limits: HealthSettings) -> Finding:
    """Liveness answers yes, in time."""
    rule = RULES["health.liveness-answers"]
    return _answers(rule, "liveness", seen, "liveness_within_s", limits.liveness_within_s)


def readiness_answers(seen: Healthy, limits: HealthSettings) -> Finding:
    """Readiness answers yes, in time."""
    rule = RULES["health.readiness-answers"]
    return _answers(rule, "readiness", seen, "readiness_within_s", limits.readiness_within_s)


def deep_answers(seen: Healthy, limits: HealthSettings) -> Finding:
    """The deep check answers in time, with a status for each dependency."""
    rule = RULES["health.deep-answers"]
    timed = _answers(rule, "deep", seen, "deep_within_s", limits.deep_within_s)
    if timed.verdict != "passed":
        return timed
    body = next((said.body for said in seen.said if said.check == "deep"), "")
    told = dependencies(body)
    limit = "JSON with a status for each dependency"
    if not is_json(body):
        return rule.failed(f"deep answered {_kind(body)} instead of JSON", limit=limit)
    if not told:
        return rule.failed("deep answered JSON that names no dependency", limit=limit)
    missing = [each for each in seen.dependencies if not any(tells_of(each, name) for name in told)]
    own = [name for name in told if not is_insides(name) and not any(tells_of(each, name) for each in KNOWN)]
    names = ", ".join(f"{name} {state}" for name, state in told.items())
    if len(missing) > len(own):  # a name of the service's own may stand for any of them
        return rule.failed(
            f"deep names {names}, and says nothing of {' and '.join(missing)}",
            limit=limit,
            change=f"Add an entry of its own for {' and '.join(missing)}.",
        )
    if failing := [name for name, state in told.items() if state is State.FAILING]:
        return rule.failed(f"deep says that {', '.join(failing)} fails while all is well", limit=limit)
    return rule.passed(f"{timed.summary}: {names}", limit=timed.limit, limits=timed.limits)


def liveness_asks_no_backend(seen: Quiet) -> Finding:
    """Liveness causes no statement beyond what an idle service runs."""
    rule = RULES["health.liveness-asks-no-backend"]
    asked = sum(window.asked for window in seen.windows)
    answered = sum(window.answered for window in seen.windows)
    if not asked or answered < asked / 2:
        return rule.inconclusive(f"liveness answered {answered} of {asked} questions, too few to tell")
    idle = sum(window.idle_statements for window in seen.windows)
    caused = sum(window.asked_statements for window in seen.windows) - idle
    watched = sum(window.seconds for window in seen.windows)
    summary = (
        f"{asked} questions in {seconds(watched)} caused {max(caused, 0)} statements "
        f"(idle for as long: {idle})"
    )
    limit = "no statement beyond those of an idle service"
    busier = sum(window.asked_statements > window.idle_statements for window in seen.windows)
    if caused <= _noise(idle):
        return rule.passed(summary, limit=limit)
    if caused >= asked / 2 or (busier == len(seen.windows) and caused >= 2 * _noise(idle)):
        return rule.failed(summary, limit=limit)
    return rule.inconclusive(f"{summary}: too few to tell them from the service's own", limit=limit)


def _noise(idle: int) -> float:
    """Statements by which two equally long windows of the same service may differ."""
    return FEW + 2 * math.sqrt(2 * idle)


def _answers(rule: Rule, check: str, seen: Healthy, key: str, within_s: float) -> Finding:
    answers = of(check, seen.answers)
    if not answers:
        return rule.inconclusive(f"{check} was not asked")
    limit = f"200 within {within_s:g} s"
    limits = {key: within_s}
    summary = f"{check} asked {len(answers)} times: {outcomes(answers)}, slowest {worst_s(answers)}"
    if not all(each.up for each in answers):
        return rule.failed(summary, limit=limit, limits=limits)
    if too_many_late(answers, within_s):
        slow = f"{check} asked {len(answers)} times: {len(late(answers, within_s))} were late"
        return rule.failed(f"{slow}, slowest {worst_s(answers)}", limit=limit, limits=limits)
    return rule.passed(summary, limit=limit, limits=limits)


def _kind(body: str) -> str:
    return "an empty body" if not body.strip() else "HTML" if body.lstrip().startswith("<") else "text"
