"""Verdicts on the way back by a restore, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks.migration_restore import restore_leads_back
from pytest_prodready.environment.postgres_tools import ToolRan
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.contents_differences import ContentDifference
from pytest_prodready.probes.migration_restore import WayBack
from pytest_prodready.probes.schema import SchemaDifference

WELL, BADLY = Ran(0, 0.5, "", 0), Ran(1, 0.5, "ERROR: it exists", 16)
PROGRAMS = (ToolRan("pg_dump", 0, 0.2), ToolRan("pg_restore", 0, 0.2))
SOUND = WayBack("0001", 41, PROGRAMS, WELL, 4, again=WELL)
TABLE = ContentDifference("table", "public.jobs", "changed", "20 rows", "19 rows")
GRANT = SchemaDifference("privileges", "public.jobs", "missing", "r", "")


def test_sound() -> None:
    """It is as it was, and was upgraded again; a tool of files alone isn't asked to."""
    finding = restore_leads_back(SOUND)
    assert finding.verdict == "passed"
    assert finding.summary == (
        "backed up at 0001 with 41 rows, 4 things changed by the upgrade, restored as it was,"
        " and upgraded again"
    )
    assert restore_leads_back(replace(SOUND, again=None, before="")).verdict == "passed"


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (
            replace(SOUND, programs=(ToolRan("pg_dump", 1, 0.1, "denied"),), upgrade=None, again=None),
            "pg_dump ended with status 1: denied",
        ),
        (replace(SOUND, contents=(TABLE,)), "public.jobs: 20 rows before, 19 rows after"),
        (replace(SOUND, schema=(GRANT,)), "missing: privileges public.jobs"),
        (
            replace(SOUND, again=BADLY),
            "the upgrade of the restored database ended with status 1: ERROR: it exists",
        ),
        (
            replace(SOUND, differences=(GRANT,)),
            "the upgrade of the restored database leads elsewhere: missing: privileges public.jobs",
        ),
    ],
)
def test_fails(seen: WayBack, says: str) -> None:
    """A program fails, something isn't as it was, or the next upgrade isn't what the first one was."""
    finding = restore_leads_back(seen)
    assert (finding.verdict, finding.summary) == ("failed", says)


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (WayBack(doubt="two heads"), "two heads"),
        (replace(SOUND, upgrade=BADLY), "the upgrade ended with status 1: ERROR: it exists"),
        (replace(SOUND, upgrade=None, again=None), "no upgrade was taken back"),
        (replace(SOUND, rows=0), "the database was empty, so that nothing could come back"),
    ],
)
def test_unknown(seen: WayBack, says: str) -> None:
    """No upgrade, or nothing to bring back."""
    finding = restore_leads_back(seen)
    assert (finding.verdict, finding.summary) == ("inconclusive", says)
