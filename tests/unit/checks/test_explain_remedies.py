"""What to do about a plan, in words, from literals."""

from __future__ import annotations

import pytest

from pytest_prodready.checks.explain_remedies import index_for
from pytest_prodready.checks.explain_words import judged
from pytest_prodready.probes.plans import Proposal
from tests.unit.planned import LIST, scan, seen

INDEX = "CREATE INDEX CONCURRENTLY jobs_region_created_at_idx ON jobs (region, created_at DESC)"
TRIED = Proposal(LIST, "jobs", INDEX, 900.0, 12.0, "Index Scan using jobs_region_created_at_idx on jobs")
REPLACING = Proposal(LIST, "jobs", INDEX, 900.0, 13.0, "Index Scan", ("jobs_region_idx",))


@pytest.mark.parametrize(
    ("proposals", "relation", "says"),
    [
        ((TRIED,), "jobs", f"{INDEX};  -- tried: {TRIED.node_after}, cost 12 instead of 900"),
        ((REPLACING,), "jobs", "900, and DROP INDEX CONCURRENTLY jobs_region_idx, which it replaces"),
        ((REPLACING, TRIED), "jobs", "cost 12 instead of 900"),
        ((TRIED,), "users", ""),
        ((), "jobs", ""),
    ],
)
def test_index_for(proposals: tuple[Proposal, ...], relation: str, says: str) -> None:
    """The cheapest index that was tried for this table is told, with what it replaces."""
    plans = seen(scan(), proposals=proposals)
    told = index_for(judged(plans)[0], plans, relation)
    assert told.endswith(says)
    assert bool(told) is bool(says)
