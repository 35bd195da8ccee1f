"""Plans as trees and as text, and what of a statement has a plan, from literals."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_prodready.probes.plan_text import figured, named, outline
from pytest_prodready.probes.plan_tree import Node, Place, aggregates, examined_rows, returned_rows
from pytest_prodready.probes.statement_text import filled, query_in
from tests.unit.planned import plan, ran, scan


def place(root: Node, table: str) -> Place:
    """Where the scan of a table stands."""
    return next(each for each in root.walk() if each.node.relation == table)


def test_numbers_of_a_node() -> None:
    """Rows are of each loop, buffers include the children's, and what isn't told is zero."""
    inner = scan(rows=2, loops=3, Rows_Removed_by_Filter=10, Rows_Removed_by_Index_Recheck=1)
    inner |= {"Shared Hit Blocks": 5, "Shared Read Blocks": 1, "Temp Written Blocks": 4}
    root = Node.parse({"Plan": ran("Sort", inner, rows=6, buffers=8, cost=0, Temp_Written_Blocks=7)})
    (child,) = root.children
    assert (child.rows, child.all_rows, child.removed, child.all_removed, child.examined) == (
        2,
        6,
        11,
        33,
        39,
    )
    assert (root.buffers, root.own_buffers, child.own_buffers, root.own_temp_blocks) == (8, 2, 6, 3)
    assert (returned_rows(root), examined_rows(root)) == (6, 39)
    assert (root.cost, root.relation, root.texts("Sort Key"), root.number("Node Type")) == (0, "", (), 0)


def test_unknown_nodes_are_nodes() -> None:
    """Whatever PostgreSQL or an extension comes up with is walked like the rest."""
    root = Node.parse({"Plan": plan("Quantum Scan", plan("Custom Scan"), {}, Foo=[1])})
    assert [node.kind for node in root.nodes()] == ["Quantum Scan", "Custom Scan", "Unknown"]
    assert outline(root) == ("Quantum Scan", "  Custom Scan", "  Unknown")
    assert not root.analyzed


def test_never_run() -> None:
    """A node that never ran has no loops, and is told so."""
    root = Node.parse(ran("Append", scan(rows=0, loops=0, cost=12.3, expected=7)))
    assert (root.children[0].analyzed, root.children[0].examined) == (True, 0)
    assert figured(root)[1] == "  Seq Scan on jobs  (cost 12, never run)"


def test_writes_return_what_they_changed() -> None:
    """An UPDATE without RETURNING returns no row, and has changed those below it."""
    root = Node.parse(ran("ModifyTable", scan(rows=40), rows=0, Operation="Update", Relation_Name="jobs"))
    assert returned_rows(root) == 40
    assert named(root) == "Update on jobs"
    assert [node.kind for node in root.scans()] == ["Seq Scan"]


INNER, OUTER, SUBPLAN = "Inner", "Outer", "SubPlan"


@pytest.mark.parametrize(
    ("root", "early"),
    [
        (ran("Limit", scan()), True),
        (ran("Limit", ran("Sort", scan())), False),
        (ran("Limit", ran("Aggregate", scan(), Strategy="Hashed")), False),
        (ran("Limit", ran("Aggregate", scan(), Strategy="Sorted")), True),
        (ran("Sort", ran("Limit", scan())), True),
        (ran("Merge Join", scan(Parent_Relationship=OUTER)), True),
        (ran("Nested Loop", scan(Parent_Relationship=INNER), Join_Type="Semi"), True),
        (ran("Nested Loop", scan(Parent_Relationship=INNER), Join_Type="Inner", Inner_Unique=True), True),
        (ran("Nested Loop", scan(Parent_Relationship=INNER), Join_Type="Inner", Inner_Unique=False), False),
        (ran("Nested Loop", scan(Parent_Relationship=OUTER), Join_Type="Semi"), False),
        (ran("Hash Join", ran("Hash", scan(), Parent_Relationship=INNER), Join_Type="Semi"), False),
        (ran("Result", scan(Parent_Relationship=SUBPLAN, Subplan_Name="SubPlan 1")), True),
        (ran("Result", scan(Parent_Relationship="InitPlan", Subplan_Name="CTE recent")), False),
        (scan(), False),
    ],
)
def test_what_may_end_early(root: dict[str, Any], early: bool) -> None:
    """Below a limit, in EXISTS and in a merge not all rows are read; below a sort they all are."""
    assert place(Node.parse(root), "jobs").may_end_early is early


@pytest.mark.parametrize(
    ("root", "repeated"),
    [
        (ran("Nested Loop", scan(Parent_Relationship=INNER)), True),
        (ran("Nested Loop", ran("Materialize", scan(), Parent_Relationship=INNER)), True),
        (ran("Nested Loop", scan(Parent_Relationship=OUTER)), False),
        (ran("Result", scan(Parent_Relationship=SUBPLAN)), True),
        (ran("Hash Join", scan(Parent_Relationship=INNER)), False),
    ],
)
def test_what_is_repeated(root: dict[str, Any], repeated: bool) -> None:
    """The inner side of a nested loop and a SubPlan are run for each row of something else."""
    assert place(Node.parse(root), "jobs").repeated is repeated


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (scan("Index Only Scan", Index_Name="jobs_pkey"), "Index Only Scan using jobs_pkey on jobs"),
        (
            scan("Index Scan", Index_Name="By Day", Scan_Direction="Backward", alias="j", Schema="old"),
            'Index Scan Backward using "By Day" on old.jobs j',
        ),
        (plan("Bitmap Index Scan", Index_Name="jobs_pkey"), "Bitmap Index Scan on jobs_pkey"),
        (plan("Hash Join", Join_Type="Inner"), "Hash Join"),
        (plan("Hash Join", Join_Type="Anti"), "Hash Anti Join"),
        (plan("Nested Loop", Join_Type="Left"), "Nested Loop Left Join"),
        (plan("Merge Join", Join_Type="Full"), "Merge Full Join"),
        (plan("Aggregate", Strategy="Hashed", Partial_Mode="Partial"), "Partial HashAggregate"),
        (plan("Aggregate", Strategy="Plain"), "Aggregate"),
        (plan("SetOp", Strategy="Hashed", Command="Except"), "HashSetOp Except"),
        (plan("CTE Scan", CTE_Name="recent", Alias="r"), "CTE Scan on recent r"),
        (
            plan("Function Scan", Function_Name="generate_series", Alias="n"),
            "Function Scan on generate_series n",
        ),
        (
            plan("Seq Scan", Relation_Name="jobs", Alias="jobs", Parallel_Aware=True),
            "Parallel Seq Scan on jobs",
        ),
    ],
)
def test_nodes_in_words(node: dict[str, Any], words: str) -> None:
    """As in PostgreSQL's own text."""
    assert named(Node.parse(node)) == words


