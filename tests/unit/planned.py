"""Plans from literals: nodes as EXPLAIN tells them, statements with plans, and measurements of them."""

from __future__ import annotations

from typing import Any

from pytest_prodready.probes.plans import Asked, Explained, Plans, Source, Statement, TableSize

LIST = "SELECT id, title FROM jobs WHERE region = $1 ORDER BY created_at DESC LIMIT 20"
JOBS = TableSize("jobs", 20_000, 500)


def plan(kind: str, *children: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """A node as EXPLAIN tells it; in names `_` stands for a space."""
    told = {name.replace("_", " "): value for name, value in facts.items()}
    return {"Node Type": kind, **told, **({"Plans": list(children)} if children else {})}


def ran(
    kind: str, *children: dict[str, Any], rows: float = 1, loops: int = 1, **facts: Any
) -> dict[str, Any]:
    """A node that was run: rows of each loop, buffers with the children's, removed by its filter."""
    facts["Shared_Hit_Blocks"] = facts.pop("buffers", 0)
    facts["Total_Cost"] = facts.pop("cost", 100.0)
    if removed := facts.pop("removed", 0):
        facts["Rows_Removed_by_Filter"] = removed
    actual = {"Actual_Rows": rows, "Actual_Loops": loops, "Plan_Rows": facts.pop("expected", rows)}
    return plan(kind, *children, **actual, **facts)


def scan(
    kind: str = "Seq Scan", *children: dict[str, Any], table: str = "jobs", **facts: Any
) -> dict[str, Any]:
    """A scan of a table that was run."""
    return ran(kind, *children, Relation_Name=table, Alias=facts.pop("alias", table), **facts)


def inner(node: dict[str, Any], relationship: str = "Inner") -> dict[str, Any]:
    """The same node as its parent's inner side, or what else it is to it."""
    return {**node, "Parent Relationship": relationship}


def unrun(node: dict[str, Any]) -> dict[str, Any]:
    """The same plan as if it had only been planned."""
    facts = {name: value for name, value in node.items() if not name.startswith(("Actual", "Rows Removed"))}
    return facts | ({"Plans": [unrun(child) for child in node["Plans"]]} if "Plans" in node else {})


def explained(root: dict[str, Any], **more: Any) -> Explained:
    """A plan on rows, for its parameters, if nothing else is said."""
    return Explained(**{"mode": "custom", "data": "rows", **more}, plan={"Plan": root})


def statement(*plans: dict[str, Any] | Explained, text: str = LIST, **more: Any) -> Statement:
    """A statement of the request "list" with these plans."""
    made = tuple(each if isinstance(each, Explained) else explained(each) for each in plans)
    given = {"sources": (Source("list", 1),), **more}
    return Statement(text=text, example=text, plans=made, **given)


def seen(*statements: Statement | dict[str, Any], **more: Any) -> Plans:
    """A measurement of these statements, or plans of one each, on 20,000 jobs."""
    made = tuple(each if isinstance(each, Statement) else statement(each) for each in statements)
    given = {"asked": (Asked("list", 200, True, 1, rows=20),), "tables": (JOBS,), "server": "18.1", **more}
    return Plans(statements=made, **given)
