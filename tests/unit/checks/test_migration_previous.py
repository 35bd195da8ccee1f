"""Verdicts on the previous code beside a new schema, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.migration_previous import old_code_keeps_working
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.migration_previous import Asked, OldRequest, SideBySide
from pytest_prodready.records import as_data

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
WELL, BAD = Asked(3, 0), Asked(3, 3, "status 500")
LIST = OldRequest("list", WELL, Asked(40, 0), WELL)
SHOW = OldRequest("show", BAD, BAD, BAD)
SEEN = SideBySide("0003", requests=(LIST,))


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "requests to the previous code, answered before 0003"),
        (
            replace(SEEN, requests=(replace(LIST, after=BAD),)),
            FAILED,
            "1 of 1 requests to the previous code fail with 0003: list afterwards (status 500)",
        ),
        (
            replace(SEEN, requests=(replace(LIST, during=Asked(40, 2, "status 500")),)),
            FAILED,
            "list while it runs (2 of 40: status 500)",
        ),
        (
            replace(SEEN, requests=(LIST, SHOW)),
            PASSED,
            "left out, since they failed before it: show (status 500)",
        ),
        (replace(SEEN, requests=(SHOW,)), INCONCLUSIVE, "answered no declared request before 0003"),
        (replace(SEEN, step_ended="it ended with status 1"), INCONCLUSIVE, "0003 was not applied: it ended"),
        (
            replace(SEEN, step_ended="it ended with status 1", requests=(replace(LIST, during=BAD),)),
            FAILED,
            "list while it runs",
        ),
        (
            replace(SEEN, requests=(replace(LIST, after=Asked(0, 0)),)),
            INCONCLUSIVE,
            "not asked after 0003: list",
        ),
        (SideBySide("0001", doubt="0001 is the first step"), INCONCLUSIVE, "0001 is the first step"),
        (SideBySide("0003"), INCONCLUSIVE, "answered no declared request"),
        # The step was over before anything was sent beside it: what counts is what came after it.
        (replace(SEEN, requests=(replace(LIST, during=Asked(0, 0)),)), PASSED, "during it and afterwards"),
    ],
)
def test_old_code_keeps_working(seen: SideBySide, verdict: Verdict, says: str) -> None:
    """What the previous code answered before the step it answers during it and afterwards."""
    finding = old_code_keeps_working(seen)
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary


def test_measurement_survives_recording() -> None:
    """What is recorded is read back as it was, for --prodready-judge."""
    assert TypeAdapter(SideBySide).validate_python(as_data(SEEN)) == SEEN
