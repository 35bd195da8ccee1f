"""Verdicts on budgets, baselines and generic plans, from literals; and the baseline as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.checks.explain_baseline import plan_unchanged
from pytest_prodready.checks.explain_budget import buffers_within_budget, generic_plan_as_good
from pytest_prodready.errors import ConfigError
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.fixtures.plan_file import read, written
from pytest_prodready.probes.plan_baseline import Baseline, accepted, as_text, key, parsed
from pytest_prodready.probes.plans import Budget, Plans, Proposal, TableSize
from pytest_prodready.reports.trees import plan_trees, tree_lines
from pytest_prodready.reports.trees import written as changed_lines
from pytest_prodready.settings import ExplainSettings
from tests.unit.planned import LIST, explained, inner, ran, scan, seen, statement, unrun

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
UNVERIFIED = Verdict.UNVERIFIED
LIMITS = ExplainSettings()
NONE = Baseline(found=False)
PATH = "prodready.plans.json"

BY_INDEX = scan("Index Scan", rows=200, buffers=180, Index_Name="jobs_region_idx")
BITMAP = scan(
    "Bitmap Heap Scan", ran("Bitmap Index Scan", Index_Name="jobs_region_idx"), rows=200, buffers=190
)
INDEX_ONLY = scan("Index Only Scan", rows=200, buffers=9, Index_Name="jobs_region_idx")
SEQUENTIAL = scan(rows=200, removed=19_800, buffers=500)


def holds(finding: Finding, verdict: Verdict, says: str = "") -> None:
    """The finding has this verdict, and these words in its summary."""
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary


def baseline(*plans: dict[str, Any], **more: Any) -> Baseline:
    """What these plans were when they were accepted."""
    return accepted(seen(*plans, **more), PATH)


def sized(buffers: int) -> dict[str, Any]:
    """A plan that touches so many pages."""
    return {**BY_INDEX, "Shared Hit Blocks": buffers}


@pytest.mark.parametrize(
    ("now", "before", "verdict", "says"),
    [
        (180, 180, PASSED, "1 statement, 1 compared, at most 180 pages"),
        (225, 180, PASSED, ""),
        (230, 180, FAILED, "230 pages, 180 before, 230 of them by Index Scan using jobs_region_idx on jobs"),
        (54, 5, PASSED, ""),
        (55, 5, FAILED, "55 pages, 5 before"),
        (1240, 1000, PASSED, ""),
    ],
)
def test_buffers_against_the_baseline(now: int, before: int, verdict: Verdict, says: str) -> None:
    """More by a quarter and by fifty pages is too many."""
    holds(buffers_within_budget(seen(sized(now)), LIMITS, baseline(sized(before))), verdict, says)


def test_declared_budgets() -> None:
    """A declared budget comes before the baseline, and a statement's own before the general one."""
    limits = ExplainSettings(buffers=100)
    holds(buffers_within_budget(seen(sized(100)), limits, NONE), PASSED, "1 compared")
    holds(
        buffers_within_budget(seen(sized(101)), limits, baseline(sized(101))), FAILED, "over a budget of 100"
    )
    own = statement(sized(101), budget=Budget(200))
    holds(buffers_within_budget(seen(own), limits, NONE), PASSED)
    holds(buffers_within_budget(seen(replace(own, budget=Budget(50))), LIMITS, NONE), FAILED, "budget of 50")


def test_nothing_to_compare_with() -> None:
    """Neither a budget nor a baseline: nothing is proven."""
    holds(buffers_within_budget(seen(BY_INDEX), LIMITS, NONE), UNVERIFIED, "nothing to compare with")
    holds(buffers_within_budget(Plans(), LIMITS, NONE), INCONCLUSIVE)
    other = baseline(sized(1), server="17.2")
    holds(
        buffers_within_budget(seen(BY_INDEX), LIMITS, other), INCONCLUSIVE, "of PostgreSQL 17, and this is 18"
    )
    holds(buffers_within_budget(seen(BY_INDEX), ExplainSettings(buffers=999), other), PASSED)
    new = baseline(statement(BY_INDEX, text="SELECT 2").plans[0].plan["Plan"])
    new = replace(new, statements=())
    holds(buffers_within_budget(seen(BY_INDEX), LIMITS, new), INCONCLUSIVE, "of 1 plan none is in prodready")
    one = baseline(BY_INDEX)
    both = seen(BY_INDEX, statement(BY_INDEX, text="SELECT 2"))
    holds(buffers_within_budget(both, LIMITS, one), PASSED, "2 statements, 1 compared")


