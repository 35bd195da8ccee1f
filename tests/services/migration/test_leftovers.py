"""Whatever a downgrade forgets is found by name, of every kind that the catalogue has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_prodready.checks.migration import downgrade_undoes
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration import RoundTrips, Step, Turn
from pytest_prodready.probes.migration_history import History
from pytest_prodready.probes.schema import schema, schema_differences
from pytest_prodready.settings import MigrationSettings

from .conftest import Try
from .leftovers import BASE, LEFTOVERS, Leftover

WELL = Ran(0, 0.1, "", 0)
DROPPED = "DROP TABLE orders, shops CASCADE; DROP SEQUENCE numbers; DROP FUNCTION stamp()"


@pytest.fixture(scope="module")
def database(environment: Environment) -> Iterator[Database]:
    """A database with the tables of the base."""
    with environment.blank("leftovers") as beside:
        with beside.database.admin() as admin:
            admin.execute(BASE.encode())
        yield beside.database


@pytest.mark.parametrize("leftover", LEFTOVERS, ids=lambda each: each.told)
def test_is_told(database: Database, leftover: Leftover) -> None:
    """What was forgotten fails the rule and is named; once it is taken back, nothing is left."""
    with database.admin() as admin:
        before = schema(admin)
        admin.execute(leftover.made.encode())
        forgotten = schema_differences(before, schema(admin))
        admin.execute(leftover.undone.encode())
        assert schema_differences(before, schema(admin)) == ()
    step = Step("0002", "0001", Turn(WELL), Turn(WELL, forgotten), rows=1)
    finding = downgrade_undoes(RoundTrips(History(("0002",), ("0001", "0002")), (step,)), MigrationSettings())
    assert finding.verdict == "failed"
    assert leftover.told in finding.summary


def test_all_at_once(tried: Try) -> None:
    """A downgrade that forgets everything, run by the gate: each thing is in the measurement."""
    chosen = [each for each in LEFTOVERS if "EXTENSION" not in each.made]  # the service's role may not
    made = ";".join(each.made for each in chosen)
    seen = tried({"1_base": (BASE, DROPPED), "2_more": (made, "SELECT 1")}, rows=0)
    down = next(step.down for step in seen.steps if step.revision == "2_more")
    assert down is not None
    told = [str(each) for each in down.differences]
    assert [each.told for each in chosen if not any(each.told in one for one in told)] == []
    assert "2_more: the downgrade changes nothing" in downgrade_undoes(seen, MigrationSettings()).summary


def test_all_taken_back(tried: Try) -> None:
    """The same with a downgrade that forgets nothing passes, and so does the second upgrade."""
    chosen = [each for each in LEFTOVERS if "EXTENSION" not in each.made]
    made = ";".join(each.made for each in chosen)
    undone = ";".join(each.undone for each in reversed(chosen))
    seen = tried({"1_base": (BASE, DROPPED), "2_more": (made, undone)}, rows=0)
    assert [step.again.differences for step in seen.steps if step.again] == [(), ()]
    assert downgrade_undoes(seen, MigrationSettings()).verdict == "passed"
