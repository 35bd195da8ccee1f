"""The checks of physical backups, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.backup_physical import (
    base_backup_verified,
    restored_is_sound,
    settings_are_durable,
)
from pytest_prodready.checks.backup_point_in_time import point_in_time
from pytest_prodready.environment.postgres_tools import ToolRan
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.backup_archiving import Archiving, Durability
from pytest_prodready.probes.backup_physical import Incremental, PhysicalBackup
from pytest_prodready.probes.backup_point_in_time import PointInTime
from pytest_prodready.settings import BackupSettings, Settings

SETTINGS = Settings.model_validate({"service": {"name": "x", "command": "x"}})
ARCHIVING = Archiving("replica", 10, "on", 60, archive_command="pgbackrest archive-push %p")
MINIMAL = replace(ARCHIVING, wal_level="minimal", max_wal_senders=0, archive_mode="off")
WELL, FAILED = ToolRan("pg_x", 0, 1.0), ToolRan("pg_x", 1, 1.0, "pg_x: error: no\npg_x: removing")
ENDED = ToolRan("pg_x", None, 600.0)
DAMAGE = ToolRan(
    "pg_amcheck",
    2,
    0.5,
    'btree index "app.public.jobs_place":\n    ERROR:  heap tuple (0,1) from table "jobs" lacks matching'
    ' index tuple within index "jobs_place"\n    HINT:  Retrying verification might help.',
)
WHY_NOT = "PostgreSQL 15.18 has no incremental backups, 17 has"


def backup(**changes: Any) -> PhysicalBackup:
    """A base backup in which all is well, but for what is told."""
    seen = PhysicalBackup(
        server="15.18",
        archiving=ARCHIVING,
        backup=WELL,
        bytes=81_000_000,
        verified=WELL,
        incremental=Incremental(why_not=WHY_NOT),
        started_s=0.4,
        tables=5,
        rows=1234,
        soundness=WELL,
        flipped="base/5/1234",
        control=FAILED,
    )
    return replace(seen, **changes)


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (Durability("on", "on"), Verdict.PASSED, "fsync is on"),
        (Durability("off", "on"), Verdict.FAILED, "fsync is off"),
        (Durability("on", "off"), Verdict.FAILED, "full_page_writes is off"),
    ],
)
def test_durable(seen: Durability, verdict: Verdict, part: str) -> None:
    """Both settings have to be on."""
    finding = settings_are_durable(seen)
    assert finding.verdict is verdict
    assert part in finding.summary
    assert ("ZFS" in finding.remedy) == (seen.full_page_writes == "off")


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({}, Verdict.PASSED, f"the same 1,234 rows in 5 tables; a flipped byte is noticed; {WHY_NOT}"),
        (
            {"incremental": Incremental(WELL, WELL, WELL)},
            Verdict.PASSED,
            "so is an incremental backup, combined with the first",
        ),
        ({"lacking": ("pg_verifybackup",), "backup": None}, Verdict.UNVERIFIED, "lacks pg_verifybackup"),
        (
            {"archiving": MINIMAL, "backup": FAILED},
            Verdict.FAILED,
            "wal_level is minimal and max_wal_senders is 0",
        ),
        ({"backup": FAILED}, Verdict.FAILED, "could be taken: pg_x ended with status 1: pg_x: removing"),
        ({"backup": ENDED}, Verdict.INCONCLUSIVE, "pg_x had not ended after 600 s"),
        ({"backup": None}, Verdict.INCONCLUSIVE, "no base backup was taken"),
        ({"verified": FAILED}, Verdict.FAILED, "not what its manifest says"),
        ({"incremental": Incremental(FAILED)}, Verdict.FAILED, "of the incremental one pg_x ended"),
        ({"incremental": Incremental(WELL, FAILED)}, Verdict.FAILED, "of the incremental one pg_x ended"),
        ({"not_started": "It ended.\n  its last lines:\nFATAL: no"}, Verdict.FAILED, "It ended. FATAL: no"),
        ({"differences": ("jobs is missing (3 rows)",)}, Verdict.FAILED, "it differs: jobs is missing"),
        (
            {"differences": tuple("abcd")},
            Verdict.FAILED,
            "it differs: a; b; c and 1 more",
        ),
        (
            {"changed": ("jobs: 3 before, 4 after",), "differences": ("jobs: 3 before, 4 after",)},
            Verdict.INCONCLUSIVE,
            "changed while the service was at rest",
        ),
        ({"control": WELL}, Verdict.INCONCLUSIVE, "noticed nothing"),
        ({"control": None}, Verdict.INCONCLUSIVE, "noticed nothing"),
        ({"control": ENDED}, Verdict.INCONCLUSIVE, "noticed nothing"),
        ({"rows": 0}, Verdict.INCONCLUSIVE, "no table has any row"),
    ],
)
def test_base_backup(changes: dict[str, Any], verdict: Verdict, part: str) -> None:
    """What a backup is worth shows when it is verified, started and damaged."""
    finding = base_backup_verified(backup(**changes))
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({}, Verdict.PASSED, "5 tables and their B-tree indexes"),
        ({"rows": 0}, Verdict.INCONCLUSIVE, "no table has any row"),
        ({"soundness": DAMAGE}, Verdict.FAILED, 'heap tuple (0,1) from table "jobs" lacks matching'),
        ({"soundness": FAILED}, Verdict.INCONCLUSIVE, "pg_x ended with status 1"),
        ({"soundness": ENDED}, Verdict.INCONCLUSIVE, "had not ended"),
        ({"soundness": None}, Verdict.UNVERIFIED, "has no pg_amcheck"),
        ({"not_started": "It ended."}, Verdict.INCONCLUSIVE, "no server starts"),
        ({"archiving": MINIMAL, "backup": FAILED}, Verdict.FAILED, "wal_level is minimal"),
        ({"lacking": ("pg_basebackup",), "backup": None}, Verdict.UNVERIFIED, "lacks pg_basebackup"),
    ],
)
def test_soundness(changes: dict[str, Any], verdict: Verdict, part: str) -> None:
    """An index that doesn't agree with its table is named."""
    finding = restored_is_sound(backup(**changes))
    assert finding.verdict is verdict
    assert part in finding.summary


