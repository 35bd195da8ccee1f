"""The statements that the service runs, their plans, and its indexes."""

from __future__ import annotations

from pytest_prodready.checks import (
    explain_baseline,
    explain_budget,
    explain_capture,
    explain_estimates,
    explain_nodes,
    explain_repeats,
    explain_rows,
)
from pytest_prodready.checks.explain_index_use import (
    indexes_not_bloated,
    indexes_used,
    sequences_last,
    tables_not_scanned,
)
from pytest_prodready.checks.explain_indexes import foreign_keys_indexed, indexes_valid, no_duplicate_index
from pytest_prodready.probes.index_facts import Indexes
from pytest_prodready.probes.index_scans import Scans
from pytest_prodready.probes.plan_baseline import Baseline
from pytest_prodready.probes.plans import Plans
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("explain.statements-captured")
def test_statements_captured(plans: Plans, conclude: Conclude) -> None:
    """Each request is answered on as much data as production has, and every statement has a plan."""
    conclude(explain_capture.statements_captured(plans))


@proves("explain.no-n-plus-one")
def test_no_n_plus_one(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No request runs a statement again for each row that another one returned."""
    conclude(explain_repeats.no_n_plus_one(plans, limits.explain))


@proves("explain.no-large-seq-scan")
def test_no_large_seq_scan(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No large table is read from end to end to use a small part of it."""
    conclude(explain_rows.no_large_seq_scan(plans, limits.explain))


@proves("explain.rows-examined")
def test_rows_examined(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No statement reads thousands of rows to throw them away."""
    conclude(explain_rows.rows_examined(plans, limits.explain))


@proves("explain.buffers-within-budget")
def test_buffers_within_budget(
    plans: Plans, plan_baseline: Baseline, limits: Settings, conclude: Conclude
) -> None:
    """No statement touches more pages than it may, or many more than it did."""
    conclude(explain_budget.buffers_within_budget(plans, limits.explain, plan_baseline))


@proves("explain.plan-unchanged")
def test_plan_unchanged(
    plans: Plans, plan_baseline_kept: Baseline, limits: Settings, conclude: Conclude
) -> None:
    """No plan has become a worse one since a person looked at it."""
    conclude(explain_baseline.plan_unchanged(plans, limits.explain, plan_baseline_kept))


@proves("explain.no-repeated-scan")
def test_no_repeated_scan(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No table is scanned from end to end for each row of another one."""
    conclude(explain_rows.no_repeated_scan(plans, limits.explain))


@proves("explain.estimates")
def test_estimates_hold(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """The planner expects about as many rows as come; out of a wrong estimate follows a wrong plan."""
    conclude(explain_estimates.estimates_hold(plans, limits.explain))


@proves("explain.generic-plan")
def test_generic_plan_as_good(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """The plan that the server keeps for a prepared statement is about as good as one for its parameters."""
    conclude(explain_budget.generic_plan_as_good(plans, limits.explain))


@proves("explain.no-spill")
def test_no_spill(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No sort, hash or aggregate of a request goes to disk."""
    conclude(explain_nodes.no_spill(plans, limits.explain))


@proves("explain.no-lossy-bitmap")
def test_no_lossy_bitmap(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No bitmap outgrows the memory that it may take."""
    conclude(explain_nodes.no_lossy_bitmap(plans, limits.explain))


@proves("explain.index-only-scans")
def test_index_only_scans(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """Index-only scans find what they need in the index."""
    conclude(explain_nodes.heap_fetches(plans, limits.explain))


@proves("explain.slow-statements")
def test_slow_statements(plans: Plans, limits: Settings, conclude: Conclude) -> None:
    """No statement takes long; where one does, look at it first."""
    conclude(explain_capture.none_is_slow(plans, limits.explain))


@proves("explain.foreign-keys-indexed")
def test_foreign_keys_indexed(explain_indexes: Indexes, limits: Settings, conclude: Conclude) -> None:
    """Each foreign key has an index; else a delete of what it refers to reads the whole table."""
    conclude(foreign_keys_indexed(explain_indexes, limits.explain))


@proves("explain.no-duplicate-index")
def test_no_duplicate_index(explain_indexes: Indexes, conclude: Conclude) -> None:
    """No index equals another one, or is its beginning; each costs every write."""
    conclude(no_duplicate_index(explain_indexes))


@proves("explain.indexes-valid")
def test_indexes_valid(explain_indexes: Indexes, conclude: Conclude) -> None:
    """No index is left over from a build that failed: no query uses it, every write maintains it."""
    conclude(indexes_valid(explain_indexes))


@proves("explain.indexes-used")
def test_indexes_used(explain_indexes: Indexes, limits: Settings, conclude: Conclude) -> None:
    """No large index lies unused."""
    conclude(indexes_used(explain_indexes, limits.explain))


@proves("explain.tables-not-scanned")
def test_tables_not_scanned(explain_scans: Scans, limits: Settings, conclude: Conclude) -> None:
    """Large tables are read by index, not from end to end."""
    conclude(tables_not_scanned(explain_scans, limits.explain))


@proves("explain.indexes-not-bloated")
def test_indexes_not_bloated(explain_indexes: Indexes, limits: Settings, conclude: Conclude) -> None:
    """No index consists of pages that deleted rows left behind."""
    conclude(indexes_not_bloated(explain_indexes, limits.explain))


@proves("explain.sequences-last")
def test_sequences_last(explain_indexes: Indexes, limits: Settings, conclude: Conclude) -> None:
    """No sequence is near its end; the insert after the last number fails, and every one after it."""
    conclude(sequences_last(explain_indexes, limits.explain))
