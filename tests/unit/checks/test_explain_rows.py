"""Verdicts on how much statements read, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.explain_rows import no_large_seq_scan, no_repeated_scan, rows_examined
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.plans import Plans, Proposal, TableSize
from pytest_prodready.settings import ExplainSettings
from tests.unit.planned import LIST, explained, inner, ran, scan, seen, statement, unrun

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
LIMITS = ExplainSettings()
FILTER = "(jobs.region = 'north'::text)"
INDEX = "CREATE INDEX CONCURRENTLY jobs_region_idx ON jobs (region)"
PROPOSAL = Proposal(LIST, "jobs", INDEX, 900.0, 12.0, "Index Scan using jobs_region_idx on jobs")

FILTERED = scan(rows=200, removed=19_800, buffers=500, Filter=FILTER)
WHOLE = scan(rows=20_000, buffers=500)
BACKWARD = scan(
    "Index Scan", rows=20, removed=4081, buffers=4100, Index_Name="jobs_created_idx", Filter=FILTER
)


def holds(finding: Finding, verdict: Verdict, says: str = "") -> None:
    """The finding has this verdict, and these words in its summary."""
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary


def join(kind: str, *children: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """A join of two scans, the second of which is the inner one."""
    return ran(kind, inner(children[0], "Outer"), inner(children[1]), Join_Type="Inner", **facts)


SEQ = [
    ("filtered", FILTERED, FAILED, "Seq Scan on jobs reads 20,000 rows, keeps 200, 500 buffers"),
    ("few buffers", scan(rows=20, removed=19_980, buffers=9), PASSED, "none of them scans"),
    ("cheap", scan(rows=20, removed=19_980, buffers=500, cost=9), PASSED, ""),
    ("ends early", ran("Limit", scan(rows=20, removed=400, buffers=14), rows=20), PASSED, ""),
    ("small table", scan(table="regions", rows=1, removed=9000, buffers=100), PASSED, ""),
    ("unknown but large", scan(table="events", rows=1, removed=12_000, buffers=100), FAILED, "on events"),
    ("export", WHOLE, PASSED, "list uses all of jobs, which no index makes cheaper"),
    ("report", ran("Aggregate", WHOLE, Strategy="Plain"), PASSED, "list uses all of jobs"),
    ("report of a part", ran("Aggregate", FILTERED, Strategy="Plain"), FAILED, "keeps 200"),
    ("page of a sort", ran("Limit", ran("Sort", WHOLE, rows=20), rows=20), FAILED, "reads 20,000 rows"),
    ("joined away", join("Hash Join", WHOLE, ran("Hash", scan(table="o")), rows=40), FAILED, "on jobs"),
    (
        "joined whole",
        join("Hash Join", scan(table="o"), ran("Hash", WHOLE), rows=9000),
        PASSED,
        "all of jobs",
    ),
    ("anti join", ran("Hash Join", inner(WHOLE, "Outer"), rows=3, Join_Type="Anti"), PASSED, "all of jobs"),
    ("never run", scan(rows=0, loops=0), PASSED, ""),
]


@pytest.mark.parametrize(
    ("root", "verdict", "says"), [case[1:] for case in SEQ], ids=[case[0] for case in SEQ]
)
def test_no_large_seq_scan(root: dict[str, Any], verdict: Verdict, says: str) -> None:
    """What a large table is read for decides: a part of it wants an index, all of it can't have one."""
    holds(no_large_seq_scan(seen(root), LIMITS), verdict, says)


def test_planned_seq_scans() -> None:
    """Without rows the planner's estimates decide."""
    whole, part = (scan(rows=rows, cost=700, Filter=FILTER) for rows in (19_000, 200))
    holds(no_large_seq_scan(seen(unrun(part)), LIMITS), FAILED, "Seq Scan on jobs of 20,000 rows for 200")
    holds(no_large_seq_scan(seen(unrun(whole)), LIMITS), PASSED)
    first = ran("Limit", whole, rows=20, cost=0.9)
    holds(no_large_seq_scan(seen(unrun(first)), LIMITS), PASSED)


def test_partitions_count_together() -> None:
    """Each partition is small, and their table is large."""
    parts = [
        inner(scan(table=f"events_{n}", rows=10, removed=4990, buffers=100, alias=f"e_{n}"), "Member")
        for n in range(3)
    ]
    holds(no_large_seq_scan(seen(ran("Append", *parts)), LIMITS), FAILED, "Seq Scan on events_0 e_0")
    holds(no_large_seq_scan(seen(ran("Append", parts[0])), LIMITS), PASSED)


