"""Physical backups of the service's own PostgreSQL, and servers that start from them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_config import assignments
from pytest_prodready.environment.postgres_following import ARCHIVE
from pytest_prodready.environment.postgres_tools import ToolRan, conninfo
from pytest_prodready.environment.roles import PostgresRole, RestoringRole
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.stopwatch import CLEARING, STARTING, spent

LONG_S = 600.0  # for what takes its time on much data
PROMOTED_WITHIN_S = 120.0
ARCHIVED_WITHIN_S = 30.0
POLL_S = 0.01
MAINTENANCE = "postgres"  # a database that every server has, and no service uses
MANIFEST = "backup_manifest"
FLIPPED_FROM = 8192  # bytes: a file with a page of rows
TAKE = "cp {archive}/%f %p"
ARCHIVED = "SELECT last_archived_wal >= %s FROM pg_stat_archiver"


@dataclass(frozen=True, slots=True)
class Restored:
    """A server that runs on a restored backup, and how long it took to get there."""

    database: Database
    seconds: float


class Physical:
    """Room for physical backups of a running PostgreSQL, and, where it archives its WAL, for that."""

    def __init__(self, primary: Database, room: RestoringRole) -> None:
        self.primary, self._room = primary, room
        self._tools = room.tools()

    def has(self, program: str) -> bool:
        """Whether the server's installation has this program."""
        return self._tools.has(program)

    def base_backup(self, name: str, *, since: str = "") -> ToolRan:
        """Take a base backup under a name, incremental since another (PostgreSQL 17) if one is given."""
        return self._tools.run(
            "pg_basebackup",
            *("--pgdata", self._path(name), "--dbname", conninfo(self._server, MAINTENANCE)),
            *("--manifest-checksums=SHA256", "--wal-method", "fetch", "--checkpoint", "fast", "--no-sync"),
            *((f"--incremental={self._path(since)}/{MANIFEST}",) if since else ()),
            within_s=LONG_S,
        )

    def verify(self, name: str) -> ToolRan:
        """Hold a backup against its manifest, file by file and checksum by checksum."""
        return self._tools.run("pg_verifybackup", "--quiet", self._path(name), within_s=LONG_S)

    def combine(self, name: str, *backups: str) -> ToolRan:
        """Make one full backup of a base backup and those that are incremental to it."""
        found = [self._path(each) for each in backups]
        output = ("--output", self._path(name), "--manifest-checksums=SHA256", "--no-sync")
        return self._tools.run("pg_combinebackup", *found, *output, within_s=LONG_S)

    def bytes_of(self, name: str) -> int:
        """How much room a backup takes."""
        return self._tools.size(self._path(name))

    def flip_byte(self, name: str) -> str:
        """Flip a byte of a table's or an index' file in a backup; returns the file's name."""
        files = self._tools.files(f"{self._path(name)}/base")
        for file in files:
            content = bytearray(self._tools.read(file))
            if len(content) >= FLIPPED_FROM:
                content[len(content) // 2] ^= 0xFF
                self._tools.write(file, bytes(content))
                return file.removeprefix(f"{self._path(name)}/")
        raise ServerError("A backup has no file with a page of rows.", value=name, tried=files[:10])

    @contextmanager
    def restored(self, name: str, target: Mapping[str, str] | None = None) -> Iterator[Restored]:
        """A server on a copy of a backup, recovered up to a target if one is given; gone afterwards.

        Raises ServerError when it doesn't get there.
        """
        began = time.monotonic()
        with ExitStack() as undone:
            undone.callback(self._end)
            with spent(STARTING):
                self._room.start_on(self._path(name), self._overrides(target), recovering=target is not None)
                database = self.primary.on(self._room)
                undone.callback(database.close)
                self._wait_until_promoted(database)
            yield Restored(database, time.monotonic() - began)

    def archived(self, within_s: float = ARCHIVED_WITHIN_S) -> bool:
        """Switch to another WAL file, and fetch all up to there from the archive; whether it came in time."""
        with self.primary.admin(database=MAINTENANCE) as admin:
            # An empty file isn't switched, and of its beginning versions differ in whose it is.
            admin.execute("SELECT pg_logical_emit_message(false, 'prodready', '')")
            segment = _one(admin, "SELECT pg_walfile_name(pg_switch_wal())")
            if not comes_true(lambda: bool(_one(admin, ARCHIVED, segment)), within_s, POLL_S):
                return False
        self._room.fetch_archive()
        return True

    def check(self, restored: Restored) -> ToolRan:
        """Read every table and index of a restored database, and hold them against each other."""
        options = ("--install-missing", "--heapallindexed", "--parent-check")
        where = conninfo(self._room, restored.database.name)
        return self._tools.run("pg_amcheck", *options, where, within_s=LONG_S)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the restored server's log."""
        return self._room.log_tail(lines)

    @property
    def _server(self) -> PostgresRole:
        assert self.primary.server is not None
        return self.primary.server

    def _path(self, name: str) -> str:
        return f"{self._tools.folder}/{name}"

    def _overrides(self, target: Mapping[str, str] | None) -> str:
        """What the restored server is told of its recovery."""
        if target is None:
            return ""
        take = TAKE.format(archive=shlex.quote(self._path(ARCHIVE)))
        return assignments({"restore_command": take, "recovery_target_action": "promote", **target})

    def _wait_until_promoted(self, database: Database) -> None:
        """It accepts connections before it has recovered, and may yet end instead."""
        try:
            with database.admin(database=MAINTENANCE) as admin:
                promoted = "SELECT NOT pg_is_in_recovery()"
                if comes_true(lambda: bool(_one(admin, promoted)), PROMOTED_WITHIN_S, POLL_S):
                    return
            problem = f"The restored server was still in recovery after {PROMOTED_WITHIN_S:g} s."
        except psycopg.Error:
            problem = "The restored server ended while it recovered."
        raise ServerError(problem, tried=[f"its last lines:\n{self.log_tail()}"])

    @spent(CLEARING)
    def _end(self) -> None:
        self._room.stop()


@contextmanager
def backing_up(primary: Database, room: RestoringRole) -> Iterator[Physical]:
    """Make room for physical backups of this server; all of it is gone when the block ends."""
    try:
        with spent(STARTING):
            room.create()
        yield Physical(primary, room)
    finally:
        with spent(CLEARING):
            room.discard()


def _one(admin: Connection, query: str, *values: object) -> Any:
    row = admin.execute(query.encode(), values or None).fetchone()
    return row[0] if row else None
