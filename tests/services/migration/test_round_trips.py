"""Round trips of SQL files on a real server: what becomes of schema and rows."""

from __future__ import annotations

import pytest

from pytest_prodready.checks import migration
from pytest_prodready.errors import ConfigError
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration import RoundTrips
from pytest_prodready.settings import MigrationSettings

from .conftest import Try

USERS = ("CREATE TABLE users (id int PRIMARY KEY, email text, name text NOT NULL)", "DROP TABLE users")
LIMITS = MigrationSettings()


def keeps(seen: RoundTrips) -> tuple[Finding, Finding]:
    """What is said of the data, upwards and downwards."""
    return migration.upgrade_keeps_data(seen), migration.downgrade_keeps_data(seen, LIMITS)


def test_an_added_column(tried: Try) -> None:
    """It is made and dropped; what it held goes with it, which is told and no loss."""
    seen = tried(
        {"1": USERS, "2": ("ALTER TABLE users ADD age int", "ALTER TABLE users DROP age")},
    )
    upwards, downwards = keeps(seen)
    assert (upwards.verdict, downwards.verdict) == ("passed", "passed")
    assert "with what is new went" in downwards.summary
    assert "values of public.users.age" in downwards.summary
    assert migration.round_trip(seen, LIMITS).verdict == "passed"
    assert migration.dropped_data_known(seen).verdict == "passed"


def test_a_renamed_column_and_table(tried: Try) -> None:
    """Whatever holds them is called, rows and values are the same ones."""
    seen = tried(
        {
            "1": USERS,
            "2": (
                "ALTER TABLE users RENAME name TO full_name; ALTER TABLE users RENAME TO people",
                "ALTER TABLE people RENAME TO users; ALTER TABLE users RENAME full_name TO name",
            ),
        }
    )
    assert [each.verdict for each in keeps(seen)] == ["passed", "passed"]
    assert migration.downgrade_undoes(seen, LIMITS).verdict == "passed"


def test_a_column_that_moves_to_another_table_and_back(tried: Try) -> None:
    """A split that copies the values, and a downgrade that copies them back."""
    up = (
        "CREATE TABLE emails (user_id int PRIMARY KEY REFERENCES users, email text);"
        "INSERT INTO emails SELECT id, email FROM users; ALTER TABLE users DROP email"
    )
    down = (
        "ALTER TABLE users ADD email text;"
        "UPDATE users SET email = e.email FROM emails e WHERE e.user_id = users.id; DROP TABLE emails"
    )
    seen = tried({"1": USERS, "2": (up, down)})
    upwards, downwards = keeps(seen)
    assert (upwards.verdict, downwards.verdict) == ("passed", "passed"), downwards.summary
    assert "of public.users.email dropped" in migration.dropped_data_known(seen).summary


def test_a_downgrade_that_makes_the_column_anew(tried: Try) -> None:
    """The schema is right again, and the values are gone."""
    seen = tried(
        {"1": USERS, "2": ("ALTER TABLE users DROP email", "ALTER TABLE users ADD email text")},
    )
    assert migration.downgrade_undoes(seen, LIMITS).verdict == "passed"
    finding = migration.downgrade_keeps_data(seen, LIMITS)
    assert finding.verdict == "failed"
    assert "values of public.users.email lost" in finding.summary


@pytest.mark.parametrize(
    ("down", "told"),
    [
        ("ALTER TABLE users DROP age; DELETE FROM users WHERE id % 2 = 0", "rows of public.users lost"),
        ("ALTER TABLE users DROP age; TRUNCATE users", "20 of 20 rows of public.users lost"),
        ("ALTER TABLE users DROP age; UPDATE users SET email = NULL", "values of public.users.email lost"),
        (
            "ALTER TABLE users DROP age; UPDATE users SET name = 'x'",
            "20 of 20 values of public.users.name lost",
        ),
    ],
)
def test_a_downgrade_that_loses(tried: Try, down: str, told: str) -> None:
    """Rows and values are counted."""
    seen = tried({"1": USERS, "2": ("ALTER TABLE users ADD age int", down)})
    finding = migration.downgrade_keeps_data(seen, LIMITS)
    assert finding.verdict == "failed"
    assert told in finding.summary


