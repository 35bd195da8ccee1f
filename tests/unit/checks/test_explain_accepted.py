"""Statements that are accepted as they are: taken out of one rule, told in its summary, never silently."""

from __future__ import annotations

import pytest

from pytest_prodready.checks.explain_budget import buffers_within_budget
from pytest_prodready.checks.explain_nodes import no_spill
from pytest_prodready.checks.explain_repeats import no_n_plus_one
from pytest_prodready.checks.explain_rows import no_large_seq_scan
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.plan_baseline import Baseline
from pytest_prodready.probes.plans import Asked, Budget, Plans, Repeat
from pytest_prodready.settings import ExplainSettings
from tests.unit.planned import ran, scan, seen, statement

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
REPORT = "SELECT id, title,\n  posted_at, description FROM jobs WHERE status = $1"
WHOLE = "SELECT id, title, posted_at, description FROM jobs"
SEARCH = "SELECT id FROM jobs WHERE title = $1"
ENTRY = "[[explain.accepted]]"


def scans(*texts: str) -> Plans:
    """Each of these statements reads a large table for a part of it."""
    root = scan(rows=20, removed=19_980, buffers=500)
    return seen(*(statement(root, text=text) for text in texts))


def limits(*statements: str, rule: str = "explain.no-large-seq-scan") -> ExplainSettings:
    """These statements are accepted for one rule."""
    entries = [{"rule": rule, "statement": text, "reason": "the monthly report"} for text in statements]
    return ExplainSettings.model_validate({"accepted": entries})


CASES = [
    (
        "a piece",
        "FROM jobs WHERE status",
        [REPORT],
        PASSED,
        "but for 1 accepted: FROM jobs WHERE status (the monthly",
    ),
    ("as told", "SELECT … FROM jobs WHERE status = $1", [REPORT], PASSED, "but for 1 accepted"),
    ("with dots", "SELECT ... status = $1 …", [REPORT], PASSED, "but for 1 accepted"),
    ("in one line", "title, posted_at, description", [REPORT], PASSED, "but for 1 accepted"),
    (
        "the whole of it",
        "SELECT … FROM jobs",
        [WHOLE, f"{WHOLE} WHERE a = $1"],
        FAILED,
        "1 of 2 statements: ",
    ),
    ("another one", "FROM jobs WHERE status", [REPORT, SEARCH], FAILED, "title = $1: Seq Scan"),
    (
        "too broad",
        "FROM jobs WHERE",
        [REPORT, SEARCH],
        FAILED,
        f'{ENTRY} "FROM jobs WHERE" fits 2 statements and so',
    ),
    ("none", "FROM applicants", [REPORT], FAILED, f'{ENTRY} "FROM applicants" fits no statement'),
    ("the order of pieces", "status … FROM jobs", [REPORT], FAILED, "fits no statement"),
    ("nothing but dots", "… … … … …", [REPORT], FAILED, "fits no statement"),
]


@pytest.mark.parametrize(
    ("text", "blamed", "verdict", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_an_entry_accepts(text: str, blamed: list[str], verdict: Verdict, says: str) -> None:
    """One statement by its text, as summaries cut it; what it accepts, or why nothing, is told."""
    holds(no_large_seq_scan(scans(*blamed), limits(text)), verdict, says)


def test_what_is_not_needed_is_told() -> None:
    """An entry for a statement that is fine by now is told, and so is one of a rule of its own."""
    fine = seen(statement(scan("Index Scan", rows=20), text=REPORT))
    holds(
        no_large_seq_scan(fine, limits("WHERE status")),
        PASSED,
        'accepted]] "WHERE status" isn\'t needed any more',
    )
    other = limits("WHERE status", rule="explain.rows-examined")
    holds(no_large_seq_scan(scans(REPORT), other), FAILED, "1 of 1 statement")
    assert ENTRY not in no_large_seq_scan(scans(REPORT), other).summary


def test_spills_and_budgets_are_accepted_alike() -> None:
    """Every rule about statements hears of it."""
    spill = seen(statement(ran("Sort", Sort_Space_Type="Disk", Sort_Space_Used=2048), text=REPORT))
    holds(no_spill(spill, limits("WHERE status", rule="explain.no-spill")), PASSED, "but for 1 accepted")
    given = limits("WHERE status", rule="explain.buffers-within-budget")
    large = scans(REPORT)
    budget = given.model_copy(update={"buffers": 100})
    holds(buffers_within_budget(large, budget, Baseline(found=False)), PASSED, "but for 1 accepted")


def test_what_a_baseline_can_not_tell_stays_open() -> None:
    """An accepted statement is no answer for those that can't be compared with the baseline."""
    given = limits("WHERE status", rule="explain.buffers-within-budget")
    root = scan(rows=20, removed=19_980, buffers=500)
    both = seen(statement(root, text=SEARCH), statement(root, text=REPORT, budget=Budget(buffers=100)))
    other = Baseline(found=True, path="plans.json", server="12")
    holds(buffers_within_budget(both, given, other), INCONCLUSIVE, "PostgreSQL 12")


def test_repeats_are_accepted() -> None:
    """N+1 of one statement is accepted, whether it grows or nobody could tell."""
    given = limits("FROM jobs WHERE title", rule="explain.no-n-plus-one")
    grows = Repeat("list", SEARCH, 20, few_rows=5, few_calls=5, many_rows=50, many_calls=20)
    holds(no_n_plus_one(seen(statement(text=SEARCH), repeats=(grows,)), given), PASSED, "but for 1 accepted")
    doubtful = Repeat("list", SEARCH, 20, doubt="it has no parent")
    holds(
        no_n_plus_one(seen(statement(text=SEARCH), repeats=(doubtful,)), given), PASSED, "but for 1 accepted"
    )
    short = seen(statement(text=SEARCH), repeats=(grows,), asked=(Asked("list", 200, True, 20, rows=1),))
    holds(no_n_plus_one(short, given), PASSED, "but for 1 accepted")
    broad = limits("FROM applicants", rule="explain.no-n-plus-one")
    holds(no_n_plus_one(seen(statement(text=SEARCH), repeats=(grows,)), broad), FAILED, "fits no statement")


def holds(finding: Finding, verdict: Verdict, says: str) -> None:
    """The finding has this verdict, and these words in its summary."""
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary
