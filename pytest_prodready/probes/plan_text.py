"""A plan as an indented text tree, for people and for files that people review."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_prodready.probes.plan_tree import Node

SIMPLE_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
LITERAL = re.compile(r"'(?:[^']|'')*'(?:::[\w ]+(?:\[\])?)?")
INDENT = "  "
AGGREGATES = {"Sorted": "GroupAggregate", "Hashed": "HashAggregate", "Mixed": "MixedAggregate"}
JOINS = {"Hash Join": "Hash", "Merge Join": "Merge", "Nested Loop": "Nested Loop"}


def outline(root: Node) -> tuple[str, ...]:
    """The shape of a plan, a line for each node: nothing in it changes with the data or the parameters."""
    return tuple(_lines(root, 0, figures=False))


def figured(root: Node) -> tuple[str, ...]:
    """The plan with what it expected, what happened and what it touched, a line for each node."""
    return tuple(_lines(root, 0, figures=True))


def named(node: Node) -> str:
    """A node in words, as PostgreSQL's own text has it: "Index Scan using jobs_pkey on jobs"."""
    using = f" using {_name(node.index)}" if node.index and node.relation else ""
    target = node.relation or node.text("CTE Name") or node.text("Function Name")
    place = target or (node.index if node.kind == "Bitmap Index Scan" else "")
    on = f" on {_qualified(node, place)}" if place else ""
    alias = f" {_name(node.alias)}" if place and node.alias not in ("", place) else ""
    return f"{_kind(node)}{using}{on}{alias}"


def _kind(node: Node) -> str:
    kind = node.kind
    if kind == "Aggregate":
        kind = AGGREGATES.get(node.text("Strategy"), kind)
    elif kind == "ModifyTable":
        kind = node.text("Operation") or kind
    elif kind == "SetOp":
        kind = f"{'Hash' if node.text('Strategy') == 'Hashed' else ''}SetOp {node.text('Command')}".strip()
    elif kind in JOINS:
        kind = _join(node)
    if node.text("Partial Mode") in ("Partial", "Finalize"):
        kind = f"{node.text('Partial Mode')} {kind}"
    if node.text("Scan Direction") == "Backward":
        kind += " Backward"
    return f"Parallel {kind}" if node.facts.get("Parallel Aware") is True else kind


def _join(node: Node) -> str:
    outer = node.text("Join Type")
    if outer in ("", "Inner"):
        return node.kind
    return f"{JOINS[node.kind]} {outer} Join"


def _lines(node: Node, depth: int, *, figures: bool) -> Iterator[str]:
    prefix = f"{node.subplan}: " if node.subplan else ""
    keys = _keys(node, figures=figures)
    yield f"{INDENT * depth}{prefix}{named(node)}{keys}{_figures(node) if figures else ''}"
    for child in node.children if figures else _without_twins(node.children):
        if isinstance(child, str):
            yield f"{INDENT * (depth + 1)}{child}"
        else:
            yield from _lines(child, depth + 1, figures=figures)


def _keys(node: Node, *, figures: bool) -> str:
    keys = node.texts("Sort Key")
    if not keys:
        return ""
    text = f" by {', '.join(map(_plain, keys))}"
    known = node.texts("Presorted Key")
    return text if figures or not known else f"{text} (sorted by {', '.join(map(_plain, known))})"


def _plain(key: str) -> str:
    return LITERAL.sub("?", key)


def _without_twins(children: Sequence[Node]) -> Iterator[Node | str]:
    """Children with the scans of one table's partitions as one line: their names and number come and go."""
    told: set[str] = set()
    for child in children:
        line = _of_partitions(child)
        if not line:
            yield child
        elif line not in told:
            told.add(line)
            yield line


def _of_partitions(node: Node) -> str:
    """A line such as "Index Scan on partitions of events"; empty for anything else."""
    table = node.partition_of
    return f"{_kind(node)} on partitions of {_name(table)}" if table else ""


def _figures(node: Node) -> str:
    parts = [f"cost {node.cost:,.0f}"]
    if not node.analyzed:
        parts.append(f"{node.estimated:,.0f} rows expected")
    elif not node.loops:
        parts.append("never run")
    else:
        parts += _happened(node)
    return f"  ({', '.join(parts)})"


def _happened(node: Node) -> Iterator[str]:
    yield f"{count(node.rows)} rows of {node.estimated:,.0f} expected"
    if node.loops > 1:
        yield f"{node.loops:,.0f} loops"
    if node.removed:
        yield f"{count(node.removed)} removed"
    if node.buffers:
        yield f"{node.buffers:,} buffers"
    if node.own_temp_blocks:
        yield f"{node.own_temp_blocks:,} temporary pages written"


def count(value: float) -> str:
    """Rows for people: 20, 4,100, 0.3."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:,.1f}"


def _qualified(node: Node, name: str) -> str:
    schema = node.text("Schema")
    return _name(name) if schema in ("", "public", "pg_catalog") else f"{_name(schema)}.{_name(name)}"


def _name(name: str) -> str:
    return name if SIMPLE_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
