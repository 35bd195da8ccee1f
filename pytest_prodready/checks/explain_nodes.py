"""Judge single nodes: what goes to disk, lossy bitmaps, index-only scans that visit the table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_remedies import index_for
from pytest_prodready.checks.explain_words import (
    Judged,
    Problem,
    analyzed,
    concluded,
    counted,
    judged,
    statements_of,
    unknown,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.plan_text import count, named
from pytest_prodready.probes.plan_tree import Node
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import ExplainSettings

FEW_FETCHES = 100  # rows that were written since the last VACUUM are nobody's trouble
SIZE = re.compile(r"(\d+)(kB|MB|GB)?")
KIB = {None: 1 / 1024, "kB": 1, "MB": 1024, "GB": 1024 * 1024}
ROW_OVERHEAD = 24  # bytes that each row takes in a sort, besides its columns


def no_spill(seen: Plans, limits: ExplainSettings) -> Finding:
    """No sort, hash or aggregate of a statement goes to disk."""
    rule = RULES["explain.no-spill"]
    memory = f" with work_mem {seen.settings['work_mem']}" if "work_mem" in seen.settings else ""
    details: dict[str, Any] = {"limit": f"no temporary file{memory}"}
    if finding := unknown(rule, seen, details, rows=False):
        return finding
    problems = [
        Problem(each, f"{named(node)} {words}", _less_or_more(each, seen, node, kib), node)
        for each in judged(seen)
        for node, words, kib in (_spilled(each.root) if each.analyzed else _would_spill(each))
    ]
    number = counted(len(statements_of(seen, rows=False)), "statement")
    passed = f"{number}, none of them writes a temporary file{memory}"
    return concluded(rule, seen, problems, passed, details, limits=limits, rows=False)


def _spilled(root: Node) -> Iterator[tuple[Node, str, float]]:
    """Nodes that wrote temporary files, with words for it and the KiB that were written."""
    for node in root.nodes():
        written = max(_on_disk(node), node.own_temp_blocks * 8)
        batches = node.number("Hash Batches")
        if batches > 1:
            yield node, f"in {batches:,.0f} batches on disk", node.number("Peak Memory Usage") * batches
        elif written and node.kind != "Hash Join":  # the hash below has been told
            yield node, f"wrote {_size(written)} to disk", written


def _on_disk(node: Node) -> float:
    """KiB on disk, as the different kinds of nodes tell it."""
    if node.text("Sort Space Type") == "Disk":
        return node.number("Sort Space Used")
    if node.text("Storage") == "Disk":
        return node.number("Maximum Storage")
    groups = [node.facts.get(key) for key in ("Full-sort Groups", "Pre-sorted Groups")]
    spaces = [group.get("Sort Space Disk") for group in groups if isinstance(group, Mapping)]
    peaks = [float(space.get("Peak Sort Space Used", 0)) for space in spaces if isinstance(space, Mapping)]
    return max([node.number("Disk Usage"), *peaks])


def _would_spill(each: Judged) -> Iterator[tuple[Node, str, float]]:
    """Nodes that the planner itself expects to need more memory than there is."""
    memory = _kib(str(each.explained.plan.get("Settings", {}).get("work_mem", "4MB")))
    for place in each.root.walk():
        node = place.node
        needed = node.estimated * (node.number("Plan Width") + ROW_OVERHEAD) / 1024
        top = place.parent is not None and place.parent.kind == "Limit"
        if node.kind == "Sort" and not top and needed > memory:
            yield node, f"of {count(node.estimated)} rows needs about {_size(needed)}", needed
        elif node.number("Planned Partitions") > 1:
            yield node, f"is planned in {node.number('Planned Partitions'):,.0f} partitions on disk", needed


def _less_or_more(each: Judged, seen: Plans, node: Node, kib: float) -> str:
    """An index that gives the order, or fewer rows, or memory."""
    for scan in node.scans():
        if known := index_for(each, seen, scan.relation):
            return known
    keys = ", ".join(key.rpartition(".")[2] for key in node.texts("Sort Key"))
    order = f"an index in the order of {keys} spares the sort; else " if keys else ""
    more = f"SET LOCAL work_mem = '{max(8, round(kib * 3 / 1024))}MB' for this statement"
    return f"{order}sort or hash fewer rows and columns (LIMIT, WHERE, no SELECT *), or {more}"


def no_lossy_bitmap(seen: Plans, limits: ExplainSettings) -> Finding:
    """No bitmap outgrows work_mem, so that whole pages are looked through again."""
    rule = RULES["explain.no-lossy-bitmap"]
    details: dict[str, Any] = {"limit": "no lossy page"}
    if finding := unknown(rule, seen, details):
        return finding
    problems = [
        _lossy(each, seen, node)
        for each in analyzed(seen)
        for node in each.root.nodes()
        if node.number("Lossy Heap Blocks") > 0
    ]
    number = counted(len(statements_of(seen, rows=True)), "statement")
    return concluded(
        rule, seen, problems, f"{number}, none of them with a lossy bitmap", details, limits=limits
    )


def _lossy(each: Judged, seen: Plans, node: Node) -> Problem:
    lossy, exact = node.number("Lossy Heap Blocks"), node.number("Exact Heap Blocks")
    words = (
        f"{named(node)} kept {lossy:,.0f} of {lossy + exact:,.0f} pages without their rows, and looked at"
        f" {count(node.all_removed)} rows in vain"
    )
    change = index_for(each, seen, node.relation) or (
        f"a condition or an index that finds fewer rows of {node.relation}, or more work_mem for this"
        " statement"
    )
    return Problem(each, words, change, node)


def heap_fetches(seen: Plans, limits: ExplainSettings) -> Finding:
    """An index-only scan finds what it needs in the index."""
    rule = RULES["explain.index-only-scans"]
    details: dict[str, Any] = {
        "limit": f"{limits.heap_fetches:.0%} of the rows looked up in the table",
        "limits": {"heap_fetches": limits.heap_fetches},
    }
    if finding := unknown(rule, seen, details):
        return finding
    scans = [
        (each, node)
        for each in analyzed(seen)
        for node in each.root.nodes()
        if node.kind == "Index Only Scan" and node.loops
    ]
    problems = [_fetches(each, node) for each, node in scans if _fetched(node) > limits.heap_fetches]
    number = counted(len(statements_of(seen, rows=True)), "statement")
    most = (
        f", at most {max(map(_fetched, (node for _, node in scans))):.0%} of the rows looked up"
        if scans
        else ""
    )
    passed = f"{number} with {counted(len(scans), 'index-only scan')}{most}"
    return concluded(rule, seen, problems, passed, details, limits=limits)


def _fetched(node: Node) -> float:
    """The part of its rows for which the table was visited."""
    fetches = node.number("Heap Fetches")
    return fetches / max(1.0, node.examined, fetches) if fetches >= FEW_FETCHES else 0.0


def _fetches(each: Judged, node: Node) -> Problem:
    fetches = node.number("Heap Fetches")
    words = f"{named(node)} went to the table {fetches:,.0f} times for {count(node.examined)} rows"
    change = (
        f"let autovacuum keep {node.relation}'s visibility map current: ALTER TABLE {node.relation} SET"
        " (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02), and end"
        " transactions"
        " that stay open, for they hold it back"
    )
    return Problem(each, words, change, node)


def _size(kib: float) -> str:
    return f"{kib / 1024:,.1f} MB" if kib >= 1024 else f"{kib:,.0f} kB"


def _kib(setting: str) -> float:
    found = SIZE.fullmatch(setting.strip())
    return int(found[1]) * KIB[found[2]] if found else 4096.0
