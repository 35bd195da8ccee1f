"""What the server's settings say of physical backups, and of how sure what it writes is."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_prodready.environment.database import Database

# On a server of ours the command and the library are the gate's: the last line before is the user's own.
DECLARED = """
    SELECT name, setting FROM pg_file_settings
    WHERE name IN ('archive_command', 'archive_library') AND NOT applied ORDER BY seqno
"""
SETTINGS = """
    SELECT name, setting FROM pg_settings WHERE name IN (
        'wal_level', 'max_wal_senders', 'archive_mode', 'archive_timeout', 'summarize_wal',
        'fsync', 'full_page_writes')
"""


@dataclass(frozen=True, slots=True)
class Archiving:
    """The settings that base backups and a recovery to a point in time depend on, as production has them."""

    wal_level: str
    max_wal_senders: int
    archive_mode: str
    archive_timeout_s: int  # 0: WAL waits until a file of it is full
    archive_command: str = ""
    archive_library: str = ""
    summarize_wal: str = ""  # empty: this version has no such setting

    @property
    def refuses_backups(self) -> str:
        """The settings that let nobody take a base backup by the replication protocol; empty: none."""
        found = [f"wal_level is {self.wal_level}"] if self.wal_level == "minimal" else []
        if self.max_wal_senders < 1:
            found.append(f"max_wal_senders is {self.max_wal_senders}")
        return " and ".join(found)


@dataclass(frozen=True, slots=True)
class Durability:
    """The settings that decide whether what was committed is on disk after the power was cut."""

    fsync: str
    full_page_writes: str


def archiving(database: Database) -> Archiving:
    """Read what is declared for a server of ours."""
    with database.admin() as admin:
        found = dict(admin.execute(SETTINGS).fetchall())
        declared = dict(admin.execute(DECLARED).fetchall())
    return Archiving(
        wal_level=found["wal_level"],
        max_wal_senders=int(found["max_wal_senders"]),
        archive_mode=found["archive_mode"],
        archive_timeout_s=int(found["archive_timeout"]),
        archive_command=declared.get("archive_command") or "",
        archive_library=declared.get("archive_library") or "",
        summarize_wal=found.get("summarize_wal", ""),
    )


def durability(database: Database) -> Durability:
    """Read what holds for the server, ours or the user's own."""
    return Durability(database.setting("fsync"), database.setting("full_page_writes"))
