"""Judge base backups, the servers that start from them, and the settings that they depend on."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.backup_words import NO_ROW
from pytest_prodready.environment.postgres_tools import ToolRan
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.backup_archiving import Durability
from pytest_prodready.probes.backup_physical import PhysicalBackup

NAMED = 3
SOUND = 0
DAMAGED = 2  # pg_amcheck's status
COPY_ON_WRITE = (
    "Set full_page_writes = on; where the disk never writes a page by half (ZFS), say so in a waiver."
)


def settings_are_durable(seen: Durability) -> Finding:
    """What was committed is on disk, and pages are never left half written."""
    rule = RULES["backup.settings-are-durable"]
    told = f"fsync is {seen.fsync}, full_page_writes is {seen.full_page_writes}"
    if seen.fsync != "on":
        return rule.failed(told, limit="both on")
    if seen.full_page_writes != "on":
        return rule.failed(told, limit="both on", change=COPY_ON_WRITE)
    return rule.passed(told, limit="both on")


def base_backup_verified(seen: PhysicalBackup) -> Finding:
    """A base backup is whole, and a server that starts from it holds the same."""
    rule = RULES["backup.base-backup-verified"]
    if no := _no_backup(rule, seen):
        return no
    if wrong := _wrong(seen):
        return rule.failed(f"{_taken(seen)}{wrong}")
    if doubt := _doubt(seen):
        return rule.inconclusive(doubt)
    return rule.passed(
        f"{_taken(seen)} and verified; a server started from it in {seen.started_s:.1f} s holds the same "
        f"{seen.rows:,} rows in {seen.tables} tables; a flipped byte is noticed; {_incremental(seen)}"
    )


def restored_is_sound(seen: PhysicalBackup) -> Finding:
    """Every index of the restored database agrees with its table."""
    rule = RULES["backup.restored-is-sound"]
    if no := _no_backup(rule, seen):
        return no
    if seen.not_started:
        return rule.inconclusive(f"no server starts from the backup: {one_line(seen.not_started)}")
    if seen.soundness is None:
        return rule.unverified(f"not tried: PostgreSQL {seen.server} has no pg_amcheck here (since 14)")
    if seen.soundness.status == DAMAGED:
        return rule.failed(f"the restored database is damaged: {listed(_complaints(seen.soundness))}")
    if seen.soundness.status != SOUND or not seen.rows:
        return rule.inconclusive(NO_ROW if seen.soundness.status == SOUND else said(seen.soundness))
    return rule.passed(
        f"{seen.tables} tables and their B-tree indexes read in {seen.soundness.seconds:.1f} s, all agree"
    )


def listed(names: tuple[str, ...]) -> str:
    """The first of these, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more


def one_line(text: str) -> str:
    """An error of several lines in one: what it says, and the last line, which is the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def said(ran: ToolRan) -> str:
    """How a program ended, with the last line that it printed."""
    how = (
        f"had not ended after {ran.seconds:.0f} s"
        if ran.status is None
        else f"ended with status {ran.status}"
    )
    lines = ran.printed.splitlines()
    return f"{ran.program} {how}" + (f": {lines[-1].strip()}" if lines else "")


def _no_backup(rule: Rule, seen: PhysicalBackup) -> Finding | None:
    """The finding where there is no base backup to look at."""
    if seen.lacking:
        return rule.unverified(f"not tried: this PostgreSQL {seen.server} lacks {', '.join(seen.lacking)}")
    if seen.backup is not None and seen.backup.status == 0:
        return None
    if why := seen.archiving.refuses_backups:
        return rule.failed(f"no base backup can be taken: {why}")
    if seen.backup is None or seen.backup.status is None:
        return rule.inconclusive("no base backup was taken" if seen.backup is None else said(seen.backup))
    return rule.failed(f"no base backup could be taken: {said(seen.backup)}")


def _wrong(seen: PhysicalBackup) -> str:
    """What is wrong with a backup that was taken; empty when nothing is."""
    if seen.verified is None or seen.verified.status != 0:
        return f", but it is not what its manifest says: {seen.verified}"
    if (failure := seen.incremental.failure) is not None:
        return f"; of the incremental one {said(failure)}"
    if seen.not_started:
        return f", but no server starts from it: {one_line(seen.not_started)}"
    if seen.differences and not seen.changed:
        return f"; restored, it differs: {listed(seen.differences)}"
    return ""


def _doubt(seen: PhysicalBackup) -> str:
    """Why nothing can be told of a backup in which nothing is wrong; empty when it can."""
    if seen.changed:
        return f"the database changed while the service was at rest: {seen.changed[0]}"
    if seen.control is None or not seen.control.status:  # 0, or none in time
        return f"a byte of {seen.flipped} was flipped, and the verification noticed nothing"
    return "" if seen.rows else NO_ROW


def _taken(seen: PhysicalBackup) -> str:
    assert seen.backup is not None
    return f"base backup of {seen.bytes / 1e6:.0f} MB taken in {seen.backup.seconds:.1f} s"


def _incremental(seen: PhysicalBackup) -> str:
    return seen.incremental.why_not or "so is an incremental backup, combined with the first"


def _complaints(ran: ToolRan) -> tuple[str, ...]:
    """What pg_amcheck found: the object, and the error below its name."""
    lines = [line.strip() for line in ran.printed.splitlines() if line.strip()]
    errors = tuple(line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:"))
    return errors or tuple(lines)
