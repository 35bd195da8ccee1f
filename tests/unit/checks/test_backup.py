"""Verdicts on backups and restores, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks import backup_compared as compared
from pytest_prodready.checks.backup import damage_is_found, dump_succeeds, restore_succeeds
from pytest_prodready.checks.backup_objectives import rpo, rto
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.backup_controls import Control, Controls
from pytest_prodready.probes.backup_facts import BackupRun, Compared, Halved, Markers, Source, Step
from pytest_prodready.probes.backup_sizes import RestoreTimes, Timing
from pytest_prodready.probes.contents_differences import ContentDifference
from pytest_prodready.probes.schema import SchemaDifference
from pytest_prodready.records import as_data
from pytest_prodready.settings import BackupSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
LIMITS = BackupSettings(within_s=60)
DUMPED, RESTORED = Step("pg_dump", 0, 1.5), Step("pg_restore", 0, 2.5)
SOURCE = Source(5, 2_000, 4, 1, 2, 90, 3, 2, 9_000_000)
NOTHING = Source(0, 0, 0, 0, 0, 1, 1, 0, 7_000_000)
EMPTY = replace(SOURCE, rows=0, sequences=0, views=0, large_objects=0, settings=0)
SEEN = BackupRun(
    "gate",
    "17.2",
    (DUMPED,),
    SOURCE,
    backup_bytes=3_000_000,
    restore=(RESTORED,),
    compared=Compared(),
    markers=Markers(5, 5, 0.3),
)
NOT_MADE = replace(SEEN, restore=(), compared=None, markers=None, why_not="there is no backup to restore")


def with_contents(*found: ContentDifference, **changes: Any) -> BackupRun:
    """A restored database whose contents differ."""
    return replace(SEEN, compared=Compared(contents=found), **changes)


def with_schema(*found: SchemaDifference, **changes: Any) -> BackupRun:
    """A restored database whose catalogue differs."""
    return replace(SEEN, compared=Compared(schema=found), **changes)


def with_cluster(*found: SchemaDifference, **changes: Any) -> BackupRun:
    """A restored database whose roles or properties differ."""
    return replace(SEEN, compared=Compared(cluster=found), **changes)


def ended(status: int | None, printed: str = "", *errors: str, **changes: Any) -> Step:
    """A step that ended so."""
    return Step("[backup] restore", status, 2.0, printed, errors, **changes)


def by_commands(**changes: Any) -> BackupRun:
    """The same by the user's own commands."""
    return replace(SEEN, by="commands", **changes)


def holds(finding: Finding, verdict: Verdict, says: str) -> None:
    """The finding has this verdict and these words in its summary."""
    assert finding.verdict is verdict, finding.summary
    assert says in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "pg_dump: 5 tables with 2,000 rows in 2.9 MB, within 1.5 s"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (replace(NOT_MADE, backup=(ended(1, "a\nb"),)), FAILED, "[backup] restore ended with status 1: b"),
        (replace(NOT_MADE, backup=(ended(1),)), FAILED, "ended with status 1, and printed nothing"),
        (replace(NOT_MADE, backup=(ended(-9),)), FAILED, "ended with signal 9"),
        (replace(NOT_MADE, backup=(ended(None),)), FAILED, "did not end within 60 s, and printed nothing"),
        (
            replace(NOT_MADE, backup=(ended(None, "y", printed_bytes=5 * 1024**3),)),
            FAILED,
            "did not end within 60 s and printed 5,120 MB: y",
        ),
        (replace(NOT_MADE, backup_bytes=0), FAILED, "ended with status 0, and there is no backup"),
        (replace(SEEN, backup=(replace(DUMPED, printed="pg_dump: warning: x"),)), FAILED, "but printed"),
        (by_commands(backup=(ended(0, "2 tables dumped"),)), PASSED, "5 tables"),
        (by_commands(backup=(ended(0, "a", "pg_dump: error: b"),)), FAILED, "printed: pg_dump: error: b"),
    ],
)
def test_dump_succeeds(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """It ends well, leaves a backup, and says no error."""
    holds(dump_succeeds(seen, LIMITS), verdict, says)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "pg_restore on a fresh server, within 2.5 s"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, restore=(ended(1, "x", "ERROR: y"),)), FAILED, "ended with status 1: ERROR: y"),
        (replace(SEEN, restore=(ended(None),), compared=None), FAILED, "did not end within 60 s"),
        (
            replace(SEEN, restore=(ended(0, "x", "ERROR: y"),)),
            FAILED,
            "status 0, but printed 1 error: ERROR: y",
        ),
        (replace(SEEN, compared=None, why_not="it can't be read"), FAILED, "status 0, but it can't be read"),
    ],
)
def test_restore_succeeds(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """It ends well without going on after an error, and leaves a database."""
    holds(restore_succeeds(seen, LIMITS), verdict, says)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('ERROR:  role "reporting" does not exist', "restore them first: reporting is not there"),
        ('ERROR:  permission denied to create extension "postgis"', "create the extension postgis"),
        ('ERROR:  extension "vector" is not available', "Install the extension vector"),
        ('ERROR:  new row for relation "a" violates check constraint "a_ok"', "a_ok refuses"),
        ("ERROR:  function helper(text) does not exist", "name function helper(text) with its schema"),
        ("ERROR:  something else", "Mend what the first error names"),
    ],
)
def test_first_error_is_explained(said: str, advice: str) -> None:
    """What breaks a restore is told with what to do about it."""
    finding = restore_succeeds(replace(SEEN, restore=(ended(1, said, said),)), LIMITS)
    assert advice in finding.remedy


