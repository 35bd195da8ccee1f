"""The check of the rollback plan, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.backup_rollback import rollback_plan
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.backup_facts import Compared, Step
from pytest_prodready.probes.backup_rollback import RollbackPlan
from pytest_prodready.probes.contents_differences import ContentDifference
from pytest_prodready.probes.schema import SchemaDifference
from pytest_prodready.probes.traffic import Answer
from pytest_prodready.settings import BackupSettings

LIMITS = BackupSettings()
DONE = (Step("pg_restore", 0, 1.0),)
BROKEN = (Step("pg_restore", 1, 1.0, "pg_restore: error: no", ("pg_restore: error: no",)),)
LATE = (Step("[backup] restore", None, 600.0),)
WELL = (Answer("list", 200, 0.1, expected=True), Answer("show", 200, 0.1, expected=True))
SICK = (Answer("list", 500, 0.1), *WELL[1:])
SILENT = (Answer("list", None, 15.0, error="no answer within 15 s"), *WELL[1:])
ROWS = ContentDifference("table", "jobs", "missing", before="3 rows")
OWNER = SchemaDifference("table", "public.jobs", "changed", "owner app", "owner admin")


def plan(**changes: Any) -> RollbackPlan:
    """A plan that works, but for what is told."""
    seen = RollbackPlan(
        staged=DONE,
        answers=WELL,
        rows=3,
        backup=DONE,
        migration=("TRUNCATE jobs CASCADE",),
        noticed=("jobs: 3 rows before, 0 after",),
        restore=DONE,
        compared=Compared(),
        answers_after=WELL,
        back_s=4.2,
    )
    return replace(seen, **changes)


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({}, Verdict.PASSED, "ready 4.2 s later, and answers 2 requests as before"),
        (
            {"revision": "0003", "again": DONE},
            Verdict.PASSED,
            "a migration from 0003 failed half-way (1 difference); restored from the backup before it, the"
            " database is as it was and was migrated again; the service was ready",
        ),
        ({"revision": "0003", "again": BROKEN}, Verdict.FAILED, "can't be migrated again: pg_restore ended"),
        ({"backup": (), "why_not": "it went nowhere"}, Verdict.INCONCLUSIVE, "it went nowhere"),
        ({"staged": BROKEN}, Verdict.INCONCLUSIVE, "could not be copied to a second server"),
        (
            {"answers": SICK},
            Verdict.INCONCLUSIVE,
            "before any migration, on a copy of the database, list got 500",
        ),
        ({"answers": ()}, Verdict.INCONCLUSIVE, "asked nothing"),
        ({"rows": 0}, Verdict.INCONCLUSIVE, "no table has any row"),
        ({"rows": 0, "restore": BROKEN}, Verdict.FAILED, "over a failed migration"),
        ({"noticed": ()}, Verdict.INCONCLUSIVE, "leaves nothing here that could be noticed"),
        ({"backup": BROKEN, "noticed": ()}, Verdict.FAILED, "no backup to go back to: pg_restore ended with"),
        ({"restore": BROKEN}, Verdict.FAILED, "over a failed migration: pg_restore ended with status 1"),
        ({"restore": LATE}, Verdict.FAILED, "[backup] restore did not end within 600 s"),
        ({"compared": None, "why_not": "it can't be read"}, Verdict.FAILED, "it can't be read"),
        ({"compared": Compared((ROWS,))}, Verdict.FAILED, "isn't the one before: jobs is missing (3 rows)"),
        (
            {"compared": Compared(schema=(OWNER,)), "answers_after": SICK},
            Verdict.FAILED,
            "table public.jobs (owner app, now owner admin); on the restored database list got 500",
        ),
        ({"not_started": "It was not ready."}, Verdict.FAILED, "doesn't start on the restored database"),
        ({"answers_after": SICK}, Verdict.FAILED, "on the restored database list got 500"),
        ({"answers_after": SILENT}, Verdict.FAILED, "list got no answer within 15 s"),
    ],
)
def test_rollback_plan(changes: dict[str, Any], verdict: Verdict, part: str) -> None:
    """Each step of the way back can fail, and says so."""
    finding = rollback_plan(plan(**changes), LIMITS)
    assert finding.verdict is verdict
    assert part in finding.summary
