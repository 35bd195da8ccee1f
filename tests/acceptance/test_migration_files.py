"""Tools that step by no revision: their command and the folder of their files are all that is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Level
from tests.gate import GateRun, run_gate
from tests.services.migration.folders import GOOD, INDEXED, REQUIRED, SAFE, WRITERS, Histories
from tests.targets import SMALL, small_target

DECLARED = """
[migration]
upgrade = "{upgrade}"
files = "migrations"
traffic_rows = 5000
"""
ENV = 'command = "{python} server.py {port}"\nenv = { DATABASE_URL = "{postgres.url}" }'


def gate(folder: Path, layout: str, revisions: Histories, files: str = "migrations") -> GateRun:
    """The migration suite on a service whose tool is like this one."""
    upgrade = WRITERS[layout](folder / files, revisions)
    text = SMALL.replace('command = "{python} server.py {port}"', ENV)
    path = small_target(folder, text + DECLARED.replace("{upgrade}", upgrade))
    return run_gate(folder, "-m", "migration", path.name)


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_good_history(layout: str, tmp_path: Path) -> None:
    """Every rule that must hold is tried, and holds."""
    run = gate(tmp_path, layout, SAFE[layout])
    musts = {rule: verdict for rule, verdict in run.verdicts.items() if RULES[rule].level is Level.MUST}
    assert len(musts) > 10
    assert set(musts.values()) == {"passed"}, run.output
    assert run.code == 0, run.output


@pytest.mark.parametrize("layout", sorted(WRITERS))
@pytest.mark.parametrize(
    ("revisions", "rule"),
    [
        (INDEXED, "migration.indexes-built-concurrently"),
        (REQUIRED, "migration.constraints-validated-apart"),
    ],
    ids=["index", "not-null"],
)
def test_bad_history(layout: str, revisions: Histories, rule: str, tmp_path: Path) -> None:
    """A file without care fails its rule, and no rule that must hold is left untried."""
    run = gate(tmp_path, layout, revisions)
    assert run.verdicts[rule] == "failed", run.output
    untried = [each for each, verdict in run.verdicts.items() if verdict == "unverified"]
    assert not [each for each in untried if RULES[each].level is Level.MUST], run.output
    assert run.code == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is told at once, with what such a folder holds."""
    run = gate(tmp_path, "drizzle", GOOD, files="elsewhere")
    assert run.code == 4, run.output
    assert "The folder of migrations does not exist." in run.output
    assert "Traceback" not in run.output