LOST_ROWS = ContentDifference("table", "jobs", "changed", "500 rows", "480")
MISSING = ContentDifference("table", "jobs", "missing", "500 rows")


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "5 tables with 2,000 rows, all the same"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, source=EMPTY), INCONCLUSIVE, "no table has any row"),
        (with_contents(LOST_ROWS), FAILED, "1 of 5 tables differ: jobs: 500 rows before, 480 after"),
        (with_contents(MISSING), FAILED, "jobs is missing (500 rows)"),
        (
            replace(SEEN, moved=("beats",)),
            PASSED,
            "written to while the backup was made, and so not compared",
        ),
        (replace(SEEN, moved=("a", "b", "c", "d", "e")), INCONCLUSIVE, "nothing can be compared"),
        (with_contents(LOST_ROWS, moved=("beats",)), FAILED, "not compared: beats"),
    ],
)
def test_rows_equal(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """Rows that differ fail; without rows nothing is known."""
    holds(compared.rows_equal(seen), verdict, says)


BEHIND = ContentDifference("sequence", "jobs_id_seq", "changed", "next 501", "next 1")


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "4 sequences, none behind"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, source=EMPTY), PASSED, "no sequence, none behind"),
        (
            with_contents(BEHIND, LOST_ROWS),
            FAILED,
            "jobs_id_seq: next 501 before, next 1 after",
        ),
    ],
)
def test_sequences_follow(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """A sequence that is behind fails."""
    holds(compared.sequences_follow(seen), verdict, says)


NOT_POPULATED = ContentDifference("materialized view", "stats", "changed", "9 rows", "not populated")


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "1 materialized view, populated"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, source=EMPTY), PASSED, "no materialized view with rows"),
        (with_contents(NOT_POPULATED), FAILED, "stats: 9 rows before, not populated after"),
    ],
)
def test_views_populated(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """A view that can't be read any more fails."""
    holds(compared.views_populated(seen), verdict, says)


LOST_OBJECTS = ContentDifference("large objects", "large objects", "missing", "2 of 9 bytes", "0 of 0 bytes")


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "2 large objects, the same"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, source=EMPTY), PASSED, "no large object"),
        (with_contents(LOST_OBJECTS), FAILED, "large objects is missing (2 of 9 bytes)"),
    ],
)
def test_large_objects_equal(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """Objects that are missing fail."""
    holds(compared.large_objects_equal(seen), verdict, says)


NO_INDEX = SchemaDifference("index", "public.jobs_title", "missing", "btree (title)", "")
OTHER_OWNER = SchemaDifference("table", "public.jobs", "changed", "heap; owner app", "heap; owner admin")
NO_GRANT = SchemaDifference("privileges", "public.jobs", "changed", "app=r/app", "")
NO_SETTING = SchemaDifference("setting", "statement_timeout", "missing", "20s", "")
NO_ROLE = SchemaDifference("role", "app", "missing", "LOGIN", "")
NO_PASSWORD = SchemaDifference("password", "app", "changed", "aabbcc", "ddeeff")
NO_ROLE_SETTING = SchemaDifference("role setting", "app work_mem", "missing", "64MB", "")
DATABASE_OWNER = SchemaDifference("database", "owner", "changed", "app", "admin")
COLLATION = SchemaDifference("database", "collation", "changed", "de_DE", "C")


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "90 things of the catalogue, all the same"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (
            with_schema(NO_INDEX),
            FAILED,
            "1 of 90 things of the catalogue differ: missing: index public.jobs_title",
        ),
        (with_schema(OTHER_OWNER, NO_GRANT, NO_SETTING), PASSED, "all the same"),
    ],
)
def test_schema_equal(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """Something that is missing fails; rights and settings have rules of their own."""
    holds(compared.schema_equal(seen), verdict, says)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "3 roles with memberships, owners and grants, the same as before"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (with_cluster(NO_ROLE, source=NOTHING), FAILED, "missing: role app"),
        (replace(SEEN, provisioned=("app",)), PASSED, "(app had to be there before)"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (
            with_cluster(DATABASE_OWNER, NO_ROLE),
            FAILED,
            "2 differences: missing: role app; changed: database owner",
        ),
        (with_cluster(NO_PASSWORD), FAILED, "1 difference: changed: password of app"),
        (with_schema(OTHER_OWNER), FAILED, "(heap; owner app, now heap; owner admin)"),
        (with_schema(NO_GRANT), FAILED, "changed: privileges public.jobs"),
        (with_cluster(NO_ROLE_SETTING, COLLATION), PASSED, "3 roles"),
        (with_schema(NO_INDEX, NO_SETTING), PASSED, "3 roles"),
    ],
)
def test_roles_and_grants(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """A role, an owner or a grant that is missing fails, and no password is told."""
    finding = compared.roles_and_grants(seen)
    holds(finding, verdict, says)
    assert "aabbcc" not in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "2 settings of the database or its roles, kept"),
        (replace(SEEN, source=NOTHING), INCONCLUSIVE, "the database is empty"),
        (replace(SEEN, source=EMPTY), PASSED, "no setting of the database or its roles"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (with_schema(NO_SETTING), FAILED, "missing: setting statement_timeout"),
        (with_cluster(NO_ROLE_SETTING), FAILED, "missing: role setting app work_mem"),
        (with_cluster(COLLATION), FAILED, "changed: database collation (de_DE, now C)"),
        (with_cluster(DATABASE_OWNER, NO_ROLE), PASSED, "2 settings"),
    ],
)
def test_settings_kept(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """A setting that is lost fails."""
    holds(compared.settings_kept(seen), verdict, says)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "each table with rows has statistics"),
        (replace(SEEN, source=EMPTY), INCONCLUSIVE, "no table has any row"),
        (NOT_MADE, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, compared=Compared(unanalyzed=("jobs",))), FAILED, "1 table without statistics: jobs"),
    ],
)
def test_statistics_present(seen: BackupRun, verdict: Verdict, says: str) -> None:
    """Tables that the planner doesn't know are told."""
    holds(compared.statistics_present(seen), verdict, says)


