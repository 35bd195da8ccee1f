"""A base backup of the service's server: verified, started, compared with where it came from, and damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.physical import LONG_S, Physical
from pytest_prodready.environment.postgres_tools import ToolRan
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.backup_archiving import Archiving, archiving
from pytest_prodready.probes.contents import Contents, contents
from pytest_prodready.probes.contents_differences import content_differences
from pytest_prodready.probes.contents_queries import NAME

INCREMENTAL_SINCE = 17  # PostgreSQL
NEEDED = ("pg_basebackup", "pg_verifybackup")
BASE, LATER, COMBINED = "base", "incremental", "combined"
SHOWN = 20
UNLOGGED = f"""
    SELECT {NAME} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 'u'
"""  # noqa: S608

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Incremental:
    """A backup of what has changed since the base backup, and a full one made of both."""

    backup: ToolRan | None = None
    combined: ToolRan | None = None
    verified: ToolRan | None = None
    why_not: str = ""  # nothing was tried

    @property
    def failure(self) -> ToolRan | None:
        """The program that didn't succeed."""
        ran = (self.backup, self.combined, self.verified)
        return next((each for each in ran if each is not None and each.status != 0), None)


@dataclass(frozen=True, slots=True)
class PhysicalBackup:
    """What became of a base backup, as far as it came; the service was at rest all along."""

    server: str  # its version
    archiving: Archiving
    lacking: tuple[str, ...] = ()  # programs that the installation doesn't have
    backup: ToolRan | None = None
    bytes: int = 0
    verified: ToolRan | None = None
    incremental: Incremental = Incremental()
    changed: tuple[str, ...] = ()  # in the source meanwhile
    not_started: str = ""  # why no server runs on it
    started_s: float | None = None
    tables: int = 0
    rows: int = 0
    differences: tuple[str, ...] = ()  # between the source and the restored database
    soundness: ToolRan | None = None  # of pg_amcheck on the restored database; None: there is no such program
    flipped: str = ""  # the file in which a byte was flipped
    control: ToolRan | None = None  # of the verification of the backup with that byte


def physical_backup(environment: Environment, progress: Progress) -> PhysicalBackup:
    """Take a base backup, start a server from it, and see whether damage to it is noticed."""
    database = environment.database
    assert database is not None
    seen = PhysicalBackup(database.version, archiving(database))
    with environment.physical() as physical:
        lacking = tuple(program for program in NEEDED if not physical.has(program))
        if lacking:
            return replace(seen, lacking=lacking)
        return _backed_up(seen, physical, progress)


def _backed_up(seen: PhysicalBackup, physical: Physical, progress: Progress) -> PhysicalBackup:
    progress("taking a base backup")
    before = held(physical.primary)
    seen = replace(seen, backup=physical.base_backup(BASE), tables=len(before.tables), rows=before.rows)
    if seen.backup is None or seen.backup.status != 0:
        return seen
    seen = replace(seen, bytes=physical.bytes_of(BASE), verified=physical.verify(BASE))
    incremental = _incremental(seen, physical, progress)
    changed = differences(before, held(physical.primary), physical.primary)
    seen = replace(seen, incremental=incremental, changed=changed)
    seen = _restored(seen, physical, before, progress)
    return replace(seen, flipped=physical.flip_byte(BASE), control=physical.verify(BASE))


def _incremental(seen: PhysicalBackup, physical: Physical, progress: Progress) -> Incremental:
    if int(seen.server.partition(".")[0]) < INCREMENTAL_SINCE:
        return Incremental(why_not=f"PostgreSQL {seen.server} has no incremental backups, 17 has")
    if seen.archiving.summarize_wal != "on":
        return Incremental(why_not="summarize_wal is off, so there are no incremental backups")
    progress("taking an incremental backup")
    backup = physical.base_backup(LATER, since=BASE)
    if backup.status != 0:
        return Incremental(backup)
    combined = physical.combine(COMBINED, BASE, LATER)
    return Incremental(backup, combined, physical.verify(COMBINED) if combined.status == 0 else None)


def _restored(
    seen: PhysicalBackup, physical: Physical, before: Contents, progress: Progress
) -> PhysicalBackup:
    progress("starting a server from the backup")
    whole = seen.incremental.backup is not None and seen.incremental.failure is None
    try:
        with physical.restored(COMBINED if whole else BASE) as restored:
            after = held(restored.database)
            return replace(
                seen,
                started_s=restored.seconds,
                differences=differences(before, after, physical.primary),
                soundness=physical.check(restored) if physical.has("pg_amcheck") else None,
            )
    except ServerError as failure:
        return replace(seen, not_started=str(failure))


def held(database: Database) -> Contents:
    """What a database holds, however long it takes to read all of it."""
    with database.admin(within_s=LONG_S) as admin:
        return contents(admin)


def differences(before: Contents, after: Contents, source: Database) -> tuple[str, ...]:
    """What a restored server's database holds differently; nobody expects a backup of what is unlogged."""
    with source.admin() as admin:
        unlogged = {str(name) for (name,) in admin.execute(UNLOGGED.encode())}
    found = [each for each in content_differences(before, after) if each.name not in unlogged]
    return tuple(map(str, found[:SHOWN]))