CHANGES = [
    ("same", BY_INDEX, BY_INDEX, PASSED, "1 plan compared with prodready.plans.json, none worse"),
    (
        "index to seq",
        BY_INDEX,
        SEQUENTIAL,
        FAILED,
        "Index Scan using jobs_region_idx → Seq Scan (500 buffers)",
    ),
    ("bitmap to seq", BITMAP, SEQUENTIAL, FAILED, "190 → 500 pages in all"),
    ("index only to seq", INDEX_ONLY, SEQUENTIAL, FAILED, "1 of 1 plan worse"),
    ("seq to index", SEQUENTIAL, BY_INDEX, PASSED, "none the worse for it: list, SELECT"),
    (
        "index only to index",
        INDEX_ONLY,
        BY_INDEX,
        PASSED,
        "Index Only Scan using jobs_region_idx → Index Scan",
    ),
    ("index to bitmap", BY_INDEX, BITMAP, PASSED, "→ Bitmap Heap Scan"),
    ("to a small seq", BY_INDEX, scan(rows=200, buffers=9), PASSED, "none the worse"),
    ("to a cheap seq", BY_INDEX, scan(rows=2000, buffers=90, cost=9), PASSED, "none the worse"),
    ("sort added", BY_INDEX, ran("Sort", BY_INDEX, Sort_Key=["jobs.id"]), PASSED, "1 sort more"),
    ("never run", BY_INDEX, scan(rows=0, loops=0), PASSED, ""),
]


@pytest.mark.parametrize(
    ("before", "now", "verdict", "says"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES]
)
def test_changed_plans(before: dict[str, Any], now: dict[str, Any], verdict: Verdict, says: str) -> None:
    """An index that is lost fails, other changes are told."""
    holds(plan_unchanged(seen(now), LIMITS, baseline(before)), verdict, says)


def test_changed_joins() -> None:
    """Another way to join is told; what a table is read by counts under its name in the statement."""

    def join(kind: str, jobs: dict[str, Any]) -> dict[str, Any]:
        return ran(
            kind, inner(jobs, "Outer"), inner(ran("Hash", scan(table="o", alias="org"))), Join_Type="Inner"
        )

    finding = plan_unchanged(
        seen(join("Hash Join", BY_INDEX)), LIMITS, baseline(join("Nested Loop", BY_INDEX))
    )
    holds(finding, PASSED, "joined by Hash instead of Nested Loop")
    finding = plan_unchanged(
        seen(join("Hash Join", SEQUENTIAL)), LIMITS, baseline(join("Hash Join", BY_INDEX))
    )
    holds(finding, FAILED, "jobs: Index Scan using jobs_region_idx → Seq Scan")
    assert "org" not in finding.summary


def test_changed_plans_are_shown() -> None:
    """Before and after as trees, with the node that changed; the index that was tried is proposed."""
    tried = Proposal(LIST, "jobs", "CREATE INDEX CONCURRENTLY i ON jobs (region)", 9, 1, "Index Scan")
    now = seen(ran("Limit", SEQUENTIAL), proposals=(tried,))
    finding = plan_unchanged(now, LIMITS, baseline(ran("Limit", BY_INDEX)))
    assert finding.change.startswith("CREATE INDEX CONCURRENTLY i")
    (tree,) = plan_trees(finding.evidence)
    assert tree_lines(tree) == [
        tree.title,
        "before",
        "  Limit",
        "    Index Scan using jobs_region_idx on jobs",
        "now",
        "  Limit  (cost 100, 1 rows of 1 expected)",
        "▸   Seq Scan on jobs  (cost 100, 200 rows of 200 expected, 19,800 removed, 500 buffers)",
    ]
    assert len(tree_lines(tree, longest=1)) == 7


