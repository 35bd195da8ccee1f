"""A service that got slower is told from one that didn't, by an earlier run that was really made."""

from __future__ import annotations

import pytest

from pytest_prodready.checks.load_compared import no_slower_than_before
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.load import USUAL
from pytest_prodready.probes.load_baseline import as_text, measured, parsed

from .conftest import Loads

PEAK_S = 12  # of which six stall: of four, two can be chance, and the rule says so


@pytest.mark.alone
def test_stalls_are_slower_than_before(loads: Loads) -> None:
    """The same service is no slower than itself; half a second in each two is."""
    well, stalling = (loads(how, peak_s=PEAK_S) for how in ("well", "stalls"))
    limits = well.settings.load
    before = parsed(as_text(measured(well.seen, "loaded")), "before.json")
    assert no_slower_than_before(well.seen, limits, before).verdict is Verdict.PASSED
    finding = no_slower_than_before(stalling.seen, limits, before)
    assert finding.verdict is Verdict.FAILED, finding.summary
    assert "p95 was" in finding.summary
    assert before.response(USUAL)["p50"].ms < 100
    assert sum(each.share for each in before.mix) > 0.99
