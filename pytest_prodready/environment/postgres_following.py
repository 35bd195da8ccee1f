"""How one PostgreSQL of a run follows another, or starts from its backup: settings, and the way in."""

from __future__ import annotations

from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_template import SUPERUSER

STANDBY = "prodready_standby"  # the standby's name at the primary, and its slot's
RESTORING = "restored"  # the name of the server that starts from backups
ARCHIVE = "archive"  # of WAL, beside the backups
PASSFILE = "pgpass"
SIGNAL = "standby.signal"  # its presence makes a server start as a standby
RECOVERY = "recovery.signal"  # its presence makes a server recover to its target, and then be a primary
OVERRIDES = "postgresql.auto.conf"  # what ALTER SYSTEM has set; a copy is not to inherit it


def archive_command(folder: str) -> str:
    """Keep WAL in a folder as long as it is there, and nowhere else: production's archive isn't ours to fill.

    A file that is there is whole; one that is copied once more is the same.
    """
    return f"[ ! -d {folder} ] || {{ cp %p {folder}/.%f && mv {folder}/.%f {folder}/%f; }}"


def passfile_line(password: str) -> str:
    """The passfile with which a server of the run signs in at another."""
    return f"*:*:*:{SUPERUSER}:{password}\n"


def standby_settings(conninfo: str) -> dict[str, Value]:
    """What a standby needs beyond the primary's settings; production's own archive and delay don't apply."""
    return {
        "primary_conninfo": conninfo,
        "primary_slot_name": STANDBY,
        "hot_standby": True,
        "restore_command": "",
        "recovery_min_apply_delay": 0,
        "wal_retrieve_retry_interval": "100ms",
        # It is killed, never cut off from power. Else its start would sync every file of the copy.
        "fsync": False,
    }


def restoring_settings() -> dict[str, Value]:
    """What a server that starts from a backup needs beyond the settings of the one that was backed up."""
    return {
        "archive_mode": "off",
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "hot_standby": True,
        "fsync": False,  # it is killed, never cut off from power
    }
