"""The statements that the service runs, their plans, and its indexes."""

from __future__ import annotations

from pytest_prodready.checks.explain_index_use import (
    indexes_not_bloated,
    indexes_used,
    sequences_last,
    tables_not_scanned,
)
from pytest_prodready.checks.explain_indexes import foreign_keys_indexed, indexes_valid, no_duplicate_index
from pytest_prodready.probes.index_facts import Indexes
from pytest_prodready.probes.index_scans import Scans
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


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
