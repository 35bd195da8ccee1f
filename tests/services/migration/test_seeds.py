"""Round trips with the rows of the service's own seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.checks import migration
from pytest_prodready.findings import Verdict
from pytest_prodready.settings import MigrationSettings

from .conftest import Try

SEED = f"{{python}} {Path(__file__).with_name('seed.py')}"
LIMITS = MigrationSettings()
USERS = ("CREATE TABLE users (id int PRIMARY KEY, name text)", "DROP TABLE users")
UP, DOWN = "ALTER TABLE users ADD note text", "ALTER TABLE users DROP note"


def test_its_rows_are_kept(tried: Try) -> None:
    """They are there when all is run at once, and alone when the newest revision is taken back."""
    seen = tried({"1": USERS, "2": (UP, DOWN)}, seed=SEED)
    assert seen.seeded is not None
    assert seen.seeded.rows == 3
    assert seen.with_seed is not None
    assert (seen.with_seed.revision, seen.with_seed.rows) == ("2", 3)
    for finding in (migration.upgrade_keeps_data(seen), migration.downgrade_keeps_data(seen, LIMITS)):
        assert finding.verdict is Verdict.PASSED


def test_its_rows_are_lost(tried: Try) -> None:
    """A downgrade that loses what only the service's own rows mean, such as one user whom all else needs."""
    down = f"{DOWN}; DELETE FROM users WHERE name = 'root'"
    seen = tried({"1": USERS, "2": (UP, down)}, seed=SEED)
    finding = migration.downgrade_keeps_data(seen, LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert finding.summary == "2 with rows of the seed: 1 of 3 rows of public.users lost"


def test_its_rows_stop_the_downgrade(tried: Try) -> None:
    """A constraint that the older schema had, and rows that the newer one allows."""
    first = ("CREATE TABLE users (id int PRIMARY KEY, name text CHECK (name <> 'root'))", "DROP TABLE users")
    up = "ALTER TABLE users DROP CONSTRAINT users_name_check"
    down = "ALTER TABLE users ADD CHECK (name <> 'root')"
    finding = migration.downgrade_runs(tried({"1": first, "2": (up, down)}, seed=SEED), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert finding.summary.startswith("2 with rows of the seed: ended with status 1: ")


@pytest.mark.parametrize(
    ("seed", "says"),
    [
        ('{python} -c "raise SystemExit(3)"', "the seed ended with status 3"),
        ("{python} -c pass", "the seed added no rows"),
    ],
)
def test_it_makes_none(tried: Try, seed: str, says: str) -> None:
    """Then nothing is known of the service's own rows."""
    seen = tried({"1": USERS, "2": (UP, DOWN)}, seed=seed)
    assert seen.with_seed is None
    finding = migration.downgrade_keeps_data(seen, LIMITS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert says in finding.summary
