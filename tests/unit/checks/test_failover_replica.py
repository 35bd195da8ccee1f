"""The check of the replica that lags behind, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover_replica import replica_reads_are_fresh
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Sent
from pytest_prodready.probes.failover_replica import Read, ReadBack, Staleness
from tests.unit.checks.drills import SETTINGS

AGES = tuple(number / 2 for number in range(15))  # 0 to 7 s


def read_back(shown_s: float = 0.0, **otherwise: Any) -> ReadBack:
    """A write that is shown from an age on; earlier reads are answered without it, unless told otherwise."""
    return ReadBack(
        tuple(
            Read(age, 0.01, 200, shown=True)
            if age >= shown_s
            else Read(**{"age_s": age, "seconds": 0.01, "status": 200, "shown": False, **otherwise})
            for age in AGES
        )
    )


def seen(*written: ReadBack, **changes: Any) -> Staleness:
    """Eight writes that were shown at once, but for what is told."""
    well = Staleness(
        asked=20,
        read_there=15,
        paused_s=10.0,
        lag_bytes=5000,
        attempts=tuple(Sent("write", number / 2, 0.01, 201, expected=True) for number in range(8)),
        written=(*written, *(read_back() for _ in range(8 - len(written)))),
        fresh_again_s=0.02,
        steady_after=True,
    )
    return replace(well, **changes)


NEVER = 99.0
REFUSED = read_back(NEVER, status=503)
SILENT = read_back(NEVER, status=None, error="no answer within 6 s")
FLICKERING = ReadBack((Read(0.0, 0.01, 200, shown=True), Read(5.5, 0.01, 200, shown=False)))


@pytest.mark.parametrize(
    ("staleness", "verdict", "part"),
    [
        (seen(), Verdict.PASSED, "8 shown by the service's reads within 10 ms"),
        (seen(read_back(2.5)), Verdict.PASSED, "within 2.5 s (half of them 10 ms)"),
        (seen(read_back(4.9)), Verdict.PASSED, "all shown 20 ms after replay went on"),
        (seen(*[REFUSED] * 8), Verdict.PASSED, "0 shown by the service's reads, 120 x 503"),
        (seen(read_back(3.0, status=429)), Verdict.PASSED, "6 x 429"),
        (seen(read_back(NEVER)), Verdict.FAILED, "1 of them were missing from reads sent later than 5 s"),
        (seen(*[read_back(NEVER)] * 8), Verdict.FAILED, "still after 7.0 s"),
        (seen(read_back(NEVER, status=404)), Verdict.FAILED, "missing"),
        (seen(read_back(6.0)), Verdict.FAILED, "still after 5.5 s"),
        (seen(FLICKERING), Verdict.FAILED, "1 of them were missing"),
        (seen(read_back(2.0, status=500)), Verdict.FAILED, "4 x 500 instead of the write or 503"),
        (seen(SILENT), Verdict.FAILED, "15 x no answer within 6 s instead of"),
        (seen(alive=False, written=()), Verdict.FAILED, "the process ended"),
        (seen(fresh_again_s=None), Verdict.FAILED, "not all shown after replay went on"),
        (seen(steady_after=False, unsteady="list got 500"), Verdict.FAILED, "afterwards list got 500"),
        (seen(doubt="it was not steady"), Verdict.INCONCLUSIVE, "not steady"),
        (seen(read_there=0), Verdict.INCONCLUSIVE, "of 20 requests none read from the replica"),
        (seen(written=(read_back(),) * 4), Verdict.INCONCLUSIVE, "only 4 writes were acknowledged"),
        (seen(lag_bytes=0), Verdict.INCONCLUSIVE, "nothing was held back"),
        (
            seen(written=(ReadBack((Read(1.0, 0.01, 200, shown=True),)),) * 8),
            Verdict.INCONCLUSIVE,
            "only 0 were read when they were 5 s old",
        ),
    ],
)
def test_fresh(staleness: Staleness, verdict: Verdict, part: str) -> None:
    """What is old enough is shown or refused; a replica that nobody reads from proves nothing."""
    finding = replica_reads_are_fresh(staleness, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


def test_the_limit_is_the_users() -> None:
    """A service that promises more is held to it."""
    limits = SETTINGS.failover.model_copy(update={"stale_within_s": 1.0})
    finding = replica_reads_are_fresh(seen(read_back(2.5)), SETTINGS.model_copy(update={"failover": limits}))
    assert finding.verdict is Verdict.FAILED
    assert finding.limits == {"stale_within_s": 1.0}
