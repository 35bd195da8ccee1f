"""Steps as SQL files, on databases of their own: which tables are touched, filled and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from pytest_prodready.checks.migration_locks import constraints_validated_apart, indexes_built_concurrently
from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.migration_steps import traffic
from pytest_prodready.probes.migration_traffic import Traffic
from pytest_prodready.settings import Settings
from tests.services.migration.conftest import settings_of as migrated

USERS = "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, age int)"
Try = Callable[..., Traffic]


def settings_of(**migration: object) -> Settings:
    """Settings with the tiny service and these migrations."""
    return migrated(**{"traffic_rows": 3000, **migration})


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One environment for all tests: they work on databases of their own."""
    started = Environment.start(settings_of(), folder=tmp_path_factory.mktemp("target"))
    yield started
    started.stop()


@pytest.fixture
def tried(environment: Environment, tmp_path: Path) -> Try:
    """Takes revisions as SQL by name, and runs them under traffic."""

    def run(revisions: Mapping[str, str], **migration: object) -> Traffic:
        for name, up in revisions.items():
            (tmp_path / f"{name}.up.sql").write_text(up)
        return traffic(environment, settings_of(files=str(tmp_path), **migration), lambda _: None)

    return run


def test_new_and_filled_tables(tried: Try) -> None:
    """A table is filled once a step touches it; what an earlier step has put in stays as it is."""
    seen = tried(
        {
            "1": f"{USERS}; CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1), (2)",
            "2": "CREATE INDEX users_name ON users (name); UPDATE kinds SET id = id + 10",
        }
    )
    first, second = seen.steps
    assert (first.touched, first.busy) == ((), None)
    assert {(each.name, each.rows, each.filled) for each in second.touched} == {
        ("users", 3000, True),
        ("kinds", 2, False),
    }
    finding = indexes_built_concurrently(seen, settings_of().migration)
    assert finding.verdict == "failed", finding.summary
    assert "2 builds users_name on users (3,000 rows here) under SHARE" in finding.summary


def test_names_that_need_quotes(tried: Try) -> None:
    """Tables of another schema, with capitals, spaces and percent signs, are worked on like any other."""
    table = '"Sales 100%"."Order Lines"'
    seen = tried(
        {
            "1": f'CREATE SCHEMA "Sales 100%"; CREATE TABLE {table} ("Key %" int PRIMARY KEY, "n%" int)',
            "2": f'ALTER TABLE {table} ADD "More" text',
        }
    )
    step = seen.steps[1]
    assert step.doubt == ""
    assert step.busy is not None
    assert step.busy.ran
    assert [each.name for each in step.touched] == [table]
    assert (step.busy.reads.errors, step.busy.writes.errors) == ((), ())


def test_a_table_without_a_key_and_a_partitioned_one(tried: Try) -> None:
    """Rows are found by where they lie, and partitions through their parent."""
    seen = tried(
        {
            "1": "CREATE TABLE heap (a text, b int);"
            "CREATE TABLE part (id int, day int, PRIMARY KEY (id, day)) PARTITION BY HASH (id);"
            "CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
            "CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
            "2": "ALTER TABLE heap ADD c int; ALTER TABLE part ADD note text",
        }
    )
    step = seen.steps[1]
    assert step.busy is not None
    assert {each.name for each in step.touched if each.filled} == {"heap", "part"}
    assert (step.busy.reads.errors, step.busy.writes.errors) == ((), ())


def test_a_step_of_data_alone(tried: Try) -> None:
    """What defines nothing is found by what it reads and writes."""
    seen = tried({"1": USERS, "2": "UPDATE users SET age = 7 WHERE age IS NULL"})
    assert [each.name for each in seen.steps[1].touched] == ["users"]
    assert seen.steps[1].defined.lock_timeouts_ms == ()


def test_older_steps_are_left_out(tried: Try) -> None:
    """Production has them behind it; the newest ones begin where they end."""
    seen = tried({"1": USERS, "2": "ALTER TABLE users ADD x int", "3": "SELECT 1"}, traffic_steps=2)
    assert ([each.revision for each in seen.steps], seen.left_out) == (["2", "3"], 1)


def test_a_step_that_rows_break(tried: Try) -> None:
    """What the made-up rows don't let through leaves the rules open, with the server's words."""
    seen = tried({"1": USERS, "2": "ALTER TABLE users ADD CONSTRAINT same CHECK (name = 'x')"})
    finding = constraints_validated_apart(seen, settings_of().migration)
    assert finding.verdict == "inconclusive"
    assert "2: it ended with status 1 on tables with rows" in finding.summary


def test_a_step_that_fails_at_once(tried: Try) -> None:
    """The steps after it are not tried."""
    seen = tried({"1": USERS, "2": "ALTER TABLE nowhere ADD x int", "3": "SELECT 1"})
    assert [each.revision for each in seen.steps] == ["1", "2"]
    assert "it ended with status 1 on empty tables" in seen.steps[1].doubt


def test_nothing_is_left_on_the_server(environment: Environment, tried: Try) -> None:
    """Every database that was made for it is gone."""
    tried({"1": USERS, "2": "ALTER TABLE users ADD x int"})
    assert environment.database is not None
    with environment.database.admin(database="postgres") as admin:
        names = {name for (name,) in admin.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")}
    assert names == {"postgres", environment.database.name}
