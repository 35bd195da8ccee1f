"""Judge the pages that a statement touches: against a declared budget, a baseline, and its other plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_baseline import accepted_plan, incomparable, none_known
from pytest_prodready.checks.explain_remedies import index_for, index_or_words, offset_of, paging
from pytest_prodready.checks.explain_words import (
    Judged,
    Problem,
    analyzed,
    callers,
    concluded,
    counted,
    judged,
    listed,
    short,
    statements_of,
    unknown,
    who,
)
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.plan_baseline import Baseline
from pytest_prodready.probes.plan_text import named
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

PLANNING = 2.5  # the cost that PostgreSQL reckons for planning again, by table: 1000 * cpu_operator_cost

NONE_PREPARED = "no statement is prepared by name: PostgreSQL plans each run for its parameters"


def buffers_within_budget(seen: Plans, limits: ExplainSettings, baseline: Baseline) -> Finding:
    """No statement touches more pages than declared, or many more than in the baseline."""
    rule = RULES["explain.buffers-within-budget"]
    details: dict[str, Any] = {
        "limit": _limit(limits, baseline),
        "limits": {
            "buffers": limits.buffers,
            "buffers_growth": limits.buffers_growth,
            "buffers_slack": limits.buffers_slack,
        },
    }
    if finding := unknown(rule, seen, details):
        return finding
    declared = [each for each in analyzed(seen) if _declared(each, limits) is not None]
    if not declared and not baseline.found:
        return rule.unverified(
            "nothing to compare with: declare [explain] buffers, or make a baseline with"
            " --prodready-explain=update",
            **details,
        )
    other = incomparable(seen, baseline) if baseline.found else ""
    problems = [
        problem for each in analyzed(seen) if (problem := _over(each, seen, limits, baseline, bool(other)))
    ]
    finding = concluded(rule, seen, problems, _within(seen, limits, baseline), details, limits=limits)
    if other and finding.verdict is Verdict.PASSED and len(declared) < len(analyzed(seen)):
        return rule.inconclusive(other, change=_update(baseline), **details)
    if finding.verdict is Verdict.PASSED and not _compared(seen, limits, baseline):
        why = none_known(len(analyzed(seen)), "plan", baseline)
        return rule.inconclusive(why, change=_update(baseline), **details)
    return finding


def _compared(seen: Plans, limits: ExplainSettings, baseline: Baseline) -> list[Judged]:
    """Those that have a budget, or pages in the baseline."""
    return [
        each
        for each in analyzed(seen)
        if _declared(each, limits) is not None
        or ((before := accepted_plan(each, baseline)) is not None and before.buffers is not None)
    ]


def _limit(limits: ExplainSettings, baseline: Baseline) -> str:
    if limits.buffers is not None:
        return f"{limits.buffers:,} pages"
    growth = f"{limits.buffers_growth:g} times the pages of {baseline.path}"
    return f"declared pages, else {growth}, where that is {limits.buffers_slack:,} more"


def _declared(each: Judged, limits: ExplainSettings) -> int | None:
    own = each.statement.budget.buffers
    return limits.buffers if own is None else own


def _over(
    each: Judged, seen: Plans, limits: ExplainSettings, baseline: Baseline, another: bool
) -> Problem | None:
    touched, declared = each.root.buffers, _declared(each, limits)
    most = max(each.root.nodes(), key=lambda node: node.own_buffers)
    where = f", {most.own_buffers:,} of them by {named(most)}"
    if declared is not None:
        if touched <= declared:
            return None
        words = f"{touched:,} pages over a budget of {declared:,}{where}"
        return Problem(each, words, _less(each, seen, most, "declare more"), most)
    before = accepted_plan(each, baseline) if not another else None
    if before is None or before.buffers is None:
        return None
    if touched <= before.buffers * limits.buffers_growth or touched < before.buffers + limits.buffers_slack:
        return None
    accept = "pytest -m explain --prodready-explain=update accepts it"
    words = f"{touched:,} pages, {before.buffers:,} before{where}"
    return Problem(each, words, _less(each, seen, most, accept), most)


def _less(each: Judged, seen: Plans, node: Node, accept: str) -> str:
    if (limit := offset_of(each.root)) is not None:
        return paging(each, limit)
    if node.kind == "Seq Scan" and node.text("Filter"):
        return index_or_words(each, seen, node)
    return index_for(each, seen, node.relation) or (
        f"fewer rows or columns of {node.relation or 'what it reads'}; if it has to be so, {accept}"
    )


def _within(seen: Plans, limits: ExplainSettings, baseline: Baseline) -> str:
    every = analyzed(seen)
    largest = max(every, key=lambda each: each.root.buffers)
    new = sum(baseline.statement(each.statement.text) is None for each in every) if baseline.found else 0
    number = counted(len(statements_of(seen, rows=True)), "statement")
    compared = len(_compared(seen, limits, baseline))
    note = f"; {new} not in {baseline.path} yet" if new and compared < len(every) else ""
    return (
        f"{number}, {compared} compared, at most {largest.root.buffers:,} pages"
        f" ({callers(largest.statement)}, {short(largest.statement.text, 60)}){note}"
    )


def _update(baseline: Baseline) -> str:
    return f"look at the plans, and write {baseline.path} anew: pytest -m explain --prodready-explain=update"


def generic_plan_as_good(seen: Plans, limits: ExplainSettings) -> Finding:
    """Where PostgreSQL goes over to a generic plan, that is about as good as one for the parameters."""
    rule = RULES["explain.generic-plan"]
    details: dict[str, Any] = {
        "limit": (
            f"{limits.generic_growth:g} times the pages of the custom plan, and {limits.buffers_slack} more"
        ),
        "limits": {"generic_growth": limits.generic_growth, "buffers_slack": limits.buffers_slack},
    }
    if finding := unknown(rule, seen, details):
        return finding
    pairs = _pairs(seen)
    worse = [(custom, generic) for custom, generic in pairs if _worse(custom, generic, limits)]
    problems = [_trap(custom, generic) for custom, generic in worse if _chosen(custom.root, generic.root)]
    kept = [
        f"{custom.statement.who} (cost {generic.root.cost:,.0f} instead of {custom.root.cost:,.0f})"
        for custom, generic in worse
        if not _chosen(custom.root, generic.root)
    ]
    note = f"; PostgreSQL reckons the generic plan dearer and won't take it: {listed(kept)}" if kept else ""
    number = counted(len({custom.statement.text for custom, _ in pairs}), "prepared statement")
    passed = f"{number}, each with a generic plan that is as good" if pairs else _none(seen)
    finding = concluded(rule, seen, problems, f"{passed}{note}", details, limits=limits)
    if finding.verdict is Verdict.PASSED and (untold := list(_untold(seen))):
        return rule.inconclusive(listed(untold), **details)
    return finding


def _none(seen: Plans) -> str:
    kept = sum(each.prepared for each in seen.statements)
    return f"{counted(kept, 'prepared statement')}, and custom plans are forced" if kept else NONE_PREPARED


def _pairs(seen: Plans) -> list[tuple[Judged, Judged]]:
    generic = {each.statement.text: each for each in judged(seen, "generic") if each.analyzed}
    customs = (each for each in judged(seen, "custom") if each.analyzed)
    return [(each, generic[each.statement.text]) for each in customs if each.statement.text in generic]


def _untold(seen: Plans) -> Iterator[str]:
    """Generic plans that could not be run though the custom one could, and that PostgreSQL may take."""
    for custom in (each for each in judged(seen, "custom") if each.analyzed):
        for each in custom.statement.plans:
            known = Node.parse(each.plan) if each.plan else None
            taken = known is None or _chosen(custom.root, known)
            if each.mode == "generic" and not each.analyzed and taken:
                yield f"{who(custom)}: its generic plan is not known, {each.error}"


def _worse(custom: Judged, generic: Judged, limits: ExplainSettings) -> bool:
    before, after = custom.root.buffers, generic.root.buffers
    return after > limits.generic_growth * max(1, before) and after >= before + limits.buffers_slack


def _chosen(custom: Node, generic: Node) -> bool:
    """Whether PostgreSQL leaves custom plans: when they cost more, with planning, than the generic one."""
    tables = sum(1 for _ in custom.scans())
    return generic.cost < custom.cost + PLANNING * (tables + 1)


def _trap(custom: Judged, generic: Judged) -> Problem:
    node = max(generic.root.nodes(), key=lambda each: each.own_buffers)
    words = (
        f"from its sixth run on a generic plan of {generic.root.buffers:,} pages by {named(node)}, where"
        " the custom one"
        f" touches {custom.root.buffers:,}"
    )
    change = (
        "ALTER ROLE … SET plan_cache_mode = force_custom_plan (or in the session, or for this statement"
        " don't prepare:"
        " psycopg prepare=False, JDBC prepareThreshold=0); or write the constant that decides as a literal"
    )
    return Problem(generic, words, change, node)
