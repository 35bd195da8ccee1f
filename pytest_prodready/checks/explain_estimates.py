"""Judge the planner's estimates: how many rows it expected, and how many came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_remedies import columns_of, function_on_column
from pytest_prodready.checks.explain_words import (
    Judged,
    Problem,
    analyzed,
    concluded,
    counted,
    listed,
    statements_of,
    unknown,
    who,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plan_text import count, named
from pytest_prodready.probes.plan_tree import Node, Place
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

ADVISED = 10.0  # an error that is told, and doesn't fail
JOINS = ("Nested Loop", "Hash Join", "Merge Join")
GROUPS = ("Aggregate", "Group", "Unique")
UNKNOWABLE = (
    "Function Scan",
    "Table Function Scan",
    "WorkTable Scan",
    "Recursive Union",
    "ProjectSet",
    "Foreign Scan",
)
WHOLE = re.compile(r"[\w$]+")


def estimates_hold(seen: Plans, limits: ExplainSettings) -> Finding:
    """The planner expects about as many rows as come."""
    rule = RULES["explain.estimates"]
    details: dict[str, Any] = {
        "limit": (
            f"wrong by less than {limits.estimate_error:g} times, where it concerns"
            f" {limits.examined_rows:,} rows"
        ),
        "limits": {"estimate_error": limits.estimate_error},
    }
    if finding := unknown(rule, seen, details):
        return finding
    wrong = [(each, place.node) for each in analyzed(seen) for place in _sources(each)]
    problems = [
        Problem(each, _words(node), _change(node), node)
        for each, node in wrong
        if error(node) >= limits.estimate_error and _matters(node, limits)
    ]
    advice = [f"{who(each)}: {_words(node)}" for each, node in wrong]
    number = counted(len(statements_of(seen, rows=True)), "statement")
    note = f"; worth a look: {listed(advice)}" if advice else ""
    return concluded(
        rule, seen, problems, f"{number}, none of them estimated far off{note}", details, limits=limits
    )


def error(node: Node) -> float:
    """How many times too many or too few rows were expected of each loop."""
    expected, came = max(1.0, node.estimated), max(1.0, node.rows)
    return max(expected / came, came / expected)


def _sources(each: Judged) -> Iterator[Place]:
    """Where an error begins: nodes that are wrong though what they are made of is not."""
    for place in each.root.walk():
        node = place.node
        if _tellable(place) and error(node) >= ADVISED and not any(map(_wrong_below, node.children)):
            yield place


def _tellable(place: Place) -> bool:
    """Whether the node was read to its end, and is of a kind whose rows can be known beforehand.

    No row at all tells more of the parameter than of the estimate: what is sought may not be there.
    """
    node = place.node
    known = node.scans_table or node.kind in JOINS or node.kind in GROUPS
    if not known or not node.loops or not node.all_rows or place.may_end_early:
        return False
    return not any(below.kind in UNKNOWABLE for below in node.nodes())


def _wrong_below(node: Node) -> bool:
    return any(
        error(below) >= ADVISED
        for below in node.nodes()
        if below.loops and (below.scans_table or below.kind in (*JOINS, *GROUPS))
    )


def _matters(node: Node, limits: ExplainSettings) -> bool:
    return max(node.rows, node.estimated) * max(1.0, node.loops) >= limits.examined_rows


def _words(node: Node) -> str:
    return f"{named(node)} was expected to give {count(node.estimated)} rows and gave {count(node.rows)}"


def _change(node: Node) -> str:
    """Statistics for what the planner can't know yet."""
    if not node.scans_table:
        scans = ", ".join(dict.fromkeys(scan.relation for scan in node.scans()))
        return (
            f"ANALYZE {scans}; where it stays so, CREATE STATISTICS on the columns that depend on each other"
        )
    columns = columns_of(node)
    names = ", ".join(columns)
    if call := function_on_column(node):
        return (
            f"CREATE STATISTICS (from PostgreSQL 14 on) or an index on the expression with {call} of"
            f" {node.relation} ({names})"
        )
    analyze = f"ANALYZE {node.relation}"
    if len(columns) > 1:
        return (
            f"{analyze}; where it stays so, CREATE STATISTICS (dependencies, mcv) ON {names} FROM"
            f" {node.relation}"
        )
    target = (
        f"ALTER TABLE {node.relation} ALTER COLUMN {names} SET STATISTICS 1000"
        if columns
        else "a higher statistics target"
    )
    return f"{analyze}, and let autovacuum do so more often; where it stays so, {target}"
