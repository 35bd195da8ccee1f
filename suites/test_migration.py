"""Each step of a migration: up, down and up again, and while the service is in use."""

from __future__ import annotations

from pytest_prodready.checks import migration_hazards, migration_locks, migration_stalls
from pytest_prodready.probes.migration_traffic import Traffic
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("migration.reads-not-stalled")
def test_reads_not_stalled(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """Nobody who reads waits long for a step: one long lock fills the pool and takes the service down."""
    conclude(migration_stalls.reads_not_stalled(migration_traffic, limits.migration))


@proves("migration.writes-not-stalled")
def test_writes_not_stalled(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """Nobody who writes waits long for a step, such as one that updates all rows in one transaction."""
    conclude(migration_stalls.writes_not_stalled(migration_traffic, limits.migration))


@proves("migration.lock-timeout")
def test_lock_timeout(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """A step that can't have its lock soon gives up its place in the queue, where everyone waits behind it."""
    conclude(migration_stalls.lock_timeout(migration_traffic, limits.migration))


@proves("migration.no-table-rewrite")
def test_no_table_rewrite(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """No step writes all rows of a table anew under a lock: here it takes moments, in production minutes."""
    conclude(migration_locks.no_table_rewrite(migration_traffic, limits.migration))


@proves("migration.indexes-built-concurrently")
def test_indexes_built_concurrently(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """Indexes of tables in use are built CONCURRENTLY, and are valid in the end."""
    conclude(migration_locks.indexes_built_concurrently(migration_traffic, limits.migration))


@proves("migration.constraints-validated-apart")
def test_constraints_validated_apart(
    migration_traffic: Traffic, limits: Settings, conclude: Conclude
) -> None:
    """Rows are searched for what a new constraint forbids under a lock that lets others work."""
    conclude(migration_locks.constraints_validated_apart(migration_traffic, limits.migration))


@proves("migration.nothing-more-under-access-exclusive")
def test_nothing_more_under_access_exclusive(
    migration_traffic: Traffic, limits: Settings, conclude: Conclude
) -> None:
    """A session that has locked a table out does nothing else that takes time before it commits."""
    conclude(migration_locks.nothing_more_under_access_exclusive(migration_traffic, limits.migration))


@proves("migration.static-hazards")
def test_static_hazards(migration_traffic: Traffic, limits: Settings, conclude: Conclude) -> None:
    """Squawk finds no hazard that shows in the text alone, such as a column that is dropped or renamed."""
    conclude(migration_hazards.static_hazards(migration_traffic, limits.migration))
