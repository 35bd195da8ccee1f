"""Judge the shape of plans against those that a person has accepted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_remedies import index_for
from pytest_prodready.checks.explain_words import Judged, counted, evidence, judged, listed, unknown, who
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plan_baseline import AcceptedPlan, Baseline, major
from pytest_prodready.probes.plan_text import figured, outline
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

SAME_SIZE = 0.1  # tables grow by what a run writes
FEW_ROWS = 100
NAME = r'(?:"(?:[^"]|"")+"|\S)+'
SCAN = re.compile(
    r"(?P<kind>[A-Z][\w ]*?Scan(?: Backward)?)"
    rf"(?: using (?P<index>{NAME}))? on (?P<table>(?:partitions of )?{NAME})(?: (?P<alias>{NAME}))?"
)
JOIN = re.compile(r"\s*(?:\w+ \w+: )?(Nested Loop(?=$| \w)|Hash(?= .*Join$)|Merge(?= .*Join$))")
SORT = re.compile(r"\s*(?:\w+ \w+: )?(?:Incremental )?Sort\b")


@dataclass(frozen=True, slots=True)
class Change:
    """One plan that is another than the accepted one."""

    judged: Judged
    before: AcceptedPlan
    worse: tuple[str, ...] = ()  # what fails
    otherwise: tuple[str, ...] = ()  # what is told
    relation: str = ""  # that is read in a worse way


def plan_unchanged(seen: Plans, limits: ExplainSettings, baseline: Baseline) -> Finding:
    """No plan has become a worse one since a person looked at it."""
    rule = RULES["explain.plan-unchanged"]
    details: dict[str, Any] = {
        "limit": f"as in {baseline.path}; no table read from end to end that an index served"
    }
    if finding := unknown(rule, seen, details, rows=False):
        return finding
    if baseline.written:
        details["evidence"] = evidence(written=list(baseline.written))
        return rule.passed(f"{baseline.path} is written: {listed(baseline.written)}", **details)
    update = "pytest -m explain --prodready-explain=update"
    if not baseline.found:
        return rule.unverified(f"there is no {baseline.path} to compare with: {update} makes one", **details)
    if other := incomparable(seen, baseline):
        return rule.inconclusive(other, change=f"look at the plans, and write it anew: {update}", **details)
    if not any(accepted_plan(each, baseline) for each in judged(seen)):
        why = none_known(len(judged(seen)), "plan", baseline)
        return rule.inconclusive(why, change=f"look at the plans, and write it anew: {update}", **details)
    changes = [change for each in judged(seen) if (change := changed(each, baseline, limits))]
    return _concluded(rule.id, seen, changes, baseline, details)


def incomparable(seen: Plans, baseline: Baseline) -> str:
    """Why the plans can't be compared with the baseline; empty where they can."""
    if (now := major(seen.server)) != baseline.server:
        return f"{baseline.path} is of PostgreSQL {baseline.server}, and this is {now}"
    names = sorted(seen.settings.keys() | baseline.settings.keys())
    other = [name for name in names if seen.settings.get(name) != baseline.settings.get(name)]
    if other:
        words = [
            f"{name} = {_value(seen.settings, name)}, not {_value(baseline.settings, name)}" for name in other
        ]
        return f"other settings than in {baseline.path}: {listed(words)}"
    sizes = {table.name: table.rows for table in seen.tables}
    grown = [
        f"{name} has {sizes[name]:,} rows instead of {rows:,}"
        for name, rows in baseline.tables.items()
        if name in sizes and abs(sizes[name] - rows) > max(FEW_ROWS, SAME_SIZE * rows)
    ]
    return f"other data than in {baseline.path}: {listed(grown)}" if grown else ""


def _value(settings: Mapping[str, str], name: str) -> str:
    return settings.get(name, "the default")


def accepted_plan(each: Judged, baseline: Baseline) -> AcceptedPlan | None:
    """The plan that this one can be held against; None where there is none of the same mode and data."""
    known = baseline.statement(each.statement.text)
    return known.plan(each.explained) if known is not None else None


def none_known(number: int, what: str, baseline: Baseline) -> str:
    """That nothing could be compared."""
    return f"of {counted(number, what)} none is in {baseline.path}, so that nothing was compared"


