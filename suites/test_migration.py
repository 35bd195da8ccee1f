"""Migrations: every step up and down is rehearsed with data, and there is always a way back."""

from __future__ import annotations

from pytest_prodready.checks import (
    migration,
    migration_deploys,
    migration_hazards,
    migration_locks,
    migration_previous,
    migration_restore,
    migration_stalls,
)
from pytest_prodready.probes.migration import RoundTrips
from pytest_prodready.probes.migration_deploys import Deploys
from pytest_prodready.probes.migration_previous import SideBySide
from pytest_prodready.probes.migration_restore import WayBack
from pytest_prodready.probes.migration_traffic import Traffic
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("migration.single-head")
def test_single_head(round_trips: RoundTrips, conclude: Conclude) -> None:
    """The history of revisions has one end."""
    conclude(migration.single_head(round_trips))


@proves("migration.upgrades-from-empty")
def test_upgrades_from_empty(round_trips: RoundTrips, conclude: Conclude) -> None:
    """An empty database becomes the newest schema, step by step and all at once."""
    conclude(migration.upgrades_from_empty(round_trips))


@proves("migration.upgrade-keeps-data")
def test_upgrade_keeps_data(round_trips: RoundTrips, conclude: Conclude) -> None:
    """No upgrade loses rows or values."""
    conclude(migration.upgrade_keeps_data(round_trips))


@proves("migration.downgrade-runs")
def test_downgrade_runs(round_trips: RoundTrips, limits: Settings, conclude: Conclude) -> None:
    """Every revision can be taken back."""
    conclude(migration.downgrade_runs(round_trips, limits.migration))


@proves("migration.downgrade-undoes")
def test_downgrade_undoes(round_trips: RoundTrips, limits: Settings, conclude: Conclude) -> None:
    """A downgrade leaves nothing behind, and takes nothing with it."""
    conclude(migration.downgrade_undoes(round_trips, limits.migration))


@proves("migration.downgrade-keeps-data")
def test_downgrade_keeps_data(round_trips: RoundTrips, limits: Settings, conclude: Conclude) -> None:
    """A downgrade loses nothing that the older schema has room for."""
    conclude(migration.downgrade_keeps_data(round_trips, limits.migration))


@proves("migration.round-trip")
def test_round_trip(round_trips: RoundTrips, limits: Settings, conclude: Conclude) -> None:
    """What was taken back can be deployed again, to the same schema."""
    conclude(migration.round_trip(round_trips, limits.migration))


@proves("migration.dropped-data-known")
def test_dropped_data_known(round_trips: RoundTrips, conclude: Conclude) -> None:
    """What is dropped with its data is told, so that nobody finds out afterwards."""
    conclude(migration.dropped_data_known(round_trips))


@proves("migration.twice-is-nothing")
def test_twice_is_nothing(round_trips: RoundTrips, conclude: Conclude) -> None:
    """Whoever runs the upgrade again changes nothing."""
    conclude(migration.twice_is_nothing(round_trips))


@proves("migration.models-match")
def test_models_match(round_trips: RoundTrips, conclude: Conclude) -> None:
    """The service's models are what the newest revision makes."""
    conclude(migration.models_match(round_trips))


@proves("migration.failure-leaves-nothing")
def test_failure_leaves_nothing(deploys: Deploys, conclude: Conclude) -> None:
    """An upgrade that failed in the middle can simply be run again."""
    conclude(migration_deploys.failure_leaves_nothing(deploys))


@proves("migration.two-at-once")
def test_two_at_once(deploys: Deploys, conclude: Conclude) -> None:
    """Two deploys at the same moment leave what one leaves."""
    conclude(migration_deploys.two_at_once(deploys))


@proves("migration.restore-leads-back")
def test_restore_leads_back(way_back: WayBack, conclude: Conclude) -> None:
    """Where there is no way down, a backup made before leads back."""
    conclude(migration_restore.restore_leads_back(way_back))


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
    """A step that can't have its lock soon gives up its place in the queue that it leads."""
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


@proves("migration.old-code-keeps-working")
def test_old_code_keeps_working(previous_code: SideBySide, conclude: Conclude) -> None:
    """The code that is still running while a deploy rolls out gets along with the new schema."""
    conclude(migration_previous.old_code_keeps_working(previous_code))
