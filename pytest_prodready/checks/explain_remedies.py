"""What to do about a plan: the index that the planner was tried with, or else the words for it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_prodready.checks.explain_words import Judged
from pytest_prodready.probes.plan_text import count
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Plans, Proposal

CONDITIONS = (
    "Filter",
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "One-Time Filter",
)
FILTERS = ("Filter", "Index Cond", "Recheck Cond")
WORDS = ("AND", "OR", "NOT", "ANY", "ALL", "IN")
ORDER = re.compile(r"\bORDER BY (.+?)(?: LIMIT\b| OFFSET\b| FETCH\b|\)|$)", re.IGNORECASE)
PATTERN = re.compile(r"~~\*? '%")  # LIKE '%…'


def index_for(judged: Judged, plans: Plans, relation: str) -> str:
    """The index that makes this statement cheaper, as SQL with what it changed; empty where none is known."""
    found = _proposal(judged, plans.proposals, relation)
    if found is None:
        return ""
    replaced = "".join(f", and DROP INDEX CONCURRENTLY {name}, which it replaces" for name in found.replaces)
    return (
        f"{found.sql.rstrip(';')};  -- tried: {found.node_after}, cost {found.cost_after:,.0f}"
        f" instead of {found.cost_before:,.0f}{replaced}"
    )


def _proposal(judged: Judged, proposals: Iterable[Proposal], relation: str) -> Proposal | None:
    same = [
        each
        for each in proposals
        if each.text == judged.statement.text and each.relation.rpartition(".")[2].strip('"') == relation
    ]
    return min(same, key=lambda each: each.cost_after, default=None)


def index_or_words(judged: Judged, plans: Plans, node: Node) -> str:
    """The index for the condition of this node, or why its condition can't use one."""
    if known := index_for(judged, plans, node.relation):
        return known
    condition = node.text("Filter") or node.text("Recheck Cond")
    if call := function_on_column(node):
        return (
            f"the condition {shortened(condition)} applies {call} to a column of {node.relation}, which an"
            " index of the"
            " column can't answer: write it as a comparison of the bare column, or index the expression"
        )
    if PATTERN.search(condition):
        return (
            "a pattern that begins with % can't use a btree index: CREATE EXTENSION pg_trgm and an index"
            " USING gin"
            f" (… gin_trgm_ops) on {node.relation}, or full text search"
        )
    columns = columns_of(node)
    if not columns:
        return f"give the statement a condition or a LIMIT, so that it reads less of {node.relation}"
    return f"an index on {node.relation} ({', '.join(columns)}), the columns of its condition"


def function_on_column(node: Node) -> str:
    """The function or cast that a condition applies to a column of the node's table; empty for none."""
    name = _pattern_of_columns(node)
    for key in ("Filter", "Recheck Cond"):
        condition = node.text(key)
        called = re.search(rf"\b([a-z_]\w*)\(\(*{name}", condition)
        if called and called[1].upper() not in WORDS:
            return f"{called[1]}()"
        # A cast to text is none: the planner sees through that of a varchar column.
        if cast := re.search(rf"\({name}\)::(date|integer|bigint|numeric)\b", condition):
            return f"a cast to {cast[2]}"
    return ""


def columns_of(node: Node, keys: Iterable[str] = FILTERS) -> tuple[str, ...]:
    """The columns of the node's table that its conditions name, in their order."""
    pattern = re.compile(_pattern_of_columns(node))
    found = (match[1] for key in keys for match in pattern.finditer(node.text(key)))
    return tuple(dict.fromkeys(found))


def _pattern_of_columns(node: Node) -> str:
    alias = node.alias or node.relation
    return rf'(?<![\w."])"?{re.escape(alias)}"?\.("[^"]+"|\w+)'


def offset_of(root: Node) -> Node | None:
    """The limit that throws rows away before it returns any: OFFSET."""
    return next((node for node in root.nodes() if node.kind == "Limit" and passed_over(node) >= 1), None)


def passed_over(node: Node) -> float:
    """Rows that a limit read and threw away, as OFFSET has it."""
    if node.kind != "Limit" or not node.children:
        return 0.0
    return max(0.0, node.children[0].all_rows - node.all_rows)


def paging(judged: Judged, limit: Node) -> str:
    """How to page without OFFSET."""
    order = ORDER.search(" ".join(judged.statement.text.split()))
    keys = [key.split()[0] for key in order[1].split(",") if key.strip()] if order is not None else []
    names = ", ".join(key.rpartition(".")[2] for key in keys) or "the columns of its order"
    return (
        f"page by key instead of OFFSET ({count(passed_over(limit))} rows read and thrown away): remember"
        f" {names} of the last row, and ask for WHERE ({names}) beyond it, ORDER BY the same, LIMIT n"
    )


def shortened(condition: str, longest: int = 120) -> str:
    """A condition in a line."""
    line = " ".join(condition.split())
    return line if len(line) <= longest else f"{line[: longest - 2]} …"
