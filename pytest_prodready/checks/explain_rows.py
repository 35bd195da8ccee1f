"""Judge how much a statement reads for what it returns: examined rows, sequential and repeated scans."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_remedies import index_or_words, offset_of, paging, passed_over
from pytest_prodready.checks.explain_words import (
    Judged,
    Problem,
    analyzed,
    concluded,
    counted,
    judged,
    rows_of,
    statements_of,
    unknown,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plan_text import count, named
from pytest_prodready.probes.plan_tree import Node, Place, returned_rows
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

MAKES_ROWS = ("Aggregate", "Group", "WindowAgg", "SetOp", "Unique")


def rows_examined(seen: Plans, limits: ExplainSettings) -> Finding:
    """No statement looks at many more rows than it returns."""
    rule = RULES["explain.rows-examined"]
    details: dict[str, Any] = {
        "limit": f"{limits.examined_per_row:g} rows examined for each row returned",
        "limits": {"examined_per_row": limits.examined_per_row, "examined_rows": limits.examined_rows},
    }
    if finding := unknown(rule, seen, details):
        return finding
    problems = [problem for each in analyzed(seen) if (problem := _examines(each, seen, limits))]
    worst = max((_ratio(each.root)[0] for each in analyzed(seen)), default=0.0)
    number = counted(len(statements_of(seen, rows=True)), "statement")
    return concluded(
        rule,
        seen,
        problems,
        f"{number}; at most {count(worst)} rows examined for one",
        details,
        limits=limits,
    )


def _ratio(root: Node) -> tuple[float, float, float]:
    """Rows examined for each row returned, rows examined, and those of them that were thrown away.

    What feeds an aggregate is left out: few rows made of many tell nothing about the work.
    """
    scans = [place.node for place in root.walk() if place.node.scans_table and not _made_of(place)]
    examined = sum(node.examined for node in scans)
    removed = sum(node.all_removed for node in scans) + sum(passed_over(node) for node in root.nodes())
    return examined / max(1.0, returned_rows(root)), examined, removed


def _made_of(place: Place) -> bool:
    return any(parent.kind in MAKES_ROWS for parent in place.parents)


def _examines(each: Judged, seen: Plans, limits: ExplainSettings) -> Problem | None:
    ratio, examined, removed = _ratio(each.root)
    if removed < limits.examined_rows or ratio <= limits.examined_per_row:
        return None
    returned = returned_rows(each.root)
    words = f"{count(examined)} rows examined for {count(returned)}"
    limit = offset_of(each.root)
    if limit is not None and passed_over(limit) > removed / 2:
        return Problem(
            each,
            f"{words}, {count(passed_over(limit))} of them passed over by OFFSET",
            paging(each, limit),
            limit,
        )
    node = max(each.root.scans(), key=lambda node: node.all_removed)
    words += f"; {named(node)} threw {count(node.all_removed)} away, {node.own_buffers:,} buffers"
    return Problem(each, words, _instead(each, seen, node), node)


def _instead(each: Judged, seen: Plans, node: Node) -> str:
    change = index_or_words(each, seen, node)
    if node.index and node.text("Filter") and "CREATE INDEX" not in change:
        return (
            f"{node.index} gives the order and not the filter; {change}, followed by the columns of the order"
            "; where the planner passes such an index by, it takes the rows for evenly spread: SET"
            " random_page_cost as your disks have it (1.1 for SSDs), or sort by an expression (id + 0)"
        )
    return change


def no_large_seq_scan(seen: Plans, limits: ExplainSettings) -> Finding:
    """No statement reads a large table from end to end to use little of it."""
    rule = RULES["explain.no-large-seq-scan"]
    details: dict[str, Any] = {
        "limit": f"none of tables with {limits.large_table_rows:,} rows or more",
        "limits": {"large_table_rows": limits.large_table_rows},
    }
    if finding := unknown(rule, seen, details, rows=False):
        return finding
    problems: list[Problem] = []
    whole: list[str] = []
    for each in judged(seen):
        for place, size in _large_scans(each, seen, limits):
            if _needless(each, place, size):
                problems.append(_seq_scan(each, seen, place.node, size))
            else:
                whole.append(f"{each.statement.who} uses all of {place.node.relation}")
    number = counted(len(statements_of(seen, rows=False)), "statement")
    note = f"; {', '.join(dict.fromkeys(whole))}, which no index makes cheaper" if whole else ""
    passed = f"{number}, none of them scans a large table for a part of it{note}"
    return concluded(rule, seen, problems, passed, details, limits=limits, rows=False)


def _large_scans(each: Judged, seen: Plans, limits: ExplainSettings) -> Iterator[tuple[Place, float]]:
    """Sequential scans that cost something, with the size of their table; partitions count together."""
    for places in _tables(each.root):
        nodes = [place.node for place in places]
        sizes = [_size(node, seen) for node in nodes]
        cheap = sum(map(_cost, places)) < 10
        if each.analyzed:
            few = sum(node.own_buffers for node in nodes) < 10
            cheap |= few or sum(node.examined for node in nodes) < limits.examined_rows
        if sum(sizes) >= limits.large_table_rows and not cheap:
            largest = max(range(len(nodes)), key=lambda number: nodes[number].examined or nodes[number].cost)
            yield places[largest], sizes[largest]


def _cost(place: Place) -> float:
    """The cost of a scan; no more than that of the limit that ends it early."""
    ends = [parent.cost for parent in place.parents if parent.kind == "Limit" and place.may_end_early]
    return min([place.node.cost, *ends])


def _tables(root: Node) -> Iterator[list[Place]]:
    """The sequential scans, those of one table's partitions together."""
    groups: dict[tuple[int, str], list[Place]] = {}
    for place in root.walk():
        if place.node.kind == "Seq Scan" and place.node.relation:
            table = place.node.partition_of
            groups.setdefault((id(place.parent if table else place.node), table), []).append(place)
    return iter(groups.values())


