"""A tool that is known by its commands alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.checks import migration, migration_deploys, migration_restore
from pytest_prodready.environment.environment import Environment
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.migration import round_trips
from pytest_prodready.probes.migration_deploys import deploys
from pytest_prodready.probes.migration_restore import way_back
from pytest_prodready.probes.migration_tool import tool_for

from .conftest import settings_of

TOOL = f"{{python}} {Path(__file__).with_name('tool.py')}"
EVERY = {
    "migration.upgrades-from-empty",
    "migration.downgrade-undoes",
    "migration.round-trip",
    "migration.twice-is-nothing",
}


def test_one_that_knows_revisions(environment: Environment) -> None:
    """It is taken through its revisions one by one; its own table stays, and is no leftover."""
    settings = settings_of(
        upgrade=f"{TOOL} up {{revision}}",
        downgrade=f"{TOOL} down {{revision}}",
        revisions=f"{TOOL} list",
        base="0",
    )
    seen = round_trips(environment, settings, lambda _: None)
    assert seen.history.revisions == ("1", "2", "3")
    assert [step.revision for step in seen.steps if step.again] == ["1", "2", "3"]
    limits = settings.migration
    for check in (migration.downgrade_runs, migration.downgrade_undoes, migration.round_trip):
        assert check(seen, limits).verdict is Verdict.PASSED


def test_one_with_many_revisions(environment: Environment) -> None:
    """All that it lists are known, so that the newest ones begin where the older ones end."""
    listing = "{python} -c \"print(*range(1, 41), sep='\\n')\""
    settings = settings_of(upgrade=f"{TOOL} up {{revision}}", revisions=listing).migration
    with environment.blank("many") as beside:
        history = tool_for(environment, beside, settings, lambda _: None).history()
    assert len(history.revisions) == 40
    assert history.newest(25)[0] == ("15", "16")


@pytest.mark.parametrize(
    ("current", "failed"),
    [
        (f"{TOOL} current", set()),
        (
            "{python} -c \"print('version 2')\"",
            {"migration.upgrades-from-empty", "migration.downgrade-undoes"},
        ),
        ('{python} -c "raise SystemExit(3)"', EVERY),
        ('{python} -c "import uuid; print(uuid.uuid4())"', EVERY - {"migration.upgrades-from-empty"}),
    ],
)
def test_where_it_says_that_it_is(environment: Environment, current: str, failed: set[str]) -> None:
    """Its word follows what was done; one that stays, fails or changes is told by that turn's rule."""
    settings = settings_of(
        upgrade=f"{TOOL} up {{revision}}",
        downgrade=f"{TOOL} down {{revision}}",
        revisions=f"{TOOL} list",
        base="0",
        current=current,
        steps=2,
    )
    seen = round_trips(environment, settings, lambda _: None)
    found = [
        migration.upgrades_from_empty(seen),
        migration.downgrade_undoes(seen, settings.migration),
        migration.round_trip(seen, settings.migration),
        migration.twice_is_nothing(seen),
    ]
    assert {each.rule.id for each in found if each.verdict is Verdict.FAILED} == failed
    assert all("current" in each.summary for each in found if each.rule.id in failed)


def test_one_that_goes_back_by_one_step(environment: Environment) -> None:
    """Without names of revisions it goes up at once, and back as often as something changes."""
    settings = settings_of(upgrade=f"{TOOL} up", downgrade=f"{TOOL} down")
    seen = round_trips(environment, settings, lambda _: None)
    assert seen.steps == ()
    assert seen.whole is not None
    assert seen.whole.down is not None
    assert seen.whole.down.differences == ()
    assert migration.round_trip(seen, settings.migration).verdict is Verdict.PASSED
    assert migration.single_head(seen).verdict is Verdict.INCONCLUSIVE


def test_one_that_only_goes_up(environment: Environment) -> None:
    """A tool without a way down is judged on the way up, on failures, and by the restore."""
    settings = settings_of(upgrade=f"{TOOL} up")
    seen = round_trips(environment, settings, lambda _: None)
    assert migration.upgrades_from_empty(seen).verdict is Verdict.PASSED
    assert migration.twice_is_nothing(seen).verdict is Verdict.PASSED
    assert migration.upgrade_keeps_data(seen).verdict is Verdict.INCONCLUSIVE
    wrong = deploys(environment, settings, lambda _: None)
    assert migration_deploys.failure_leaves_nothing(wrong).verdict is Verdict.PASSED
    assert migration_deploys.two_at_once(wrong).verdict is Verdict.PASSED
    restored = migration_restore.restore_leads_back(way_back(environment, settings, lambda _: None))
    assert restored.verdict is Verdict.PASSED
    assert "at the newest revision" in restored.summary