def test_planned_changes() -> None:
    """Without rows the cost tells what the change is worth."""
    before, now = (explained(unrun(each), data="statistics") for each in (BY_INDEX, SEQUENTIAL))
    kept = accepted(seen(statement(before)), PATH)
    holds(plan_unchanged(seen(statement(now)), LIMITS, kept), FAILED, "→ Seq Scan (cost 100)")
    holds(plan_unchanged(seen(statement(now)), LIMITS, baseline(BY_INDEX)), INCONCLUSIVE)  # of other data


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"server": "17.2"}, "is of PostgreSQL 18, and this is 17"),
        (
            {"settings": {"work_mem": "64MB"}},
            "other settings than in prodready.plans.json: work_mem = 64MB, not 4MB",
        ),
        ({"settings": {}}, "work_mem = the default, not 4MB"),
        ({"tables": (TableSize("jobs", 100_000, 9),)}, "jobs has 100,000 rows instead of 20,000"),
    ],
)
def test_another_ground(now: dict[str, Any], says: str) -> None:
    """What was made on another server, with other settings or other data can't be compared."""
    before = baseline(BY_INDEX, settings={"work_mem": "4MB"})
    given = {"settings": {"work_mem": "4MB"}, **now}
    holds(plan_unchanged(seen(SEQUENTIAL, **given), LIMITS, before), INCONCLUSIVE, says)


def test_no_baseline() -> None:
    """Without a file nothing is compared, and it is said how to make one."""
    holds(plan_unchanged(seen(BY_INDEX), LIMITS, NONE), UNVERIFIED, "--prodready-explain=update makes one")
    holds(plan_unchanged(Plans(doubt="lost"), LIMITS, NONE), INCONCLUSIVE, "lost")
    told = replace(baseline(BY_INDEX), written=("added: SELECT",))
    holds(
        plan_unchanged(seen(BY_INDEX), LIMITS, told), PASSED, "prodready.plans.json is written: added: SELECT"
    )
    nothing = plan_unchanged(seen(BY_INDEX), LIMITS, Baseline(server="18"))
    holds(nothing, INCONCLUSIVE, "of 1 plan none is in prodready.plans.json, so that nothing was compared")
    assert nothing.change.endswith("--prodready-explain=update")
    both = seen(BY_INDEX, statement(SEQUENTIAL, text="SELECT 2"))
    some = plan_unchanged(both, LIMITS, baseline(BY_INDEX))
    holds(some, PASSED, "1 plan compared with prodready.plans.json, none worse; 1 statement not in")


def test_what_was_written_is_told() -> None:
    """The terminal tells what an update has changed in the file, and nothing of what others call so."""
    told = replace(baseline(BY_INDEX), written=("added: SELECT",))
    assert changed_lines(plan_unchanged(seen(BY_INDEX), LIMITS, told).evidence) == ["added: SELECT"]
    assert changed_lines({"markers": {"written": 5}, "plans": {"trees": []}}) == []


def generic(custom: dict[str, Any], other: dict[str, Any]) -> Plans:
    """A statement that is prepared, with both plans."""
    return seen(statement(explained(custom), explained(other, mode="generic"), prepared=True))