def test_a_union_is_no_partitioned_table() -> None:
    """Tables that are read one after the other are each of their own size."""
    twice = [
        inner(scan(rows=5, removed=5995, buffers=90, alias=alias, table="o"), "Member")
        for alias in ("o", "o_1")
    ]
    holds(no_large_seq_scan(seen(ran("Append", *twice)), LIMITS), PASSED)


def test_the_catalogue_is_postgres_own() -> None:
    """What a driver asks PostgreSQL's catalogue once for each connection isn't the service's to index."""
    types = statement(scan(table="pg_type", removed=19_000, buffers=90, Schema="pg_catalog"), text="SELECT 2")
    holds(no_large_seq_scan(seen(types, BACKWARD), LIMITS), PASSED, "1 statement, none")
    holds(rows_examined(seen(types), LIMITS), INCONCLUSIVE, "own catalogue is all that was read")


def test_the_index_that_was_tried_is_proposed() -> None:
    """The statement's own proposal comes as SQL, with what it changed; else words that fit the condition."""
    finding = no_large_seq_scan(seen(FILTERED, proposals=(PROPOSAL,)), LIMITS)
    assert finding.change == (
        f"{INDEX};  -- tried: Index Scan using jobs_region_idx on jobs, cost 12 instead of 900"
    )
    other = replace(PROPOSAL, text="SELECT 1")
    assert "an index on jobs (region)" in no_large_seq_scan(seen(FILTERED, proposals=(other,)), LIMITS).change


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("(lower(jobs.title) = 'x'::text)", "applies lower() to a column of jobs"),
        ("(lower((jobs.title)::text) = 'x'::text)", "applies lower() to a column of jobs"),
        ("((jobs.created_at)::date = '2026-01-01'::date)", "applies a cast to date"),
        ("((jobs.title)::text = 'x'::text)", "an index on jobs (title)"),
        ("(jobs.title ~~* '%cook%'::text)", "pg_trgm"),
        (
            "((jobs.region = 'a'::text) AND (jobs.status = ANY ('{b}'::text[])))",
            "an index on jobs (region, status)",
        ),
        ("", "a condition or a LIMIT"),
    ],
)
def test_what_keeps_an_index_from_being_used(condition: str, says: str) -> None:
    """A function on a column, a pattern, no condition at all: each has its own remedy."""
    finding = no_large_seq_scan(seen({**FILTERED, "Filter": condition}), LIMITS)
    assert says in finding.change


EXAMINED = [
    ("backward", ran("Limit", BACKWARD, rows=20), FAILED, "4,101 rows examined for 20"),
    ("few removed", scan(rows=1, removed=999), PASSED, "at most 1,000 rows examined for one"),
    ("many returned", scan(rows=200, removed=19_800, buffers=5), PASSED, "at most 100 rows examined"),
    ("aggregate", ran("Aggregate", scan(rows=1, removed=19_999), Strategy="Plain"), PASSED, ""),
    ("none returned", scan(rows=0, removed=19_999), FAILED, "19,999 rows examined for 0"),
    ("anti join", join("Hash Join", scan(rows=20_000), ran("Hash", scan(rows=20_000)), rows=0), PASSED, ""),
    ("update", ran("ModifyTable", scan(rows=40, removed=2000), rows=0), PASSED, "51 rows examined for one"),
    (
        "beside an aggregate",
        ran("Limit", BACKWARD, inner(ran("Aggregate", scan(rows=9), Strategy="Plain"), "SubPlan"), rows=20),
        FAILED,
        "threw 4,081 away",
    ),
]


