"""The checks of the drills with a standby, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover_standby import (
    promotion_is_followed,
    promotion_loses_nothing,
    read_only_primary_is_left,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Drill, Ledger, Mark
from tests.unit.checks.drills import END_S, FAULT_S, HEALED_S, SETTINGS, drill, stream

MARKS = (Mark("fault", FAULT_S), Mark("healed", HEALED_S), Mark("switched", HEALED_S))
BAD = {"request": "write", "status": 503}


def writes(back_s: float = HEALED_S) -> Any:
    """Writes that fail from the fault on until a moment."""
    return (
        *stream(0.0, FAULT_S, request="write"),
        *stream(FAULT_S, back_s, **BAD),
        *stream(back_s, END_S, request="write"),
    )


def failover(**changes: Any) -> Drill:
    """A failover that went well, but for what is told."""
    return replace(drill(), **{"marks": MARKS, "writes": writes(), **changes})


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (failover(), Verdict.PASSED, "reads back 10 ms, writes 10 ms after the switch"),
        (failover(writes=writes(END_S)), Verdict.FAILED, "no write was served 6.0 s after the switch"),
        (failover(same_process=False), Verdict.FAILED, "the process ended"),
        (failover(steady_after=False, unsteady="list got 500"), Verdict.FAILED, "list got 500"),
        (
            replace(drill(after={"status": 500}), marks=MARKS, writes=writes()),
            Verdict.FAILED,
            "not served again",
        ),
        (failover(marks=MARKS[:2]), Verdict.INCONCLUSIVE, "never led to the new primary"),
        (failover(doubt="the standby could not be promoted"), Verdict.INCONCLUSIVE, "promoted"),
        (
            replace(drill(during={}), marks=MARKS, writes=stream(0.0, END_S, request="write")),
            Verdict.PASSED,
            "nobody noticed",
        ),
    ],
)
def test_followed(seen: Drill, verdict: Verdict, part: str) -> None:
    """Reads and writes are back in time; what didn't come back is told."""
    for check in (promotion_is_followed, read_only_primary_is_left):
        finding = check(seen, SETTINGS)
        assert finding.verdict is verdict
        assert part in finding.summary


def test_too_late() -> None:
    """Writes that come back beyond the limit fail."""
    limits = SETTINGS.failover.model_copy(update={"follow_within_s": 2.0})
    finding = promotion_is_followed(
        failover(writes=writes(HEALED_S + 3)), SETTINGS.model_copy(update={"failover": limits})
    )
    assert finding.verdict is Verdict.FAILED
    assert "writes were back 3.0 s after the switch" in finding.summary


LOST = Ledger(acknowledged=50, lost=("t1", "t2"), lost_at_s=(0.5, 0.9), read_from=("database",))


@pytest.mark.parametrize(
    ("ledger", "accepted", "verdict", "part"),
    [
        (Ledger(acknowledged=50, read_from=("database",)), 0, Verdict.PASSED, "0 of them lost"),
        (LOST, 0, Verdict.FAILED, "2 of them lost, the oldest acknowledged 500 ms before"),
        (LOST, 5, Verdict.PASSED, "2 of them lost"),
        (Ledger(acknowledged=50, twice=("t",)), 0, Verdict.FAILED, "there twice"),
        (Ledger(acknowledged=1), 0, Verdict.INCONCLUSIVE, "only 1 writes"),
    ],
)
def test_losses(ledger: Ledger, accepted: int, verdict: Verdict, part: str) -> None:
    """As many acknowledged writes may be lost as the user accepts: none unless told otherwise."""
    limits = SETTINGS.failover.model_copy(update={"lost_writes": accepted})
    settings = SETTINGS.model_copy(update={"failover": limits})
    finding = promotion_loses_nothing(failover(ledger=ledger), settings)
    assert finding.verdict is verdict
    assert part in finding.summary


def test_nothing_that_could_be_lost() -> None:
    """Writes that were all acknowledged by the new primary prove nothing of the old one's."""
    finding = promotion_loses_nothing(failover(writes=stream(HEALED_S, END_S, request="write")), SETTINGS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "no write was acknowledged before the failure" in finding.summary