FOUND = (Control("a flipped byte", "comparison", "t: 5 rows"), Control("a dump cut off", "pg_restore", "eof"))
CONTROLS = Controls(True, FOUND)


@pytest.mark.parametrize(
    ("controls", "seen", "verdict", "says"),
    [
        (CONTROLS, SEEN, PASSED, "a flipped byte by the comparison alone, a dump cut off by pg_restore"),
        (replace(CONTROLS, sound=False), SEEN, INCONCLUSIVE, "an undamaged backup was not restored"),
        (
            Controls(True, (*FOUND, Control("a byte", ""))),
            SEEN,
            FAILED,
            "restored as if it were whole: a byte",
        ),
        (CONTROLS, by_commands(source=EMPTY), INCONCLUSIVE, "no table has any row"),
        (CONTROLS, by_commands(halved=Halved(RESTORED, noticed=True)), PASSED, "not taken for a whole one"),
        (CONTROLS, by_commands(halved=Halved(RESTORED, noticed=False)), FAILED, "reads something else"),
    ],
)
def test_damage_is_found(controls: Controls, seen: BackupRun, verdict: Verdict, says: str) -> None:
    """Damage that nothing finds fails."""
    holds(damage_is_found(controls, seen), verdict, says)


@pytest.mark.parametrize(
    ("seen", "limits", "verdict", "says"),
    [
        (SEEN, LIMITS, PASSED, "5 of 5 writes recovered, the last of them acknowledged 300 ms before"),
        (NOT_MADE, LIMITS, INCONCLUSIVE, "there is no backup"),
        (replace(SEEN, markers=None), LIMITS, INCONCLUSIVE, "nothing was written"),
        (replace(SEEN, markers=Markers(0, 0, 0, unusable="no write")), LIMITS, INCONCLUSIVE, "no write"),
        (
            replace(SEEN, markers=Markers(5, 0, 9.0, "t")),
            LIMITS,
            FAILED,
            "5 of 5 writes that were acknowledged",
        ),
        (
            replace(SEEN, markers=Markers(5, 3, 9.0, "t")),
            LIMITS,
            FAILED,
            "the last one that is was 9.0 s old",
        ),
        (
            replace(SEEN, markers=Markers(5, 3, 9.0, "t")),
            BackupSettings(rpo_writes=2),
            PASSED,
            "3 of 5 writes recovered",
        ),
        (SEEN, BackupSettings(rpo_s=3700, every_s=3600), PASSED, "every 60 min, so up to 60 min are lost"),
        (SEEN, BackupSettings(rpo_s=3600, every_s=3600), FAILED, "so up to 60 min are lost"),
        (SEEN, BackupSettings(rpo_s=60, every_s=86_400, point_in_time=True), PASSED, "by its WAL archive"),
    ],
)
def test_rpo(seen: BackupRun, limits: BackupSettings, verdict: Verdict, says: str) -> None:
    """Acknowledged writes that are lost fail, and backups that come too seldom."""
    holds(rpo(seen, limits), verdict, says)


