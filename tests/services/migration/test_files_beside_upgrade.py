"""SQL files that only go forwards, beside the command that runs them in production."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_prodready.checks import migration, migration_deploys, migration_restore
from pytest_prodready.checks.migration_locks import constraints_validated_apart, indexes_built_concurrently
from pytest_prodready.checks.migration_stalls import lock_timeout
from pytest_prodready.environment.environment import Environment
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.migration import round_trips
from pytest_prodready.probes.migration_deploys import deploys
from pytest_prodready.probes.migration_restore import way_back
from pytest_prodready.probes.migration_steps import traffic
from pytest_prodready.settings import Settings

from .conftest import settings_of
from .folders import CONCURRENT, GOOD, INDEXED, JOBS, REQUIRED, SAFE, WRITERS, Histories

Given = Callable[..., Settings]
Check = Callable[..., Finding]


@pytest.fixture(params=sorted(WRITERS))
def layout(request: pytest.FixtureRequest) -> str:
    """Each tool's layout in turn."""
    return str(request.param)


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """Takes revisions, writes them as the tool does, and declares both."""

    def settings(layout: str, revisions: Histories, **more: object) -> Settings:
        upgrade = WRITERS[layout](tmp_path / "files", revisions)
        return settings_of(upgrade=upgrade, files=str(tmp_path / "files"), traffic_rows=3000, **more)

    return settings


def test_round_trips(layout: str, environment: Environment, given: Given) -> None:
    """The command goes all the way, the files step by step; there is no way down."""
    settings = given(layout, GOOD)
    seen = round_trips(environment, settings, lambda _: None)
    assert [(each.revision, each.rows > 0, each.down) for each in seen.steps] == [
        (name, True, None) for name in GOOD
    ]
    assert seen.whole is not None
    assert (seen.whole.down, seen.elsewhere) == (None, ())
    for check in (
        migration.single_head,
        migration.upgrades_from_empty,
        migration.upgrade_keeps_data,
        migration.dropped_data_known,
        migration.twice_is_nothing,
    ):
        assert check(seen).verdict is Verdict.PASSED, check(seen).summary


def test_deploys_and_the_restore(layout: str, environment: Environment, given: Given) -> None:
    """The command fails, is run twice at once; the restore leads back behind the newest file."""
    settings = given(layout, GOOD)
    wrong = deploys(environment, settings, lambda _: None)
    assert [each.revision for each in wrong.failures] == [""]
    failed = migration_deploys.failure_leaves_nothing(wrong)
    assert failed.verdict is Verdict.PASSED, failed.summary
    twice = migration_deploys.two_at_once(wrong)
    assert twice.verdict is Verdict.PASSED, twice.summary
    seen = way_back(environment, settings, lambda _: None)
    restored = migration_restore.restore_leads_back(seen)
    assert restored.verdict is Verdict.PASSED, restored.summary
    assert "backed up at 0001_region" in restored.summary
    assert "upgraded again" in restored.summary
    assert seen.upgraded > 0


def test_dropped_data(layout: str, environment: Environment, given: Given) -> None:
    """What a file drops with its rows is told, and what it loses counts."""
    last = {
        "0003_drop": ("ALTER TABLE jobs DROP COLUMN region",),
        "0004_lose": ("DELETE FROM jobs WHERE id > 1",),
    }
    seen = round_trips(environment, given(layout, {**GOOD, **last}), lambda _: None)
    assert "0003_drop" in migration.dropped_data_known(seen).summary
    lost = migration.upgrade_keeps_data(seen)
    assert lost.verdict is Verdict.FAILED
    assert "0004_lose" in lost.summary


QUEUES: Histories = {"0000_jobs": (JOBS,), "0001_n": ("ALTER TABLE jobs ADD n int",)}
CARELESS = [
    (INDEXED, indexes_built_concurrently, "builds jobs_city on jobs (3,000 rows here) under SHARE"),
    (REQUIRED, constraints_validated_apart, "for NOT NULL of city under ACCESS EXCLUSIVE"),
    (QUEUES, lock_timeout, "no lock_timeout"),
]


@pytest.mark.parametrize("careless", CARELESS, ids=["index", "not-null", "queue"])
def test_careless_files(
    careless: tuple[Histories, Check, str], layout: str, environment: Environment, given: Given
) -> None:
    """A file that isn't careful fails its rule under traffic."""
    revisions, check, says = careless
    settings = given(layout, revisions, traffic_steps=1)
    found = check(traffic(environment, settings, lambda _: None), settings.migration)
    assert found.verdict is Verdict.FAILED, found.summary
    assert says in found.summary


def test_one_statement_outside_of_a_transaction(layout: str, environment: Environment, given: Given) -> None:
    """CREATE INDEX CONCURRENTLY runs alone in its file with prisma, and between transactions with drizzle."""
    settings = given(layout, SAFE[layout], traffic_steps=1)
    (step,) = traffic(environment, settings, lambda _: None).steps
    assert step.busy is not None, step.doubt
    assert step.busy.ran
    assert [(each.index, each.mode) for each in step.defined.built] == [("jobs_city", "")]
    found = round_trips(environment, settings, lambda _: None)
    assert migration.upgrades_from_empty(found).verdict is Verdict.PASSED


def test_it_fails_where_the_tool_does(environment: Environment, given: Given) -> None:
    """Drizzle begins a transaction: there the same file fails, by its command and as a step."""
    settings = given("drizzle", CONCURRENT, traffic_steps=1)
    (step,) = traffic(environment, settings, lambda _: None).steps
    assert "cannot run inside a transaction block" in step.doubt
    found = migration.upgrades_from_empty(round_trips(environment, settings, lambda _: None))
    assert found.verdict is Verdict.FAILED
    assert "cannot run inside a transaction block" in found.summary


def test_lock_timeout_of_the_role(layout: str, environment: Environment, given: Given) -> None:
    """What is set for the role holds in every session, whoever opens it."""
    revisions = {
        "0000_jobs": (JOBS, "ALTER ROLE CURRENT_USER SET lock_timeout = '250ms'"),
        "0001_n": ("ALTER TABLE jobs ADD n int",),
    }
    settings = given(layout, revisions, traffic_steps=1)
    try:
        found = lock_timeout(traffic(environment, settings, lambda _: None), settings.migration)
    finally:
        assert environment.database is not None
        with environment.database.admin() as admin:
            admin.execute(f"ALTER ROLE {environment.database.user} RESET lock_timeout")
    assert found.verdict is Verdict.PASSED, found.summary
    assert "gives up its place in a queue" in found.summary


def test_files_of_another_history(environment: Environment, given: Given, tmp_path: Path) -> None:
    """Files that lead elsewhere than the command prove nothing about it, and that is said."""
    settings = given("drizzle", GOOD)
    upgrade = WRITERS["prisma"](tmp_path / "others", {**GOOD, "0003_more": ("CREATE TABLE more (id int)",)})
    both = {"migration": settings.migration.model_copy(update={"upgrade": upgrade})}
    seen = round_trips(environment, settings.model_copy(update=both), lambda _: None)
    found = migration.upgrades_from_empty(seen)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "files don't show what upgrade does" in found.summary
    assert "more" in found.summary