@pytest.mark.parametrize(
    ("root", "verdict", "says"), [case[1:] for case in EXAMINED], ids=[case[0] for case in EXAMINED]
)
def test_rows_examined(root: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Rows that are read to be thrown away count; those that make up an aggregate don't."""
    holds(rows_examined(seen(root), LIMITS), verdict, says)


def test_an_index_for_the_order_alone() -> None:
    """A scan in the right order that throws rows away wants the filter's columns first."""
    change = rows_examined(seen(ran("Limit", BACKWARD, rows=20)), LIMITS).change
    assert change.startswith("jobs_created_idx gives the order and not the filter; an index on jobs (region)")
    assert "where the planner passes such an index by" in change


def test_offset_is_read_and_thrown_away() -> None:
    """Rows before the page count as examined, and paging by key is the way out."""
    below = scan("Index Scan", rows=100_020, buffers=900, Index_Name="jobs_created_idx")
    finding = rows_examined(
        seen(ran("Limit", ran("Sort", below, rows=100_020, Sort_Key=["jobs.id DESC"]), rows=20)), LIMITS
    )
    holds(finding, FAILED, "100,020 rows examined for 20, 100,000 of them passed over by OFFSET")
    assert "remember created_at of the last row" in finding.change


REPEATED = [
    (
        "nested loop",
        inner(scan(rows=1, loops=500, removed=200, buffers=2500)),
        FAILED,
        "Seq Scan on jobs 500 times",
    ),
    ("subplan", inner(scan(rows=1, loops=101, buffers=900), "SubPlan"), FAILED, "101 times"),
    ("at the limit", inner(scan(rows=1, loops=100, buffers=900)), PASSED, "more than 100 times"),
    ("of one page", inner(scan(rows=3, loops=500, buffers=500)), PASSED, ""),
    ("outer", inner(scan(rows=3, loops=500, buffers=5000), "Outer"), PASSED, ""),
    ("by index", inner(scan("Index Scan", rows=1, loops=500, buffers=2500)), PASSED, ""),
]


@pytest.mark.parametrize(
    ("child", "verdict", "says"), [case[1:] for case in REPEATED], ids=[case[0] for case in REPEATED]
)
def test_no_repeated_scan(child: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A table that is read again for each row of another one, unless it is a single page."""
    holds(no_repeated_scan(seen(ran("Nested Loop", scan(table="o"), child)), LIMITS), verdict, says)


def test_planned_repeated_scans() -> None:
    """Without rows the other side's estimate decides; what is hashed or kept is read once."""
    outer, child = scan(table="o", rows=500), inner(scan(cost=60))
    holds(no_repeated_scan(seen(unrun(ran("Nested Loop", outer, child))), LIMITS), FAILED, "500 times")
    kept = inner(ran("Materialize", scan(cost=60)))
    holds(no_repeated_scan(seen(unrun(ran("Nested Loop", outer, kept))), LIMITS), PASSED)
    hashed = inner(scan(cost=60, Subplan_Name="SubPlan 1"), "SubPlan")
    root = {
        **scan(table="o", rows=500),
        "Filter": "(ANY (o.id = (hashed SubPlan 1).col1))",
        "Plans": [hashed],
    }
    holds(no_repeated_scan(seen(unrun(root)), LIMITS), PASSED)


@pytest.mark.parametrize(
    ("plans", "verdict", "says"),
    [
        (Plans(doubt="the log was lost"), INCONCLUSIVE, "the log was lost"),
        (Plans(), INCONCLUSIVE, "no statement was captured"),
        (seen(statement(skipped="COPY has no plan")), INCONCLUSIVE, "COPY has no plan"),
        (seen(unrun(FILTERED)), INCONCLUSIVE, "no statement could be run"),
        (
            seen(statement(explained(unrun(FILTERED), data="statistics"))),
            Verdict.UNVERIFIED,
            "statistics alone tell no rows",
        ),
        (  # the server logged how it checked a foreign key, on whatever rows there were
            seen(
                statement(explained(unrun(FILTERED), data="statistics")),
                statement(scan("Index Scan"), text="SELECT 1 FOR KEY SHARE", nested=True),
            ),
            Verdict.UNVERIFIED,
            "statistics alone tell no rows",
        ),
    ],
)
def test_nothing_to_judge(plans: Plans, verdict: Verdict, says: str) -> None:
    """No data is never a pass."""
    holds(rows_examined(plans, LIMITS), verdict, says)


def test_what_is_not_judged_is_said() -> None:
    """A statement without a plan isn't dropped silently."""
    lost = statement(text="SELECT 2")
    holds(rows_examined(seen(statement(scan()), lost), LIMITS), PASSED, "1 statement not judged")
    inside = replace(lost, nested=True)
    assert "not judged" not in rows_examined(seen(statement(scan()), inside), LIMITS).summary


def test_the_plan_is_the_evidence() -> None:
    """The report shows the tree, with the node that is wrong."""
    finding = rows_examined(seen(ran("Limit", BACKWARD, rows=20)), LIMITS)
    (tree,) = finding.evidence["plans"]["trees"]
    assert (tree["marked"], tree["before"], len(tree["after"])) == ([1], [], 2)
    assert tree["title"].startswith("list: SELECT")


def test_the_generic_plan_is_judged_where_it_is_the_only_one() -> None:
    """Custom plans are what the server makes first; a session may want generic ones alone."""
    generic = explained(FILTERED, mode="generic")
    holds(no_large_seq_scan(seen(statement(scan("Index Scan"), generic)), LIMITS), PASSED)
    holds(no_large_seq_scan(seen(statement(generic)), LIMITS), FAILED)


def test_tables_of_other_schemas() -> None:
    """A size may be told by the table's qualified name."""
    sized = TableSize("old.events", 50_000, 900)
    root = scan(table="events", rows=10, removed=2000, buffers=90, Schema="old")
    holds(no_large_seq_scan(seen(root, tables=(sized,)), LIMITS), FAILED, "on old.events")
