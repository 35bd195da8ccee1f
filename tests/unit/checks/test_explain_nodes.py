"""Verdicts on single nodes, on estimates and on the capture itself, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.explain_capture import none_is_slow, statements_captured
from pytest_prodready.checks.explain_estimates import estimates_hold
from pytest_prodready.checks.explain_nodes import heap_fetches, no_lossy_bitmap, no_spill
from pytest_prodready.checks.explain_repeats import no_n_plus_one
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.plans import Asked, Explained, Missed, Plans, Proposal, Repeat, Source
from pytest_prodready.settings import ExplainSettings
from tests.unit.planned import JOBS, LIST, explained, inner, ran, scan, seen, statement, unrun

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
LIMITS = ExplainSettings()
FINE = scan("Index Scan", rows=20, buffers=9, Index_Name="jobs_pkey")
NOTHING = Plans(asked=(Asked("list", 200, True, 0),))


def holds(finding: Finding, verdict: Verdict, says: str = "") -> None:
    """The finding has this verdict, and these words in its summary."""
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary


SPILLS = [
    ({"kind": "Sort", "Sort_Space_Type": "Disk", "Sort_Space_Used": 2048}, "Sort wrote 2.0 MB to disk"),
    ({"kind": "Hash", "Hash_Batches": 8, "Peak_Memory_Usage": 256}, "Hash in 8 batches on disk"),
    ({"kind": "Aggregate", "Strategy": "Hashed", "Disk_Usage": 512}, "HashAggregate wrote 512 kB to disk"),
    ({"kind": "Materialize", "Storage": "Disk", "Maximum_Storage": 900}, "Materialize wrote 900 kB"),
    ({"kind": "CTE Scan", "Temp_Written_Blocks": 10}, "CTE Scan wrote 80 kB"),
    (
        {
            "kind": "Incremental Sort",
            "Full-sort_Groups": {"Sort Space Disk": {"Peak Sort Space Used": 700}},
        },
        "Incremental Sort wrote 700 kB",
    ),
]


@pytest.mark.parametrize(("facts", "says"), SPILLS, ids=[case[1] for case in SPILLS])
def test_spills(facts: dict[str, Any], says: str) -> None:
    """Each kind of node tells in its own way that it went to disk."""
    kind = facts["kind"]
    root = ran(kind, FINE, rows=20, **{name: value for name, value in facts.items() if name != "kind"})
    holds(no_spill(seen(root, settings={"work_mem": "64kB"}), LIMITS), FAILED, says)


def test_what_stays_in_memory() -> None:
    """A sort in memory is no spill, nor is the temporary file of a child its parent's."""
    in_memory = ran("Sort", FINE, rows=20, Sort_Space_Type="Memory", Sort_Space_Used=25)
    holds(no_spill(seen(in_memory, settings={"work_mem": "4MB"}), LIMITS), PASSED, "with work_mem 4MB")
    below = ran("Sort", FINE, rows=20, Sort_Space_Type="Disk", Sort_Space_Used=80, Temp_Written_Blocks=10)
    (problem,) = no_spill(seen(ran("Limit", below, Temp_Written_Blocks=10)), LIMITS).evidence["plans"][
        "trees"
    ]
    assert problem["marked"] == [1]
    holds(no_spill(Plans(), LIMITS), INCONCLUSIVE, "no statement")


def test_what_to_do_about_a_spill() -> None:
    """An index that was tried, else an index in the order, fewer rows, or memory."""
    sort = ran(
        "Sort", FINE, Sort_Space_Type="Disk", Sort_Space_Used=9000, Sort_Key=["jobs.title", "jobs.id DESC"]
    )
    change = no_spill(seen(sort), LIMITS).change
    assert "an index in the order of title, id DESC spares the sort" in change
    assert "SET LOCAL work_mem = '26MB'" in change
    tried = Proposal(LIST, "jobs", "CREATE INDEX CONCURRENTLY i ON jobs (title)", 9, 1, "Index Scan")
    assert no_spill(seen(sort, proposals=(tried,)), LIMITS).change.startswith("CREATE INDEX CONCURRENTLY i")