def test_an_upgrade_that_loses(tried: Try) -> None:
    """Rows that an upgrade deletes, and values that it turns into nulls."""
    seen = tried(
        {
            "1": USERS,
            "2": ("DELETE FROM users WHERE id % 2 = 0", "SELECT 1"),
            "3": ("UPDATE users SET email = NULL", "SELECT 1"),
        }
    )
    summary = migration.upgrade_keeps_data(seen).summary
    assert "rows of public.users lost" in summary
    assert "3: " in summary
    assert "values of public.users.email lost" in summary


def test_an_upgrade_that_changes_values(tried: Try) -> None:
    """Values may be changed for good reasons; nulls may be filled."""
    seen = tried({"1": USERS, "2": ("UPDATE users SET name = lower(name), email = 'x'", "SELECT 1")})
    assert migration.upgrade_keeps_data(seen).verdict == "passed"


def test_an_upgrade_that_meets_rows(tried: Try) -> None:
    """What works on empty tables alone fails with rows in them."""
    seen = tried({"1": USERS, "2": ("ALTER TABLE users ADD age int NOT NULL", "ALTER TABLE users DROP age")})
    finding = migration.upgrades_from_empty(seen)
    assert finding.verdict == "failed"
    assert 'column "age" of relation "users" contains null values' in finding.summary


def test_a_downgrade_that_is_missing_or_fails(tried: Try) -> None:
    """It is told which; the revisions after it are tried all the same."""
    third = ("ALTER TABLE users ADD more int", "ALTER TABLE users DROP more")
    seen = tried({"1": USERS, "2": ("ALTER TABLE users ADD age int", None), "3": third})
    finding = migration.downgrade_runs(seen, LIMITS)
    assert finding.verdict == "failed"
    assert "2: ended with status 1: 2.down.sql does not exist" in finding.summary
    assert [step.revision for step in seen.steps if step.again] == ["1", "3"]


def test_one_that_is_declared_irreversible(tried: Try) -> None:
    """It isn't held against the rules about the way down; its reason is told."""
    limits = MigrationSettings(irreversible={"2": "the old values are wrong"})
    revisions = {"1": USERS, "2": ("ALTER TABLE users DROP email", None)}
    seen = tried(revisions, irreversible=limits.irreversible)
    finding = migration.downgrade_runs(seen, limits)
    assert finding.verdict == "passed"
    assert "declared irreversible: 2 (the old values are wrong)" in finding.summary


def test_only_the_newest_are_stepped_through(tried: Try) -> None:
    """Older ones are run at once; how many is told."""
    more = {
        str(number): (f"CREATE TABLE t{number} (n int)", f"DROP TABLE t{number}") for number in range(2, 6)
    }
    seen = tried({"1": USERS, **more}, steps=2)
    assert [step.revision for step in seen.steps] == ["4", "5"]
    assert "2 revisions (3 older ones only all at once)" in migration.upgrades_from_empty(seen).summary


def test_rows_that_cant_be_made_up(tried: Try) -> None:
    """A table that stays empty is told; with none filled, nothing could be lost, and nothing is known."""
    odd = ("CREATE TABLE odd (n int CHECK (n = n + 1 AND n IS NOT NULL))", "DROP TABLE odd")
    seen = tried({"1": odd})
    finding = migration.upgrade_keeps_data(seen)
    assert finding.verdict == "inconclusive"
    assert "odd" in finding.summary


def test_a_revision_that_isnt_there(tried: Try) -> None:
    """One that is declared and doesn't exist is an error, with the nearest that does."""
    with pytest.raises(ConfigError, match="did you mean 0002_email"):
        tried({"0001_users": USERS, "0002_email": ("SELECT 1", "SELECT 1")}, irreversible={"0002": "why not"})
