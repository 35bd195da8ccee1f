"""squawk as a program: what it is asked, and how its answers are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.checks.migration_hazards import HAZARDS
from pytest_prodready.probes.migration_squawk import find_squawk, remarks, squawk_version


@pytest.fixture
def squawk() -> str:
    """The program."""
    found = find_squawk()
    if found is None:
        pytest.skip("squawk is not installed")
    return found


def fake(folder: Path, script: str) -> str:
    """A program that stands for squawk."""
    file = folder / "squawk"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE jobs\n  DROP COLUMN title", "ban-drop-column"),
        ("DROP TABLE jobs", "ban-drop-table"),
        ("ALTER TABLE jobs RENAME TO positions", "renaming-table"),
        ("ALTER TABLE jobs RENAME COLUMN title TO name", "renaming-column"),
        ("ALTER TABLE jobs ADD COLUMN x int NOT NULL", "adding-required-field"),
        ("DROP INDEX jobs_title_idx", "require-concurrent-index-deletion"),
        ("CREATE INDEX i ON jobs (title)", "require-concurrent-index-creation"),
        ("ALTER TABLE jobs ADD CONSTRAINT c CHECK (n > 0)", "constraint-missing-not-valid"),
        ("ALTER TABLE jobs ADD CONSTRAINT u UNIQUE (n)", "disallowed-unique-constraint"),
        ("ALTER TABLE jobs ALTER n TYPE bigint", "changing-column-type"),
        ("ALTER TABLE jobs ALTER n SET NOT NULL", "adding-not-nullable-field"),
        ("TRUNCATE jobs CASCADE", "ban-truncate-cascade"),
    ],
)
def test_hazards_are_named(squawk: str, statement: str, rule: str, tmp_path: Path) -> None:
    """Each is told by the name that we know, with the statement that it is about."""
    sent = (
        "BEGIN",
        "SELECT version()",
        "SET lock_timeout = 200",
        statement,
        "UPDATE jobs SET n = $1",
        "COMMIT",
    )
    found = remarks(squawk, sent, "17.2 (Debian 17.2-1)", tmp_path)
    assert found.doubt == ""
    assert rule in HAZARDS
    assert {each.rule: each.statement for each in found.hazards}[rule] == statement


@pytest.mark.parametrize(
    "statements",
    [
        ("BEGIN", "CREATE TABLE fresh (id bigint, t text)", "CREATE INDEX i ON fresh (t)", "COMMIT"),
        ("ALTER TABLE jobs ADD COLUMN x text",),
        ("-- squawk-ignore ban-drop-column\nALTER TABLE jobs DROP COLUMN title",),
        ("SELECT 1", "INSERT INTO jobs VALUES ($1)"),
        (),
    ],
)
def test_no_hazard(squawk: str, statements: tuple[str, ...], tmp_path: Path) -> None:
    """New tables, harmless changes, what is accepted in the text, and what defines nothing."""
    found = remarks(squawk, statements, "15", tmp_path)
    assert [each.rule for each in found.hazards if each.rule in HAZARDS] == []
    assert found.doubt == ""


def test_its_configuration_is_heeded(squawk: str, tmp_path: Path) -> None:
    """A .squawk.toml of the user's says what squawk leaves out."""
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-column"]\n')
    found = remarks(squawk, ("ALTER TABLE jobs DROP COLUMN title",), "17.2", tmp_path)
    assert "ban-drop-column" not in {each.rule for each in found.hazards}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 3", "squawk ended with status 3"),
        ("echo nonsense", "squawk could not be asked: JSONDecodeError"),
        ("echo '[]'; echo broken >&2; exit 2", "squawk ended with status 2: broken"),
    ],
)
def test_a_program_that_fails(script: str, says: str, tmp_path: Path) -> None:
    """What it doesn't answer is a doubt, and no hazard."""
    found = remarks(fake(tmp_path, script), ("DROP TABLE jobs",), "17.2", tmp_path)
    assert says in found.doubt
    assert found.hazards == ()


def test_version(squawk: str) -> None:
    """It tells its version; without a program there is none."""
    assert squawk_version(squawk)[0].isdigit()
    assert squawk_version(None) == ""