def test_outline_is_stable() -> None:
    """Neither constants, nor figures, nor the number of partitions are part of a plan's shape."""
    parts = [
        scan(table=f"events_2026_{month}", alias=f"events_{month}", Parent_Relationship="Member", rows=month)
        for month in (1, 2, 3)
    ]
    recent = scan("Index Scan", Index_Name="jobs_pkey", Parent_Relationship="InitPlan", rows=9)
    recent |= {"Subplan Name": "CTE recent"}
    sort = ran("Sort", ran("Append", *parts), Sort_Key=["((title = 'it''s'::text))", "id DESC"])
    root = Node.parse(ran("Limit", recent, sort))
    assert outline(root) == (
        "Limit",
        "  CTE recent: Index Scan using jobs_pkey on jobs",
        "  Sort by ((title = ?)), id DESC",
        "    Append",
        "      Seq Scan on partitions of events",
    )
    assert len(figured(root)) == 7


def test_figures() -> None:
    """What was expected, what happened, and what was touched."""
    node = scan(rows=0.25, loops=1200, expected=4100, Rows_Removed_by_Filter=17, cost=1234.5)
    node |= {"Shared Hit Blocks": 1300, "Temp Written Blocks": 2}
    assert figured(Node.parse(node)) == (
        "Seq Scan on jobs  (cost 1,234, 0.2 rows of 4,100 expected, 1,200 loops, 17 removed, 1,300 buffers,"
        " 2 temporary pages written)",
    )
    assert figured(Node.parse(plan("Result", Total_Cost=0.5, Plan_Rows=3))) == (
        "Result  (cost 0, 3 rows expected)",
    )


def test_aggregates() -> None:
    """Rows that are made out of others."""
    assert aggregates(Node.parse(ran("Limit", ran("Aggregate", scan()))))
    assert not aggregates(Node.parse(ran("Limit", scan())))


@pytest.mark.parametrize(
    ("text", "query", "parameters", "writes"),
    [
        ("SELECT 1;", "SELECT 1", 0, False),
        ("/* a; b */ -- c;\n (select $2, '$3;' , \"a;b\")", "(select $2, '$3;' , \"a;b\")", 2, False),
        ("SELECT $a$ ; $1 $a$, E'it\\'s;'", "SELECT $a$ ; $1 $a$, E'it\\'s;'", 0, False),
        (
            "with x as (delete from a returning 1) table x",
            "with x as (delete from a returning 1) table x",
            0,
            True,
        ),
        ('DECLARE "for" SCROLL CURSOR WITH HOLD FOR SELECT $1', "SELECT $1", 1, False),
        ("COPY (SELECT (1), ')') TO STDOUT", "SELECT (1), ')'", 0, False),
        ("SELECT 1 LIMIT 20", "SELECT 1 LIMIT 20", 0, False),
    ],
)
def test_query_in_a_statement(text: str, query: str, parameters: int, writes: bool) -> None:
    """Comments, quotes, cursors and COPY: the query inside is found."""
    found = query_in(text)
    assert (found.text, found.parameters, found.writes, found.why) == (query, parameters, writes, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("COPY jobs TO STDOUT", "COPY has no plan"),
        ("BEGIN", "BEGIN has no plan"),
        ("begin; select 1", "several statements"),
        ("EXECUTE mine(1)", "prepared by SQL"),
        ("DECLARE mine CURSOR", "a cursor without a query"),
        ("-- nothing", "it is empty"),
    ],
)
def test_no_query_in_a_statement(text: str, why: str) -> None:
    """What has no plan says why."""
    assert why in query_in(text).why


def test_values_take_the_place_of_parameters() -> None:
    """In strings and comments they are no parameters."""
    assert filled("SELECT $1, '$1', $2, $3 -- $2", ["'a'", "NULL"]) == "SELECT 'a', '$1', NULL, $3 -- $2"