def recovery(**changes: Any) -> PointInTime:
    """A recovery that went well, but for what is told."""
    seen = PointInTime(
        archiving=ARCHIVING,
        tried=True,
        backup=WELL,
        target="2026-11-29 20:59:46+00",
        written=(0, 1, 2),
        later=(3, 4),
        archived=True,
        archived_s=0.1,
        recovered_s=0.5,
        recovered=(0, 1, 2),
        tables=5,
        rows=1234,
    )
    return replace(seen, **changes)


def archived_by(command: str, **changes: Any) -> dict[str, Any]:
    """The same with another archive_command."""
    return {"archiving": replace(ARCHIVING, archive_command=command, **changes)}


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({}, Verdict.PASSED, "3 of 3 rows written before it, 0 of 2 written after it"),
        ({}, Verdict.PASSED, "the last 60 s of WAL are lost"),
        (archived_by("", archive_library="basic_archive"), Verdict.PASSED, "3 of 3 rows"),
        (archived_by("test ! -f /a/%f && cp %p /a/%f"), Verdict.PASSED, "3 of 3 rows"),
        ({"archiving": MINIMAL}, Verdict.FAILED, "archive_mode is off, and wal_level is minimal"),
        ({"archiving": replace(MINIMAL, archive_mode="on")}, Verdict.FAILED, "no base backup can be taken"),
        (
            {"archiving": replace(ARCHIVING, archive_mode="off")},
            Verdict.FAILED,
            "archive_mode is off: no WAL",
        ),
        (archived_by(""), Verdict.FAILED, "there is no archive_command"),
        (archived_by("/bin/true"), Verdict.FAILED, "“/bin/true” names no file"),
        (archived_by("cp %p /a/%f || true"), Verdict.FAILED, "succeeds even when nothing was stored"),
        (archived_by("cp %p /a/%f; exit 0"), Verdict.FAILED, "succeeds even when nothing was stored"),
        ({"backup": FAILED}, Verdict.FAILED, "no base backup could be taken"),
        ({"backup": ENDED}, Verdict.INCONCLUSIVE, "had not ended"),
        ({"backup": None}, Verdict.INCONCLUSIVE, "no base backup was taken"),
        ({"archived": False, "archived_s": 30.0}, Verdict.INCONCLUSIVE, "not archived its WAL after 30 s"),
        ({"not_recovered": "It ended."}, Verdict.FAILED, "failed: It ended."),
        ({"recovered": (0, 1)}, Verdict.FAILED, "2 of 3 rows written before it"),
        ({"recovered": (0, 1, 2, 3)}, Verdict.FAILED, "1 of 2 written after it"),
        ({"differences": ("jobs is missing (3 rows)",)}, Verdict.FAILED, "differs: jobs is missing"),
    ],
)
def test_point_in_time(changes: dict[str, Any], verdict: Verdict, part: str) -> None:
    """Exactly the rows up to the moment come back, where the settings archive WAL at all."""
    finding = point_in_time(recovery(**changes), SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("timeout_s", "rpo_s", "verdict"),
    [
        (60, 60.0, Verdict.PASSED),
        (61, 60.0, Verdict.FAILED),
        (0, 60.0, Verdict.FAILED),
        (0, None, Verdict.PASSED),
    ],
)
def test_loss(timeout_s: int, rpo_s: float | None, verdict: Verdict) -> None:
    """WAL that waits for its archiving longer than may be lost is a finding, where that is declared."""
    limits = SETTINGS.model_copy(update={"backup": BackupSettings(rpo_s=rpo_s)})
    seen = recovery(archiving=replace(ARCHIVING, archive_timeout_s=timeout_s))
    finding = point_in_time(seen, limits)
    assert finding.verdict is verdict
    assert "archive_timeout" in finding.summary