def test_planned_spills() -> None:
    """Without rows: a sort of more than work_mem by its estimate, unless only the first rows are kept."""
    big, small = (unrun(ran("Sort", FINE, rows=rows, Plan_Width=100)) for rows in (50_000, 500))
    holds(no_spill(seen(big), LIMITS), FAILED, "Sort of 50,000 rows needs about 5.9 MB")
    holds(no_spill(seen(small), LIMITS), PASSED)
    holds(no_spill(seen(unrun(ran("Limit", big, rows=20))), LIMITS), PASSED)
    enough = statement(explained(big))
    enough = replace(
        enough, plans=(Explained("custom", "statistics", {"Plan": big, "Settings": {"work_mem": "1GB"}}),)
    )
    holds(no_spill(seen(enough), LIMITS), PASSED)
    partitions = unrun(ran("Aggregate", FINE, Strategy="Hashed", Planned_Partitions=4))
    holds(no_spill(seen(partitions), LIMITS), FAILED, "HashAggregate is planned in 4 partitions on disk")


def test_lossy_bitmaps() -> None:
    """A page without its rows is one too many."""
    exact = scan("Bitmap Heap Scan", rows=200, Exact_Heap_Blocks=180)
    holds(no_lossy_bitmap(seen(exact), LIMITS), PASSED, "none of them with a lossy bitmap")
    lossy = scan(
        "Bitmap Heap Scan",
        rows=200,
        Exact_Heap_Blocks=80,
        Lossy_Heap_Blocks=100,
        Rows_Removed_by_Index_Recheck=900,
    )
    holds(
        no_lossy_bitmap(seen(lossy), LIMITS),
        FAILED,
        "kept 100 of 180 pages without their rows, and looked at 900 rows in vain",
    )
    holds(no_lossy_bitmap(Plans(), LIMITS), INCONCLUSIVE)


@pytest.mark.parametrize(
    ("fetches", "rows", "verdict", "says"),
    [
        (0, 20, PASSED, "1 index-only scan, at most 0% of the rows looked up"),
        (99, 100, PASSED, "at most 0%"),
        (100, 1000, PASSED, "at most 10%"),
        (101, 1000, FAILED, "went to the table 101 times for 1,000 rows"),
    ],
)
def test_heap_fetches(fetches: int, rows: int, verdict: Verdict, says: str) -> None:
    """A tenth of the rows may be looked up, and a few in any case."""
    node = scan("Index Only Scan", rows=rows, Index_Name="jobs_pkey", Heap_Fetches=fetches)
    finding = heap_fetches(seen(node), LIMITS)
    holds(finding, verdict, says)
    assert verdict is PASSED or "autovacuum" in finding.change


def test_no_index_only_scan() -> None:
    """A service without any passes; one without a measurement doesn't."""
    holds(heap_fetches(seen(FINE), LIMITS), PASSED, "0 index-only scans")
    holds(heap_fetches(Plans(), LIMITS), INCONCLUSIVE)


TWO = "((jobs.region = 'a'::text) AND (jobs.status = 'b'::text))"
ESTIMATES = [
    ("right", scan(rows=2000, expected=1900), PASSED, "none of them estimated far off"),
    ("a bit off", scan(rows=2000, expected=190), PASSED, "worth a look: list, SELECT id, title FROM jobs"),
    ("far off", scan(rows=2000, expected=2, Filter=TWO), FAILED, "expected to give 2 rows and gave 2,000"),
    ("too many", scan(rows=2, expected=2000), FAILED, "expected to give 2,000 rows and gave 2"),
    ("of few rows", scan(rows=900, expected=1), PASSED, "worth a look"),
    ("none there", scan(rows=0, expected=2000), PASSED, "far off"),
    ("never run", scan(rows=0, loops=0, expected=2000), PASSED, "far off"),
    ("under a limit", ran("Limit", scan(rows=20, expected=20_000)), PASSED, "far off"),
    ("under a sort", ran("Limit", ran("Sort", scan(rows=9000, expected=3))), FAILED, "3 rows and gave 9,000"),
    ("exists", ran("Result", inner(scan(rows=1, expected=9000), "SubPlan")), PASSED, ""),
    ("function", ran("Nested Loop", ran("Function Scan", rows=9000, expected=1)), PASSED, "far off"),
    ("bitmap and", ran("BitmapAnd", rows=0, expected=5000), PASSED, "far off"),
    ("by loops", inner(scan(rows=200, loops=50, expected=1)), FAILED, "1 rows and gave 200"),
    (
        "join",
        ran("Hash Join", scan(rows=5000), ran("Hash", scan(table="o", rows=5000)), rows=5000, expected=5),
        FAILED,
        "Hash Join was expected to give 5 rows and gave 5,000",
    ),
]


