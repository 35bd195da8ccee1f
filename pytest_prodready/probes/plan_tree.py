"""A plan as a tree: what EXPLAIN (FORMAT JSON) tells of each node, and sums over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

MEMBER = re.compile(r"(.+)_\d+")
REMOVED = "Rows Removed by "
WRITE = "ModifyTable"
LOOPING = ("Nested Loop",)


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a plan. Nodes of kinds that nobody knows yet are nodes like all others."""

    kind: str  # as PostgreSQL names it: "Seq Scan"
    facts: Mapping[str, Any] = field(default_factory=dict)  # all that it tells, but for its children
    children: tuple[Node, ...] = ()

    @classmethod
    def parse(cls, plan: Mapping[str, Any]) -> Node:
        """The tree below the key "Plan" of EXPLAIN's answer, or below any node of it."""
        inner = plan.get("Plan", plan)
        facts = {name: value for name, value in inner.items() if name != "Plans"}
        children = tuple(cls.parse(child) for child in inner.get("Plans") or ())
        return cls(str(inner.get("Node Type", "Unknown")), facts, children)

    def number(self, key: str) -> float:
        """A number that it tells; 0 where it doesn't."""
        value = self.facts.get(key)
        return float(value) if isinstance(value, int | float) else 0.0

    def text(self, key: str) -> str:
        """A word that it tells; empty where it doesn't."""
        value = self.facts.get(key)
        return "" if value is None else str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list that it tells, such as "Sort Key"; empty where it doesn't."""
        value = self.facts.get(key)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()

    @property
    def relation(self) -> str:
        """The table that it reads or writes."""
        return self.text("Relation Name")

    @property
    def alias(self) -> str:
        """The name of that table in the statement."""
        return self.text("Alias")

    @property
    def partition_of(self) -> str:
        """The table, by its name in the statement, that it is a part of; empty for a table of its own.

        The planner calls the parts of `events` events_1, events_2; in a UNION ALL `jobs_1` is jobs itself.
        """
        member = MEMBER.fullmatch(self.alias)
        if member is None or self.text("Parent Relationship") != "Member":
            return ""
        return "" if self.relation in ("", self.alias, member[1]) else member[1]

    @property
    def index(self) -> str:
        """The index that it uses."""
        return self.text("Index Name")

    @property
    def scans_table(self) -> bool:
        """Whether it reads rows of a table."""
        return bool(self.relation) and self.kind != WRITE

    @property
    def writes(self) -> bool:
        """Whether it changes rows."""
        return self.kind == WRITE

    @property
    def subplan(self) -> str:
        """What its parent calls it: "InitPlan 1", "SubPlan 2", "CTE recent"; empty for an ordinary child."""
        return self.text("Subplan Name").partition(" (")[0]

    @property
    def analyzed(self) -> bool:
        """Whether it tells what really happened."""
        return "Actual Loops" in self.facts

    @property
    def loops(self) -> float:
        """How often it was run; 0 where it never was."""
        return self.number("Actual Loops")

    @property
    def rows(self) -> float:
        """Rows that each loop returned."""
        return self.number("Actual Rows")

    @property
    def estimated(self) -> float:
        """Rows that the planner expected of each loop."""
        return self.number("Plan Rows")

    @property
    def all_rows(self) -> float:
        """Rows that all loops returned."""
        return self.rows * self.loops

    @property
    def removed(self) -> float:
        """Rows that each loop looked at and threw away."""
        return sum(self.number(key) for key in self.facts if key.startswith(REMOVED))

    @property
    def all_removed(self) -> float:
        """Rows that all loops looked at and threw away."""
        return self.removed * self.loops

    @property
    def examined(self) -> float:
        """Rows that all loops looked at."""
        return self.all_rows + self.all_removed

    @property
    def cost(self) -> float:
        """The planner's cost of all of it, children included."""
        return self.number("Total Cost")

    @property
    def buffers(self) -> int:
        """Pages that it and its children touched."""
        return int(self.number("Shared Hit Blocks") + self.number("Shared Read Blocks"))

    @property
    def own_buffers(self) -> int:
        """Pages that it touched itself."""
        return max(0, self.buffers - sum(child.buffers for child in self.children))

    @property
    def own_temp_blocks(self) -> int:
        """Pages that it wrote to temporary files itself."""
        below = sum(child.number("Temp Written Blocks") for child in self.children)
        return max(0, int(self.number("Temp Written Blocks") - below))

    def walk(self) -> Iterator[Place]:
        """Every node with those above it, from the root down, in the order of the text."""
        waiting = [Place(self)]
        while waiting:
            place = waiting.pop()
            yield place
            above = (*place.parents, place.node)
            waiting += [Place(child, above) for child in reversed(place.node.children)]

    def nodes(self) -> Iterator[Node]:
        """Every node, from the root down."""
        return (place.node for place in self.walk())

    def scans(self) -> Iterator[Node]:
        """Every node that reads rows of a table."""
        return (node for node in self.nodes() if node.scans_table)


@dataclass(frozen=True, slots=True)
class Place:
    """A node and where it stands; the root comes first among those above it."""

    node: Node
    parents: tuple[Node, ...] = ()

    @property
    def parent(self) -> Node | None:
        """The node right above."""
        return self.parents[-1] if self.parents else None

    @property
    def may_end_early(self) -> bool:
        """Whether something above may stop it before it has returned everything: a limit, EXISTS, a merge."""
        early = False
        for above, below in self._steps():
            early = _stops_early(above, below) or (early and not _reads_everything(above))
        return early

    @property
    def repeated(self) -> bool:
        """Whether it is run once for each row of something else: inside a nested loop, or as a SubPlan."""
        return any(
            below.text("Parent Relationship") == "SubPlan" or (above.kind in LOOPING and _inner(below))
            for above, below in self._steps()
        )

    def _steps(self) -> Iterator[tuple[Node, Node]]:
        line = (*self.parents, self.node)
        return pairwise(line)


def _inner(node: Node) -> bool:
    return node.text("Parent Relationship") == "Inner"


def _stops_early(above: Node, below: Node) -> bool:
    if above.kind in ("Limit", "Merge Join"):
        return True
    if below.text("Parent Relationship") in ("SubPlan", "InitPlan"):
        return not below.subplan.startswith("CTE")  # EXISTS wants one row
    first_match = above.text("Join Type") in ("Semi", "Anti") or above.facts.get("Inner Unique") is True
    return above.kind in LOOPING and _inner(below) and first_match


def _reads_everything(node: Node) -> bool:
    """Whether it reads all of its input before it returns a row."""
    if node.kind == "Aggregate":
        return node.text("Strategy") in ("Plain", "Hashed")
    return node.kind in ("Sort", "Hash", "Bitmap Heap Scan", WRITE)


def returned_rows(root: Node) -> float:
    """Rows that a statement returned, or changed."""
    below = root
    while below.writes and below.children:
        below = below.children[0]
    return max(root.all_rows, below.all_rows)


def examined_rows(root: Node) -> float:
    """Rows of tables that a statement looked at."""
    return sum(node.examined for node in root.scans())


def aggregates(root: Node) -> bool:
    """Whether rows are made out of many others, so that few of them tell nothing about the work."""
    return any(node.kind in ("Aggregate", "Group", "WindowAgg", "SetOp", "Unique") for node in root.nodes())
