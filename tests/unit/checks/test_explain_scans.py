"""Verdicts on how tables are read, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks.explain_index_use import tables_not_scanned
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.index_facts import Table
from pytest_prodready.probes.index_scans import Scans
from pytest_prodready.settings import ExplainSettings

JOBS = Table("jobs", 20_000, seq_scans=0, index_scans=12)
SCANNED = replace(JOBS, seq_scans=3, index_scans=9)
SEEN = Scans("gate", 12, 12, (JOBS,), (JOBS,))
BUSY = replace(JOBS, seq_scans=5, index_scans=995)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, Verdict.PASSED, "jobs (20,000 rows) 12 of 12 times by index"),
        (replace(SEEN, during=(SCANNED,)), Verdict.FAILED, "from end to end: jobs (20,000 rows) 9 of 12"),
        (replace(SEEN, during=(replace(SCANNED, rows=9_999),)), Verdict.UNVERIFIED, "largest has 9,999"),
        (replace(SEEN, during=()), Verdict.UNVERIFIED, "the largest has 0"),
        (Scans("gate", 0, 0, doubt="sessions still read"), Verdict.INCONCLUSIVE, "sessions still read"),
        (replace(SEEN, during=(replace(JOBS, index_scans=0),)), Verdict.INCONCLUSIVE, "12 requests read no"),
        (replace(SEEN, origin="external", during=(SCANNED,), ever=(BUSY,)), Verdict.PASSED, "995 of 1000"),
        (replace(SEEN, origin="external", during=(SCANNED,)), Verdict.FAILED, "9 of 12"),
        (replace(SEEN, during=(SCANNED,), ever=(BUSY,)), Verdict.FAILED, "9 of 12"),
    ],
)
def test_tables_not_scanned(seen: Scans, verdict: Verdict, says: str) -> None:
    """Reads of large tables count: everyone's where the server was busy before, else our own requests'."""
    finding = tables_not_scanned(seen, ExplainSettings())
    assert finding.verdict is verdict, finding.summary
    assert says in finding.summary
