"""Backup: what was backed up comes back, all of it, and in time."""

from __future__ import annotations

from pytest_prodready.checks import (
    backup_compared,
    backup_objectives,
    backup_physical,
    backup_point_in_time,
    backup_rollback,
)
from pytest_prodready.checks.backup import damage_is_found, dump_succeeds, restore_succeeds
from pytest_prodready.probes.backup import BackupRun
from pytest_prodready.probes.backup_archiving import Durability
from pytest_prodready.probes.backup_controls import Controls
from pytest_prodready.probes.backup_physical import PhysicalBackup
from pytest_prodready.probes.backup_point_in_time import PointInTime
from pytest_prodready.probes.backup_rollback import RollbackPlan
from pytest_prodready.probes.backup_sizes import RestoreTimes
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("backup.dump-succeeds")
def test_dump_succeeds(backup_made: BackupRun, limits: Settings, conclude: Conclude) -> None:
    """The database can be backed up; a backup that failed unnoticed is found out when it is needed."""
    conclude(dump_succeeds(backup_made, limits.backup))


@proves("backup.restore-succeeds")
def test_restore_succeeds(backup_made: BackupRun, limits: Settings, conclude: Conclude) -> None:
    """The backup can be restored where nothing of the service is, without any error."""
    conclude(restore_succeeds(backup_made, limits.backup))


@proves("backup.rows-equal")
def test_rows_equal(backup_made: BackupRun, conclude: Conclude) -> None:
    """Each restored table holds the rows that it held, by a hash of each."""
    conclude(backup_compared.rows_equal(backup_made))


@proves("backup.sequences-follow")
def test_sequences_follow(backup_made: BackupRun, conclude: Conclude) -> None:
    """Each restored sequence goes on where it was; else the first insert fails."""
    conclude(backup_compared.sequences_follow(backup_made))


@proves("backup.schema-equal")
def test_schema_equal(backup_made: BackupRun, conclude: Conclude) -> None:
    """The restored catalogue is what it was: constraints, indexes, functions and all."""
    conclude(backup_compared.schema_equal(backup_made))


@proves("backup.views-populated")
def test_views_populated(backup_made: BackupRun, conclude: Conclude) -> None:
    """Each materialized view that could be read can be read."""
    conclude(backup_compared.views_populated(backup_made))


@proves("backup.large-objects-equal")
def test_large_objects_equal(backup_made: BackupRun, conclude: Conclude) -> None:
    """Large objects, which lie outside of every table, come back too."""
    conclude(backup_compared.large_objects_equal(backup_made))


@proves("backup.roles-and-grants")
def test_roles_and_grants(backup_made: BackupRun, conclude: Conclude) -> None:
    """Roles, owners and grants come back; a dump of one database doesn't have them."""
    conclude(backup_compared.roles_and_grants(backup_made))


@proves("backup.settings-kept")
def test_settings_kept(backup_made: BackupRun, conclude: Conclude) -> None:
    """What ALTER DATABASE and ALTER ROLE have set is set again."""
    conclude(backup_compared.settings_kept(backup_made))


@proves("backup.damage-is-found")
def test_damage_is_found(damaged_backups: Controls, backup_made: BackupRun, conclude: Conclude) -> None:
    """A damaged backup doesn't restore unnoticed: a flipped byte, a file that was cut off."""
    conclude(damage_is_found(damaged_backups, backup_made))


@proves("backup.rpo")
def test_rpo(backup_made: BackupRun, limits: Settings, conclude: Conclude) -> None:
    """Every write that was acknowledged before the backup began is in it."""
    conclude(backup_objectives.rpo(backup_made, limits.backup))


@proves("backup.rto")
def test_rto(restore_times: RestoreTimes, limits: Settings, conclude: Conclude) -> None:
    """A database of production's size would be restored in time."""
    conclude(backup_objectives.rto(restore_times, limits.backup))


@proves("backup.statistics-present")
def test_statistics_present(backup_made: BackupRun, conclude: Conclude) -> None:
    """The planner knows the restored tables, so that the first minutes are no second outage."""
    conclude(backup_compared.statistics_present(backup_made))


@proves("backup.settings-are-durable")
def test_settings_are_durable(server_durability: Durability, conclude: Conclude) -> None:
    """What was committed survives a power cut, and so do the backups made after it."""
    conclude(backup_physical.settings_are_durable(server_durability))


@proves("backup.base-backup-verified")
def test_base_backup_verified(physical_backup: PhysicalBackup, conclude: Conclude) -> None:
    """A base backup is whole, and starts as the same database."""
    conclude(backup_physical.base_backup_verified(physical_backup))


@proves("backup.restored-is-sound")
def test_restored_is_sound(physical_backup: PhysicalBackup, conclude: Conclude) -> None:
    """In a restored database every index agrees with its table."""
    conclude(backup_physical.restored_is_sound(physical_backup))


@proves("backup.point-in-time")
def test_point_in_time(recovery_to_a_moment: PointInTime, limits: Settings, conclude: Conclude) -> None:
    """Any moment can be restored: the writes before it, and none after it."""
    conclude(backup_point_in_time.point_in_time(recovery_to_a_moment, limits))


@proves("backup.rollback-plan")
def test_rollback_plan(rollback_plan: RollbackPlan, limits: Settings, conclude: Conclude) -> None:
    """After a migration that failed half-way, the service runs on the restored database as before."""
    conclude(backup_rollback.rollback_plan(rollback_plan, limits.backup))