def restores(*pairs: tuple[int, float]) -> RestoreTimes:
    """Restores of so many MB that took so many seconds."""
    return RestoreTimes(2, tuple(Timing(1000, megabytes * 1_000_000, 1, took) for megabytes, took in pairs))


STEADY = restores((10, 1.2), (20, 1.4), (30, 1.6), (10, 1.21), (20, 1.41), (30, 1.59))
FALLING = restores((10, 1.6), (20, 1.4), (30, 1.2), (10, 1.59), (20, 1.41), (30, 1.21))
WILD = restores((10, 0.5), (20, 3.0), (30, 1.0), (10, 2.5), (20, 0.5), (30, 2.0))
IN_AN_HOUR = BackupSettings(rto_s=3600, database_gb=50)


@pytest.mark.parametrize(
    ("seen", "limits", "verdict", "says"),
    [
        (STEADY, IN_AN_HOUR, PASSED, "20 s per GB on this machine, so 50 GB take about 16 min"),
        (STEADY, BackupSettings(rto_s=60, database_gb=50), FAILED, "6 restores of 10 to 30 MB by 2 jobs"),
        (FALLING, IN_AN_HOUR, INCONCLUSIVE, "too uncertain to tell"),
        (WILD, BackupSettings(rto_s=900, database_gb=50), INCONCLUSIVE, "too uncertain to tell"),
        (restores((10, 1.0), (10, 1.1), (10, 1.0), (10, 1.2)), IN_AN_HOUR, INCONCLUSIVE, "all of one size"),
        (restores((10, 1.0), (20, 1.1)), IN_AN_HOUR, INCONCLUSIVE, "too few"),
        (RestoreTimes(2, why_not="no rows can be generated"), IN_AN_HOUR, INCONCLUSIVE, "no rows"),
        (STEADY, BackupSettings(), Verdict.UNVERIFIED, "neither rto_s nor database_gb"),
    ],
)
def test_rto(seen: RestoreTimes, limits: BackupSettings, verdict: Verdict, says: str) -> None:
    """A size is judged only where the line through the restores is known well enough."""
    holds(rto(seen, limits), verdict, says)


@pytest.mark.parametrize(
    "measurement",
    [
        by_commands(
            compared=Compared((LOST_ROWS,), (NO_INDEX,), (NO_ROLE,), ("jobs",)),
            halved=Halved(RESTORED, noticed=True),
        ),
        CONTROLS,
        STEADY,
    ],
    ids=["run", "controls", "times"],
)
def test_measurements_can_be_recorded(measurement: Any) -> None:
    """What was measured is the same after it was written and read."""
    assert TypeAdapter(type(measurement)).validate_python(as_data(measurement)) == measurement