def changed(each: Judged, baseline: Baseline, limits: ExplainSettings) -> Change | None:
    """How this plan differs from the accepted one; None where it doesn't, or there is none."""
    before = accepted_plan(each, baseline)
    after = outline(each.root)
    if before is None or before.lines == after:
        return None
    old, new = _accesses(before.lines), _accesses(after)
    worse, otherwise, relation = [], list(_shape(before.lines, after)), ""
    for table in (name for name in old if name in new and old[name] != new[name]):
        words = f"{table}: {_told(old[table])} → {_told(new[table])}"
        if _lost_index(old[table], new[table]) and (heavy := _heavy(each, table, limits)):
            worse.append(f"{words}{_price(each, heavy)}")
            relation = heavy.relation
        else:
            otherwise.append(words)
    return Change(
        each, before, tuple(worse), tuple(otherwise or ("its nodes stand in another order",)), relation
    )


def _accesses(lines: Sequence[str]) -> dict[str, list[str]]:
    """How each table is read, by its name in the statement."""
    found: dict[str, list[str]] = {}
    for line in lines:
        match = SCAN.search(line)
        if match and not match["kind"].startswith("Bitmap Index"):
            using = f" using {match['index']}" if match["index"] else ""
            found.setdefault(match["alias"] or match["table"], []).append(match["kind"] + using)
    return {table: sorted(ways) for table, ways in found.items()}


def _told(ways: Sequence[str]) -> str:
    return ", ".join(ways)


def _lost_index(old: Sequence[str], new: Sequence[str]) -> bool:
    return _sequential(new) > _sequential(old)


def _sequential(ways: Sequence[str]) -> int:
    return sum("Seq Scan" in way for way in ways)


def _heavy(each: Judged, table: str, limits: ExplainSettings) -> Node | None:
    """The sequential scan of this table, where it costs anything."""
    for node in each.root.nodes():
        names = (node.alias, node.relation, node.alias.rpartition("_")[0])
        if node.kind == "Seq Scan" and any(name and name in table for name in names):
            few = each.analyzed and (node.own_buffers < 10 or node.examined < limits.examined_rows)
            if node.cost >= 10 and not few:
                return node
    return None


def _price(each: Judged, node: Node) -> str:
    return f" ({node.own_buffers:,} buffers)" if each.analyzed else f" (cost {node.cost:,.0f})"


def _shape(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Sorts that were added, and joins that are done in another way."""
    added = sum(bool(SORT.match(line)) for line in after) - sum(bool(SORT.match(line)) for line in before)
    if added > 0:
        yield f"{counted(added, 'sort')} more"
    old, new = (
        Counter(match[1] for line in lines if (match := JOIN.match(line))) for lines in (before, after)
    )
    if old != new:
        yield f"joined by {_joins(new)} instead of {_joins(old)}"


def _joins(kinds: Counter[str]) -> str:
    return ", ".join(sorted(kinds.elements())) or "none"


def _concluded(
    rule_id: str, seen: Plans, changes: list[Change], baseline: Baseline, details: dict[str, Any]
) -> Finding:
    rule = RULES[rule_id]
    details["evidence"] = evidence(trees=[_trees(each) for each in changes])
    known = [each for each in judged(seen) if accepted_plan(each, baseline) is not None]
    number = counted(len(known), "plan")
    worse = [each for each in changes if each.worse]
    told = [f"{who(each.judged)}: {', '.join(each.otherwise)}" for each in changes if not each.worse]
    if worse:
        words = listed([f"{who(each.judged)}: {', '.join(each.worse)}{_buffers(each)}" for each in worse])
        change = "; ".join(dict.fromkeys(_change(each, seen) for each in worse))
        return rule.failed(f"{len(worse)} of {number} worse: {words}", change=change, **details)
    new = sum(
        baseline.statement(each.text) is None for each in seen.statements if any(p.plan for p in each.plans)
    )
    unseen = f"; {counted(new, 'statement')} not in {baseline.path} yet" if new else ""
    advice = f"; changed, and none the worse for it: {listed(told)}" if told else ""
    return rule.passed(f"{number} compared with {baseline.path}, none worse{advice}{unseen}", **details)


def _buffers(change: Change) -> str:
    if change.before.buffers is None or not change.judged.analyzed:
        return ""
    return f", {change.before.buffers:,} → {change.judged.root.buffers:,} pages in all"


def _change(change: Change, seen: Plans) -> str:
    return index_for(change.judged, seen, change.relation) or (
        f"look for what took the index of {change.relation} from the statement: a dropped or invalid index,"
        " a condition that was rewritten, a type that no longer fits, statistics; if it has to be so,"
        " pytest -m explain --prodready-explain=update accepts it"
    )


def _trees(change: Change) -> dict[str, Any]:
    before, after = list(change.before.lines), list(outline(change.judged.root))
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    marked = [
        line
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag != "equal"
        for line in range(start, end)
    ]
    figures = list(figured(change.judged.root))
    full = figures if len(figures) == len(after) else after  # partitions stand in one line there
    return {"title": who(change.judged), "before": before, "after": full, "marked": marked}
