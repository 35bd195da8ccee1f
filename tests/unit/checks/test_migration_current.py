"""Verdicts on where a tool says that the database is, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import migration
from pytest_prodready.environment.ran import Ran
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration import RoundTrips, Step, Turn
from pytest_prodready.probes.migration_history import History
from pytest_prodready.settings import MigrationSettings

LIMITS = MigrationSettings()
WELL = Ran(0, 0.5, "", 0)


def said(text: str, status: int = 0) -> Ran:
    """A word of the tool's."""
    return Ran(status, 0.1, text, len(text))


NONE, ONE, TWO = said("no table", status=1), said("at a1, 2026-11-29T22:15:49Z"), said("at b2")
BOTH = History(heads=("b2",), revisions=("a1", "b2"))
SECOND = Step("b2", "a1", Turn(WELL, at=TWO), Turn(WELL, at=ONE), Turn(WELL, at=TWO), rows=4, at=ONE)
WHOLE = Step("b2", "", Turn(WELL, at=TWO), Turn(WELL, at=said("")), Turn(WELL, at=TWO), rows=4, at=NONE)
SOUND = RoundTrips(BOTH, (SECOND,), WHOLE, Turn(WELL, at=TWO), WELL)


def failed(seen: RoundTrips) -> dict[str, str]:
    """The rules that fail, and what they say."""
    found: list[Finding] = [
        migration.upgrades_from_empty(seen),
        migration.downgrade_undoes(seen, LIMITS),
        migration.round_trip(seen, LIMITS),
        migration.twice_is_nothing(seen),
    ]
    return {each.rule.id: each.summary for each in found if each.verdict == "failed"}


def second(**changes: object) -> RoundTrips:
    """Everything well but for the second revision."""
    return replace(SOUND, steps=(replace(SECOND, **changes),))  # type: ignore[arg-type]


def test_it_follows() -> None:
    """Nothing is said where its word follows, nor where it wasn't asked; times don't count."""
    assert failed(SOUND) == {}
    assert failed(second(down=Turn(WELL, at=said("at a1, 2027-01-01T00:00:00+01:00")))) == {}
    silent = Step("b2", "a1", Turn(WELL), Turn(WELL), Turn(WELL), rows=4)
    assert failed(replace(SOUND, steps=(silent,), whole=replace(silent, before=""), twice=Turn(WELL))) == {}


@pytest.mark.parametrize(
    ("up", "says"),
    [
        (ONE, "b2: after it current says at a1, 2026-11-29T22:15:49Z, as before it"),
        (said("no such table", status=1), "b2: current ended with status 1: no such table"),
    ],
)
def test_it_stays_behind_the_upgrade(up: Ran, says: str) -> None:
    """It says what it said before, or fails."""
    found = failed(second(up=Turn(WELL, at=up), down=None, again=None))
    assert found == {"migration.upgrades-from-empty": says}


def test_it_lists_all_revisions() -> None:
    """A list that names the revision before the upgrade as well can't be told from one that follows."""
    listing = said("a1 b2")
    step = replace(SECOND, at=listing, up=Turn(WELL, at=listing), down=Turn(WELL, at=listing), again=None)
    assert failed(replace(SOUND, steps=(step,))) == {}


def test_it_stays_behind_the_downgrade() -> None:
    """After a step it is what it was before; after all of them anything but what it was above."""
    found = failed(second(down=Turn(WELL, at=TWO), again=None))
    says = "b2: after the downgrade current says at b2; before the upgrade current says at a1, "
    assert list(found) == ["migration.downgrade-undoes"]
    assert found["migration.downgrade-undoes"].startswith(says)
    whole = replace(WHOLE, down=Turn(WELL, at=TWO))
    says = "all at once: after the downgrade current says at b2, as before it"
    assert failed(replace(SOUND, whole=whole)) == {"migration.downgrade-undoes": says}
    assert failed(replace(SOUND, whole=replace(WHOLE, down=Turn(WELL, at=NONE)))) == {}


def test_the_second_upgrade_leads_elsewhere() -> None:
    """It says something else than after the first."""
    says = "b2: after the second upgrade current says nothing; after the first current says at b2"
    assert failed(second(again=Turn(WELL, at=said("")))) == {"migration.round-trip": says}


def test_it_moves_where_there_is_nothing_to_do() -> None:
    """The same upgrade twice is one."""
    says = "the second time: then current says at b2 twice; after the first current says at b2"
    assert failed(replace(SOUND, twice=Turn(WELL, at=said("at b2 twice")))) == {
        "migration.twice-is-nothing": says
    }