def _size(node: Node, seen: Plans) -> float:
    looked_at = (node.rows + node.removed) if node.analyzed else node.estimated
    known = rows_of(seen, node.relation, node.text("Schema"))
    return max(looked_at, float(known or 0))


def _needless(each: Judged, place: Place, size: float) -> bool:
    """Whether most of what is read isn't used: filtered out, joined away, or beyond a limit.

    A report or an export that uses most of a table is right to read it from end to end.
    """
    kept = _used(each, place.node)
    read = place.node.examined if each.analyzed else size
    if kept < read / 2:
        return True
    for parent in reversed(place.parents):
        if parent.kind in MAKES_ROWS or parent.writes or "Anti" in parent.text("Join Type"):
            return False  # what has no counterpart is found by looking at all
        if _used(each, parent) * 10 < kept and parent.kind not in ("Hash", "Materialize", "Memoize"):
            return True
    return False


def _used(each: Judged, node: Node) -> float:
    return node.all_rows if each.analyzed else node.estimated


def _seq_scan(each: Judged, seen: Plans, node: Node, size: float) -> Problem:
    if each.analyzed:
        words = (
            f"{named(node)} reads {count(node.examined)} rows, keeps {count(node.all_rows)},"
            f" {node.own_buffers:,} buffers"
        )
    else:
        words = f"{named(node)} of {count(size)} rows for {count(node.estimated)}, cost {node.cost:,.0f}"
    return Problem(each, words, index_or_words(each, seen, node), node)


def no_repeated_scan(seen: Plans, limits: ExplainSettings) -> Finding:
    """No table is scanned from end to end for each row of another one."""
    rule = RULES["explain.no-repeated-scan"]
    details: dict[str, Any] = {
        "limit": f"{limits.loops:,} times in one statement",
        "limits": {"loops": limits.loops},
    }
    if finding := unknown(rule, seen, details, rows=False):
        return finding
    problems = [
        _repeated(each, seen, place.node, times)
        for each in judged(seen)
        for place in each.root.walk()
        if place.node.kind == "Seq Scan" and place.repeated
        if (times := _times(each, place)) > limits.loops and not _one_page(each, place.node)
    ]
    number = counted(len(statements_of(seen, rows=False)), "statement")
    passed = f"{number}, none of them scans a table more than {limits.loops:,} times"
    return concluded(rule, seen, problems, passed, details, limits=limits, rows=False)


def _times(each: Judged, place: Place) -> float:
    """How often it is run; where it was only planned, for as many rows as its other side promises."""
    if each.analyzed:
        return place.node.loops
    times = 1.0
    line = (*place.parents, place.node)
    for above, below in pairwise(line):
        if below.kind in ("Materialize", "Memoize", "Hash"):
            return 1.0  # kept after the first time
        if below.text("Parent Relationship") == "SubPlan":
            once = any(f"hashed {below.subplan}" in str(value) for value in above.facts.values())
            times = 1.0 if once else max(times, above.estimated)
        elif above.kind == "Nested Loop" and below.text("Parent Relationship") == "Inner":
            times = max(times, above.children[0].estimated)
    return times


def _one_page(each: Judged, node: Node) -> bool:
    """Whether an index could not be cheaper: a page is read either way."""
    if each.analyzed:
        return node.own_buffers <= node.loops
    return node.cost < 10


def _repeated(each: Judged, seen: Plans, node: Node, times: float) -> Problem:
    words = f"{named(node)} {count(times)} times"
    if each.analyzed:
        words += f", {count(node.examined)} rows read in all, {node.own_buffers:,} buffers"
    return Problem(each, words, index_or_words(each, seen, node), node)