@pytest.mark.parametrize(
    ("custom", "other", "verdict", "says"),
    [
        (sized(5), sized(50), PASSED, "1 prepared statement, each with a generic plan that is as good"),
        (sized(5), sized(54), PASSED, ""),
        (
            sized(5),
            {**SEQUENTIAL, "Total Cost": 104.0},
            FAILED,
            "a generic plan of 500 pages by Seq Scan on jobs",
        ),
        (
            sized(5),
            {**SEQUENTIAL, "Total Cost": 9000.0},
            PASSED,
            "won't take it: list (cost 9,000 instead of 100)",
        ),
        (sized(90), SEQUENTIAL, PASSED, ""),
    ],
)
def test_generic_plans(custom: dict[str, Any], other: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A generic plan that is much worse fails where PostgreSQL's own costs make it take that plan."""
    finding = generic_plan_as_good(generic(custom, other), LIMITS)
    holds(finding, verdict, says)
    assert verdict is PASSED or "plan_cache_mode = force_custom_plan" in finding.change


def test_a_generic_plan_that_is_not_known() -> None:
    """One that could not be run is no good one, unless PostgreSQL reckons it dearer than planning anew."""
    stopped = "it ran for more than 30 s and was stopped"
    unplanned = replace(explained({}, mode="generic"), plan={}, error=stopped)
    for other in (unplanned, replace(explained(unrun(SEQUENTIAL), mode="generic"), error=stopped)):
        known = seen(statement(explained(sized(5)), other, prepared=True))
        holds(generic_plan_as_good(known, LIMITS), INCONCLUSIVE, f"its generic plan is not known, {stopped}")
    dear = replace(explained(unrun({**SEQUENTIAL, "Total Cost": 9999.0}), mode="generic"), error=stopped)
    holds(generic_plan_as_good(seen(statement(explained(sized(5)), dear, prepared=True)), LIMITS), PASSED)


def test_nothing_prepared() -> None:
    """What is planned anew each time has no generic plan."""
    holds(generic_plan_as_good(seen(BY_INDEX), LIMITS), PASSED, "no statement is prepared by name")
    forced = seen(statement(BY_INDEX, prepared=True))
    holds(generic_plan_as_good(forced, LIMITS), PASSED, "1 prepared statement, and custom plans are forced")
    holds(generic_plan_as_good(Plans(), LIMITS), INCONCLUSIVE)


def test_the_file_is_stable() -> None:
    """Whatever order statements are captured in, the file is the same, and reads back as it was written."""
    one, two = statement(BY_INDEX), statement(BITMAP, text="SELECT  2 /* by 7f3a */ -- x\n FROM jobs")
    first, second = (
        accepted(seen(*each, settings={"jit": "off"}), PATH) for each in ((one, two), (two, one))
    )
    assert as_text(first) == as_text(second)
    assert parsed(as_text(first), PATH) == first
    assert '   "statement": "SELECT 2 FROM jobs",\n' in as_text(first)
    assert '      "  Bitmap Index Scan on jobs_region_idx"\n' in as_text(first)


def test_statements_have_one_name() -> None:
    """Comments and spaces don't matter, and a megabyte is cut."""
    assert key("SELECT 1 -- a\n, /* b\nc */ 2") == "SELECT 1 , 2"
    long = f"SELECT '{'x' * 5000}'"
    assert len(key(long)) < 2100
    assert key(long) != key(long + " ")[:0] + key(long.replace("'x", "'y", 1))


def test_the_file_is_written(tmp_path: Path) -> None:
    """An update writes what is measured, and tells what has changed."""
    path = tmp_path / "deep" / PATH
    assert not read(path).found
    added = written(path, read(path), seen(BY_INDEX))
    assert added.written == (f"added: {LIST}",)
    assert read(path).statement(LIST) is not None
    assert written(path, read(path), seen(BY_INDEX)).written == ("no plan has changed",)
    assert written(path, read(path), seen(sized(181))).written == (f"buffers 180 → 181: {LIST}",)
    assert written(path, read(path), seen(SEQUENTIAL)).written == (f"changed plan: {LIST}",)
    assert written(path, read(path), seen(statement(BITMAP, text="SELECT 2"))).written == (
        "added: SELECT 2",
        f"gone: {LIST}",
    )
    assert written(path, read(path), seen(statement(BITMAP, text="SELECT 2"), server="19")).written == (
        "its settings or sizes of tables",
    )
    assert [each.name for each in path.parent.iterdir()] == [PATH]


@pytest.mark.parametrize(
    "text", ["<<<<<<< HEAD\n{}", "[]", '{"schema": "other"}', '{"schema": "prodready-plans/1"}']
)
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    """A file with a merge's marks, or another's, is an error that says what to do."""
    (tmp_path / PATH).write_text(text)
    with pytest.raises(ConfigError, match="mend the file"):
        read(tmp_path / PATH)