@pytest.mark.parametrize(
    ("root", "verdict", "says"), [case[1:] for case in ESTIMATES], ids=[case[0] for case in ESTIMATES]
)
def test_estimates(root: dict[str, Any], verdict: Verdict, says: str) -> None:
    """An error counts where the node was read to its end, and where it is about many rows."""
    holds(estimates_hold(seen(root), LIMITS), verdict, says)


def test_errors_are_told_where_they_begin() -> None:
    """The join above a scan that is estimated wrong is not blamed as well."""
    wrong = scan(rows=5000, expected=5)
    root = ran("Hash Join", wrong, ran("Hash", scan(table="o", rows=50)), rows=5000, expected=5)
    (tree,) = estimates_hold(seen(root), LIMITS).evidence["plans"]["trees"]
    assert tree["marked"] == [1]


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (TWO, "CREATE STATISTICS (dependencies, mcv) ON region, status FROM jobs"),
        ("(jobs.region = 'a'::text)", "ALTER TABLE jobs ALTER COLUMN region SET STATISTICS 1000"),
        ("(lower(jobs.title) = 'a'::text)", "on the expression with lower()"),
        ("", "a higher statistics target"),
    ],
)
def test_what_to_do_about_an_estimate(condition: str, says: str) -> None:
    """Statistics for what the planner can't know yet."""
    assert says in estimates_hold(seen(scan(rows=2000, expected=2, Filter=condition)), LIMITS).change


def test_estimates_of_nothing() -> None:
    """No data is never a pass."""
    holds(estimates_hold(Plans(), LIMITS), INCONCLUSIVE)


REPEAT = Repeat(
    request="list",
    text="SELECT name FROM organisations WHERE id = $1",
    calls=20,
    parent=LIST,
    table="jobs",
    few_rows=5,
    few_calls=5,
    many_rows=50,
    many_calls=20,
)
REPEATS = [
    ("grows", REPEAT, FAILED, "5 times on 5 rows of jobs, 20 times on 50"),
    ("grows by distinct parents", replace(REPEAT, few_calls=3, many_calls=10), FAILED, "3 times on 5 rows"),
    ("page of ten", replace(REPEAT, many_calls=10), FAILED, "10 times on 50"),
    (
        "fixed number",
        replace(REPEAT, calls=7, few_calls=7, many_calls=7),
        PASSED,
        "fixed number of times: list",
    ),
    ("batches", replace(REPEAT, calls=5, few_calls=1, many_calls=5), PASSED, "a fixed number of times"),
    ("few", replace(REPEAT, calls=4, few_calls=1, many_calls=4), PASSED, "none of them repeats"),
    ("accident", replace(REPEAT, calls=20, few_calls=18, many_calls=20), PASSED, "fixed number"),
    ("untold", replace(REPEAT, doubt="it reads no table"), INCONCLUSIVE, "20 times, and it reads no table"),
]


@pytest.mark.parametrize(
    ("repeat", "verdict", "says"), [case[1:] for case in REPEATS], ids=[case[0] for case in REPEATS]
)
def test_no_n_plus_one(repeat: Repeat, verdict: Verdict, says: str) -> None:
    """What grows with the rows of another table is one too many; a fixed number is only told."""
    holds(no_n_plus_one(seen(FINE, repeats=(repeat,)), LIMITS), verdict, says)


def test_n_plus_one_beside_a_doubt() -> None:
    """One that grows fails beside one in doubt; nothing seen is never a pass."""
    finding = no_n_plus_one(seen(FINE, repeats=(replace(REPEAT, doubt="x"), REPEAT)), LIMITS)
    holds(finding, FAILED, "5 times on 5 rows of jobs, 20 times on 50")
    assert "WHERE … = ANY($1)" in finding.change
    holds(no_n_plus_one(seen(FINE), LIMITS), PASSED, "1 request, none of them repeats")
    holds(no_n_plus_one(Plans(doubt="lost"), LIMITS), INCONCLUSIVE, "lost")
    holds(no_n_plus_one(NOTHING, LIMITS), INCONCLUSIVE, "no statement was captured")


