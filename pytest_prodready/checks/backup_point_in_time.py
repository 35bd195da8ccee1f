"""Judge whether any moment can be restored: by the declared settings, and by a recovery to one."""

from __future__ import annotations

import re

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.backup_physical import listed, one_line, said
from pytest_prodready.findings import Finding
from pytest_prodready.probes.backup_archiving import Archiving
from pytest_prodready.probes.backup_point_in_time import PointInTime
from pytest_prodready.settings import Settings

# Commands that succeed whatever has become of the file.
ALWAYS_WELL = re.compile(r"(\|\||;)\s*(true|/bin/true|/usr/bin/true|:|exit\s+0)\s*$")
ONE_FILE = ("%p", "%f")


def point_in_time(seen: PointInTime, settings: Settings) -> Finding:
    """The declared settings archive WAL, and a recovery stops at the moment that was asked for."""
    rule, rpo_s = RULES["backup.point-in-time"], settings.backup.rpo_s
    limits = {} if rpo_s is None else {"rpo_s": rpo_s}
    if wrong := [*_lacks(seen.archiving), *_late(seen.archiving, rpo_s)]:
        return rule.failed("; ".join(wrong), limits=limits)
    if doubt := _doubt(seen):
        return rule.inconclusive(doubt)
    if wrong_way := _wrong(seen):
        return rule.failed(wrong_way, limits=limits)
    summary = (
        f"{_told(seen)}; the {seen.rows:,} rows of the service's {seen.tables} tables are the same; "
        f"{seen.recovered_s or 0:.1f} s; {_loss(seen.archiving)}"
    )
    return rule.passed(summary, limits=limits)


def _lacks(seen: Archiving) -> list[str]:
    """What the declared settings lack for an archive of WAL."""
    if seen.archive_mode == "off":
        minimal = f", and wal_level is {seen.wal_level}" if seen.wal_level == "minimal" else ""
        return [f"archive_mode is off{minimal}: no WAL is kept for a recovery"]
    if why := seen.refuses_backups:
        return [f"no base backup can be taken: {why}"]
    return [] if seen.archive_library else _useless(seen.archive_command.strip())


def _useless(command: str) -> list[str]:
    """Why this command archives nothing, or not for sure."""
    if not command:
        return ["archive_mode is on, but there is no archive_command: WAL piles up until the disk is full"]
    if not any(each in command for each in ONE_FILE):
        return [f"archive_command “{command}” names no file (%p), so it stores nothing"]
    if ALWAYS_WELL.search(command):
        return [f"archive_command “{command}” succeeds even when nothing was stored: such WAL is lost"]
    return []


def _doubt(seen: PointInTime) -> str:
    """Why nothing can be told of the recovery; empty when it can."""
    if seen.backup is None:
        return "no base backup was taken"
    if seen.backup.status is None:
        return said(seen.backup)
    if seen.backup.status == 0 and not seen.archived:
        return f"the server had not archived its WAL after {seen.archived_s:.0f} s"
    return ""


def _wrong(seen: PointInTime) -> str:
    """What is wrong with the recovery; empty when nothing is."""
    if seen.backup is not None and seen.backup.status != 0:
        return f"no base backup could be taken: {said(seen.backup)}"
    if seen.not_recovered:
        return f"recovery to {seen.target} failed: {one_line(seen.not_recovered)}"
    differs = f"; the service's database differs: {listed(seen.differences)}" if seen.differences else ""
    return f"{_told(seen)}{differs}" if differs or seen.recovered != seen.written else ""


def _told(seen: PointInTime) -> str:
    return (
        f"recovered to {seen.target}: {_count(seen.recovered, seen.written)} of {len(seen.written)} rows "
        f"written before it, {_count(seen.recovered, seen.later)} of {len(seen.later)} written after it"
    )


def _late(seen: Archiving, rpo_s: float | None) -> list[str]:
    """What may be lost with the server although its WAL is archived."""
    if rpo_s is None or seen.archive_mode == "off" or 0 < seen.archive_timeout_s <= rpo_s:
        return []
    return [f"{_loss(seen)}, accepted are {rpo_s:g} s"]


def _loss(seen: Archiving) -> str:
    if seen.archive_timeout_s:
        return f"with the server the last {seen.archive_timeout_s} s of WAL are lost (archive_timeout)"
    return "with the server a file of WAL that isn't full is lost, however old (archive_timeout is 0)"


def _count(recovered: tuple[int, ...], wanted: tuple[int, ...]) -> int:
    return len(set(recovered) & set(wanted))
