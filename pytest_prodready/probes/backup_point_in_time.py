"""A recovery to a moment: rows are written before and after it, and only those before it may come back."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from psycopg import sql

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.physical import MAINTENANCE, Physical
from pytest_prodready.environment.postgres_tools import ToolRan
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.backup_archiving import Archiving, archiving
from pytest_prodready.probes.backup_physical import Progress, differences, held

MARKERS = 5  # on either side of the moment
PASSED_WITHIN_S = 5.0
# In a database that no service uses: backups and recoveries are of all databases of a server.
TABLE = "prodready_marker"
NOW = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'"
IS_PAST = "SELECT clock_timestamp() > %s::timestamptz + interval '2 ms'"
BASE = "base"


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A recovery to a moment, as far as it came; the service was at rest all along."""

    archiving: Archiving
    tried: bool = False  # False: the settings keep any WAL from being archived
    backup: ToolRan | None = None
    target: str = ""  # the moment
    written: tuple[int, ...] = ()  # markers before the moment
    later: tuple[int, ...] = ()  # and after it
    archived: bool = False  # the WAL of all of these reached the archive
    archived_s: float = 0.0
    not_recovered: str = ""  # why no server got there
    recovered_s: float | None = None
    recovered: tuple[int, ...] = ()  # markers that came back
    tables: int = 0
    rows: int = 0
    differences: tuple[str, ...] = ()  # of the service's database, which nobody had written to


def point_in_time(environment: Environment, progress: Progress) -> PointInTime:
    """Archive WAL, write rows before and after a moment, and recover a base backup to that moment."""
    database = environment.database
    assert database is not None
    seen = PointInTime(archiving(database))
    if seen.archiving.archive_mode == "off" or seen.archiving.refuses_backups:
        return seen
    with environment.physical() as physical:
        return _drilled(replace(seen, tried=True), physical, progress)


def _drilled(seen: PointInTime, physical: Physical, progress: Progress) -> PointInTime:
    progress("taking a base backup, and archiving WAL")
    backup = physical.base_backup(BASE)
    if backup.status != 0:
        return replace(seen, backup=backup)
    seen = _marked(replace(seen, backup=backup), physical)
    began = time.monotonic()
    archived = physical.archived()
    seen = replace(seen, archived=archived, archived_s=time.monotonic() - began)
    if not archived:
        return seen
    progress(f"recovering to {seen.target}")
    return _recovered(seen, physical)


def _marked(seen: PointInTime, physical: Physical) -> PointInTime:
    """Write markers, let the moment pass, and write more."""
    with physical.primary.admin(database=MAINTENANCE) as admin:
        admin.execute(f"CREATE TABLE {TABLE} (number int)".encode())
        try:
            written = _write(admin, range(MARKERS))
            row = admin.execute(NOW).fetchone()
            assert row is not None
            target = str(row[0])
            if not comes_true(lambda: _is_past(admin, target), PASSED_WITHIN_S):
                raise ServerError("The server's clock stands still.", value=target)
            later = _write(admin, range(MARKERS, 2 * MARKERS))
        finally:
            admin.execute(f"DROP TABLE {TABLE}".encode())
    return replace(seen, target=target, written=written, later=later)


def _recovered(seen: PointInTime, physical: Physical) -> PointInTime:
    before = held(physical.primary)
    seen = replace(seen, tables=len(before.tables), rows=before.rows)
    try:
        with physical.restored(BASE, {"recovery_target_time": seen.target}) as restored:
            with restored.database.admin(database=MAINTENANCE) as admin:
                rows = admin.execute(f"SELECT number FROM {TABLE} ORDER BY number".encode()).fetchall()  # noqa: S608
            return replace(
                seen,
                recovered_s=restored.seconds,
                recovered=tuple(number for (number,) in rows),
                differences=differences(before, held(restored.database), physical.primary),
            )
    except ServerError as failure:
        return replace(seen, not_recovered=str(failure))


def _write(admin: Connection, numbers: range) -> tuple[int, ...]:
    """One transaction for each."""
    for number in numbers:
        admin.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(TABLE), number))
    return tuple(numbers)


def _is_past(admin: Connection, moment: str) -> bool:
    row = admin.execute(IS_PAST, (moment,)).fetchone()
    return bool(row and row[0])