def test_n_plus_one_needs_rows_to_show() -> None:
    """Where no request returns several rows, nothing was tried."""
    small = seen(FINE, asked=(Asked("show", 200, True, 1, rows=1),))
    holds(
        no_n_plus_one(small, LIMITS),
        INCONCLUSIVE,
        "no request had a result of 5 rows or more (the largest had 1)",
    )


def test_everything_is_captured() -> None:
    """Statements, calls, and what has no plan by its nature."""
    copied = statement(text="COPY jobs TO STDOUT", skipped="COPY has no plan")
    inside = statement(Explained("custom", "rows", error="a function runs it"), text="SELECT 2", nested=True)
    listed = statement(FINE, sources=(Source("list", 3),))
    finding = statements_captured(seen(listed, copied, inside, origin="20,000 rows generated in jobs"))
    holds(finding, PASSED, "3 statements of 1 request, 5 calls, all captured and explained")
    assert "without a plan: COPY has no plan; 1 inside of functions" in finding.summary
    assert finding.summary.endswith("data: 20,000 rows generated in jobs")
    assert [each["calls"] for each in finding.evidence["plans"]["statements"]] == [3, 1, 1]


@pytest.mark.parametrize(
    ("plans", "says"),
    [
        (NOTHING, "1 request made the service run no statement"),
        (Plans(doubt="counters were dropped"), "counters were dropped"),
        (seen(FINE, asked=(Asked("list", 404, False, 1),)), "list got 404 on the copy"),
        (
            seen(FINE, missed=(Missed("list", "SELECT 1; SELECT 2", 2, "sent in one message"),)),
            "2 calls not captured",
        ),
        (
            seen(FINE, missed=(Missed("list", "", 0, "the log was lost"),)),
            "list, not captured (the log was lost)",
        ),
        (seen(statement()), "not explained"),
        (
            seen(statement(Explained("custom", "rows", error="permission denied"))),
            "not explained, permission denied",
        ),
        (seen(statement(explained(unrun(FINE), error="it ran for more than 30 s"))), "only planned, it ran"),
        (seen(FINE, tables=(replace(JOBS, rows=500, wanted=20_000),)), "jobs has 500 of the 20,000 rows"),
    ],
)
def test_not_everything_is_captured(plans: Plans, says: str) -> None:
    """Whatever isn't known is said, and nothing passes for it."""
    holds(statements_captured(plans), INCONCLUSIVE, says)


@pytest.mark.parametrize(
    ("status", "says"), [(500, "list got 500 on as much data"), (None, "list got no answer")]
)
def test_a_request_that_is_not_answered(status: int | None, says: str) -> None:
    """A service that can't answer on production's data has failed, whatever its plans are."""
    plans = seen(FINE, asked=(Asked("list", status, False, 1),), missed=(Missed("list", "", 0, "lost"),))
    holds(statements_captured(plans), FAILED, says)
    holds(statements_captured(replace(plans, doubt="counters were dropped")), INCONCLUSIVE)


def test_an_insert_that_is_there_already() -> None:
    """Of given values there is nothing to judge in a plan, run or not."""
    insert = ran("ModifyTable", ran("Result"), Relation_Name="jobs", Operation="Insert")
    again = statement(explained(unrun(insert), error="PostgreSQL says: duplicate key"))
    holds(statements_captured(seen(again)), PASSED)


def test_slowest_statements() -> None:
    """The slowest first, as advice."""
    slow, fast = (
        statement(FINE, text=text, milliseconds=ms) for text, ms in (("SELECT 1", 20.5), ("SELECT 2", 1.0))
    )
    holds(none_is_slow(seen(fast, slow), LIMITS), PASSED, "20.5 ms list, SELECT 1; 1.0 ms list, SELECT 2")
    slow = replace(slow, milliseconds=100.5)
    holds(none_is_slow(seen(fast, slow), LIMITS), FAILED, "100.5 ms list, SELECT 1")
    holds(none_is_slow(Plans(), LIMITS), INCONCLUSIVE, "no statement")
    holds(none_is_slow(Plans(doubt="lost"), LIMITS), INCONCLUSIVE, "lost")
