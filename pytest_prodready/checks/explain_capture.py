"""Judge the capture itself: whether every statement is known with its plan; and list the slowest ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_words import callers, counted, evidence, listed, short
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plans import Plans, Statement
from pytest_prodready.settings import ExplainSettings

ENOUGH = 0.9  # of the declared rows
SLOWEST = 3


def statements_captured(seen: Plans) -> Finding:
    """Every statement that the declared requests run is known, with its plan."""
    rule = RULES["explain.statements-captured"]
    details: dict[str, Any] = {
        "limit": "all that the server counted",
        "evidence": evidence(statements=_told(seen)),
    }
    doubts = list(_doubts(seen))
    if not seen.statements and not doubts:
        asked = counted(len(seen.asked), "request")
        doubts = [
            f"{asked} made the service run no statement: is its database the declared one, or all of it"
            " cached?"
        ]
    if refused := list(_refused(seen)):
        return rule.failed(listed([*refused, *doubts]), **details)
    if doubts:
        return rule.inconclusive(listed(doubts), **details)
    calls = sum(source.calls for each in seen.statements for source in each.sources)
    without = sorted({each.skipped for each in seen.statements if each.skipped})
    skipped = f"; without a plan: {listed(without)}" if without else ""
    inside = sum(each.nested and not any(plan.plan for plan in each.plans) for each in seen.statements)
    if inside:
        skipped += f"; {inside} inside of functions, judged with the statements that call them"
    data = f"; data: {seen.origin}" if seen.origin else ""
    return rule.passed(
        f"{counted(len(seen.statements), 'statement')} of {counted(len(seen.asked), 'request')},"
        f" {counted(calls, 'call')}, all captured and explained{skipped}{data}",
        **details,
    )


def _refused(seen: Plans) -> Iterator[str]:
    """Requests that the service can't answer on as much data."""
    if seen.doubt:
        return
    for request in seen.asked:
        if not request.expected and (request.status is None or request.status >= 500):
            answer = "no answer" if request.status is None else request.status
            data = seen.origin or "as set up"
            yield f"{request.name} got {answer} on as much data as production has ({data})"


def _doubts(seen: Plans) -> Iterator[str]:
    if seen.doubt:
        yield seen.doubt
    for request in seen.asked:
        if not request.expected and request.status is not None and request.status < 500:
            yield (
                f"{request.name} got {request.status} on the copy of the database, so it ran something else"
                " than declared"
            )
    for missed in seen.missed:
        text = f": {short(missed.text)}" if missed.text else ""
        calls = f"{counted(missed.calls, 'call')} not captured" if missed.calls else "not captured"
        yield f"{missed.source}, {calls}{f' ({missed.why})' if missed.why else ''}{text}"
    for statement in seen.statements:
        yield from _unexplained(statement)
    for table in seen.tables:
        if table.wanted is not None and table.rows < ENOUGH * table.wanted:
            yield f"{table.name} has {table.rows:,} of the {table.wanted:,} rows that [explain] rows declares"


def _unexplained(statement: Statement) -> Iterator[str]:
    """Why a statement isn't known well enough."""
    name = f"{callers(statement)}, {short(statement.text)}"
    if statement.skipped or statement.nested:  # what a function runs is part of the statement that calls it
        return
    if not statement.plans:
        yield f"{name}: not explained"
    for plan in statement.plans:
        if plan.error and not (plan.plan and _trivial(plan.plan)):
            done = "only planned" if plan.plan else "not explained"
            yield f"{name}: {done}, {plan.error}"


def _trivial(plan: Any) -> bool:
    """Whether the plan reads no table, such as that of an INSERT of given values."""
    node = plan.get("Plan", plan)
    reads = "Relation Name" in node and node.get("Node Type") != "ModifyTable"
    return not reads and all(_trivial(child) for child in node.get("Plans", ()))


def none_is_slow(seen: Plans, limits: ExplainSettings) -> Finding:
    """No statement takes long, as advice: milliseconds are this machine's."""
    rule = RULES["explain.slow-statements"]
    details: dict[str, Any] = {
        "limit": f"{limits.slow_ms:g} ms on this machine",
        "limits": {"slow_ms": limits.slow_ms},
        "evidence": evidence(statements=_told(seen)),
    }
    if seen.doubt:
        return rule.inconclusive(seen.doubt, **details)
    ranked = sorted(seen.statements, key=lambda each: -each.milliseconds)
    if not ranked:
        return rule.inconclusive("no statement was captured", **details)
    words = [f"{each.milliseconds:,.1f} ms {callers(each)}, {short(each.text)}" for each in ranked[:SLOWEST]]
    slow = ranked[0].milliseconds > limits.slow_ms
    return rule.failed(listed(words), **details) if slow else rule.passed(listed(words), **details)


def _told(seen: Plans) -> list[dict[str, Any]]:
    """Each statement in a line, for the report."""
    return [
        {
            "statement": short(each.text, 300),
            "requests": each.who,
            "calls": sum(source.calls for source in each.sources),
            "milliseconds": each.milliseconds,
            "plans": [
                f"{plan.mode}, {plan.data}{f': {plan.error}' if plan.error else ''}" for plan in each.plans
            ],
            "skipped": each.skipped,
        }
        for each in seen.statements
    ]
