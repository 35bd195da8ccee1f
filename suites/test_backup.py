"""Backup: what was backed up comes back, all of it, and in time."""

from __future__ import annotations

from pytest_prodready.checks import backup_physical, backup_point_in_time
from pytest_prodready.probes.backup_archiving import Durability
from pytest_prodready.probes.backup_physical import PhysicalBackup
from pytest_prodready.probes.backup_point_in_time import PointInTime
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


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
