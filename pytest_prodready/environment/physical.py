"""Physical backups of the service's own PostgreSQL, and servers that start from them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg.conninfo import make_conninfo

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_config import assignments
from pytest_prodready.environment.postgres_following import OVERRIDES, RECOVERY
from pytest_prodready.environment.roles import PostgresRole, RestoringRole, ToolRun
from pytest_prodready.environment.standby import reload
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.stopwatch import CLEARING, STARTING, spent

BACKED_UP_WITHIN_S = 600.0
CHECKED_WITHIN_S = 600.0
PROMOTED_WITHIN_S = 120.0
ARCHIVED_WITHIN_S = 30.0
POLL_S = 0.01
CLIENT = "prodready_backup"
SLOT = "prodready_wal"
MANIFEST = "backup_manifest"
# Of a file the byte in the middle, all of its bits. Busybox has no bc and no xxd.
FLIP = """
set -e
file=$(find "$1/base" -type f -size +7k | sort | head -n 1)
at=$(($(wc -c < "$file") / 2))
byte=$(od -An -tu1 -j "$at" -N 1 "$file" | tr -d ' ')
printf "\\\\$(printf %03o $((255 - byte)))" | dd of="$file" bs=1 seek="$at" conv=notrunc 2>/dev/null
echo "${file#"$1"/}"
"""
# From a backup to a data directory, with what overrides its settings, and the file that asks for a recovery.
COPY = f"""
set -e
cp -a "$1" "$2"
printf %s "$3" > "$2/{OVERRIDES}"
[ -z "$4" ] || : > "$2/$4"
"""
# The archive is a server's of ours: a copy that fails is tried again by it, and one that is there is the same.
KEEP = "cp %p {archive}/.%f && mv {archive}/.%f {archive}/%f"
TAKE = "cp {archive}/%f %p"


@dataclass(frozen=True, slots=True)
class Restored:
    """A server that runs on a restored backup, and how long it took to get there."""

    database: Database
    seconds: float


class Physical:
    """Room for physical backups of a running PostgreSQL."""

    def __init__(self, primary: Database, room: RestoringRole) -> None:
        self.primary, self._room = primary, room
        self._restored = 0

    def base_backup(self, name: str, *, since: str = "") -> ToolRun:
        """Take a base backup under a name, incremental since another (PostgreSQL 17) if one is given."""
        later = (f"--incremental={self._path(since)}/{MANIFEST}",) if since else ()
        return self._room.run(
            "pg_basebackup",
            *("--pgdata", self._path(name), "--dbname", self._server.followed_by(CLIENT)),
            *("--manifest-checksums=SHA256", "--wal-method", "fetch", "--checkpoint", "fast", "--no-sync"),
            *later,
            within_s=BACKED_UP_WITHIN_S,
        )

    def verify(self, name: str) -> ToolRun:
        """Hold a backup against its manifest, file by file and checksum by checksum."""
        return self._room.run("pg_verifybackup", self._path(name), within_s=CHECKED_WITHIN_S)

    def combine(self, name: str, *backups: str) -> ToolRun:
        """Make one full backup of a base backup and those that are incremental to it."""
        found = [self._path(each) for each in backups]
        output = ("--output", self._path(name), "--manifest-checksums=SHA256", "--no-sync")
        return self._room.run("pg_combinebackup", *found, *output, within_s=BACKED_UP_WITHIN_S)

    def size(self, name: str) -> int:
        """How much room a backup takes, in bytes."""
        told = self._done(self._room.run("du", "-sk", self._path(name), within_s=60))
        return int(told.said.split()[0]) * 1024

    def flip_byte(self, name: str) -> str:
        """Flip a byte of a table's file in a backup; flipped again it is as before. Returns the file."""
        flipped = self._done(self._room.run("sh", "-c", FLIP, "sh", self._path(name), within_s=30))
        return flipped.said.strip()

    @contextmanager
    def restored(self, name: str, target: Mapping[str, str] | None = None) -> Iterator[Restored]:
        """A server on a copy of a backup, recovered up to a target if one is given; gone afterwards.

        Raises ServerError when it doesn't get there.
        """
        self._restored += 1
        data, began = self._path(f"restored-{self._restored}"), time.monotonic()
        arguments = (self._path(name), data, self._overrides(target), RECOVERY if target else "")
        self._done(self._room.run("sh", "-c", COPY, "sh", *arguments, within_s=BACKED_UP_WITHIN_S))
        with ExitStack() as undone:
            undone.callback(self._remove, data)
            with spent(STARTING):
                self._room.start_on(data)
                database = self._seen()
                undone.callback(database.close)
                self._wait_until_promoted(database)
            yield Restored(database, time.monotonic() - began)

    @contextmanager
    def archiving(self) -> Iterator[None]:
        """Let the primary keep its WAL in our archive meanwhile; nothing happens where archive_mode is off."""
        with self.primary.admin() as admin:
            command = KEEP.format(archive=shlex.quote(self._room.archive))
            admin.execute(f"ALTER SYSTEM SET archive_command = '{command}'".encode())
            reload(admin)
        try:
            yield
        finally:
            with self.primary.admin() as admin:
                admin.execute("ALTER SYSTEM RESET archive_command")
                reload(admin)

    def archived(self, within_s: float = ARCHIVED_WITHIN_S) -> bool:
        """Switch to another WAL file, and bring all up to there from the archive; whether it came in time."""
        with self.primary.admin() as admin:
            # An empty file isn't switched, and of its beginning versions differ in whose it is.
            admin.execute("SELECT pg_logical_emit_message(false, 'prodready', '')")
            segment = _one(admin, "SELECT pg_walfile_name(pg_switch_wal())")
            question = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
            if not comes_true(lambda: bool(_one(admin, question)), within_s, POLL_S):
                return False
        self._room.fetch_archive()
        return True

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A replication slot, so that no WAL is lost which is still to be received; dropped afterwards."""
        with self.primary.admin() as admin:
            admin.execute(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)".encode())
        try:
            yield
        finally:
            with self.primary.admin() as admin:
                drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"
                admin.execute(drop, (SLOT,))

    def receive(self, up_to: str) -> ToolRun:
        """Receive the WAL up to this place into the archive, as a streaming archive does."""
        return self._room.run(
            "pg_receivewal",
            *("--directory", f"{self._room.room}/archive", "--dbname", self._server.followed_by(CLIENT)),
            *("--slot", SLOT, "--endpos", up_to, "--no-loop", "--no-sync"),
            within_s=BACKED_UP_WITHIN_S,
        )

    def check(self, restored: Restored) -> ToolRun:
        """Read every table and index of a restored database, and hold them against each other."""
        where = make_conninfo(self._room.followed_by(CLIENT), dbname=restored.database.name)
        options = ("--install-missing", "--heapallindexed", "--parent-check")
        return self._room.run("pg_amcheck", *options, where, within_s=CHECKED_WITHIN_S)

    def log_tail(self) -> str:
        """The last lines of the restored server's log."""
        return self._room.log_tail()

    @property
    def _server(self) -> PostgresRole:
        assert self.primary.server is not None
        return self.primary.server

    def _path(self, name: str) -> str:
        return f"{self._room.room}/{name}"

    def _done(self, ran: ToolRun) -> ToolRun:
        if ran.status != 0:
            raise ServerError(
                f"{ran.program} {how_it_ended(ran)} beside a physical backup.", tried=[f"it said: {ran.said}"]
            )
        return ran

    def _overrides(self, target: Mapping[str, str] | None) -> str:
        """What the restored server is to be told of its recovery."""
        if target is None:
            return ""
        take = TAKE.format(archive=shlex.quote(self._path("archive")))
        return assignments({"restore_command": take, "recovery_target_action": "promote", **target})

    def _seen(self) -> Database:
        """The same account and data, seen past every proxy on the restored server."""
        room = self._room
        return replace(self.primary, endpoint=room.endpoint, server=room, proxied=None, inside=None, _kept={})

    def _wait_until_promoted(self, database: Database) -> None:
        with database.admin(database="postgres") as admin:
            done = "SELECT NOT pg_is_in_recovery()"
            if comes_true(lambda: bool(_one(admin, done)), PROMOTED_WITHIN_S, POLL_S):
                return
        raise ServerError(f"The restored server was still in recovery after {PROMOTED_WITHIN_S:g} s.")

    @spent(CLEARING)
    def _remove(self, data: str) -> None:
        self._room.stop()
        self._room.run("rm", "-rf", data, within_s=60)


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


def how_it_ended(ran: ToolRun) -> str:
    """How a program ended, as a verb with its object."""
    if ran.status is None:
        return f"had not ended after {ran.seconds:.0f} s"
    return f"ended with status {ran.status}"


def _one(admin: Connection, query: str) -> Any:
    row = admin.execute(query.encode()).fetchone()
    return row[0] if row else None
