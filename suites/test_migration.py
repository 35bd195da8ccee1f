"""Migrations: every step up and down is rehearsed with data, and there is always a way back."""

from __future__ import annotations

from pytest_prodready.checks import migration, migration_deploys, migration_restore
from pytest_prodready.probes.migration import RoundTrips
from pytest_prodready.probes.migration_deploys import Deploys
from pytest_prodready.probes.migration_restore import WayBack
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
