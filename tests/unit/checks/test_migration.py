"""Verdicts on round trips, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import migration
from pytest_prodready.environment.ran import Ran
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.migration import RoundTrips, Step, Turn
from pytest_prodready.probes.migration_history import History
from pytest_prodready.probes.migration_models import Models
from pytest_prodready.probes.migration_rows import Loss
from pytest_prodready.probes.migration_seed import Seeded
from pytest_prodready.probes.schema import SchemaDifference
from pytest_prodready.settings import MigrationSettings

WELL = Ran(0, 0.5, "", 0)
BADLY = Ran(1, 0.5, "Traceback\nsqlalchemy.exc.Error: relation exists\n(Background on this error at: x)", 80)
HUNG = Ran(None, 300.0, "y\ny", 4_100_000_000)
LIMITS = MigrationSettings()
HISTORY = History(heads=("0002",), revisions=("0001", "0002"))
TRIGGER = SchemaDifference("trigger", "public.jobs.stamped", "left over", "", "CREATE TRIGGER …")
ROWS = Loss("public.jobs", "", 3, 20)
VALUES = Loss("public.jobs", "title", 1, 1)
FIRST = Step("0001", "", Turn(WELL), Turn(WELL), Turn(WELL), rows=40)
SECOND = Step("0002", "0001", Turn(WELL), Turn(WELL), Turn(WELL), rows=60, below=40)
WHOLE = Step("0002", "", Turn(WELL), Turn(WELL), Turn(WELL), rows=40)
SOUND = RoundTrips(HISTORY, (FIRST, SECOND), WHOLE, Turn(WELL, changed=False), WELL)
UNKNOWN = RoundTrips(History(doubt="alembic told no history"), doubt="alembic told no history")


def with_second(**changes: object) -> RoundTrips:
    """Everything well but for the second revision."""
    return replace(SOUND, steps=(FIRST, replace(SECOND, **changes)))  # type: ignore[arg-type]


def every(seen: RoundTrips) -> dict[str, Finding]:
    """All findings about these round trips by rule."""
    found = [
        migration.single_head(seen),
        migration.upgrades_from_empty(seen),
        migration.upgrade_keeps_data(seen),
        migration.downgrade_runs(seen, LIMITS),
        migration.downgrade_undoes(seen, LIMITS),
        migration.downgrade_keeps_data(seen, LIMITS),
        migration.round_trip(seen, LIMITS),
        migration.dropped_data_known(seen),
        migration.twice_is_nothing(seen),
        migration.models_match(seen),
    ]
    return {each.rule.id: each for each in found}


def test_sound() -> None:
    """Where all is well, each rule passes and says how much was tried."""
    found = every(SOUND)
    assert {each.verdict for each in found.values()} == {Verdict.PASSED}
    assert "2 revisions" in found["migration.round-trip"].summary
    assert "60 rows" in found["migration.upgrades-from-empty"].summary


def test_no_history() -> None:
    """Where the tool doesn't tell its revisions, nothing is known, and nothing passes."""
    found = every(UNKNOWN)
    assert {each.verdict for each in found.values()} == {Verdict.INCONCLUSIVE}
    assert {each.summary for each in found.values()} == {"alembic told no history"}


def test_heads() -> None:
    """Several heads fail, no heads are unknown."""
    two = RoundTrips(History(heads=("a", "b")), doubt="there is no single newest revision")
    assert migration.single_head(two).verdict == "failed"
    assert migration.single_head(two).summary == "2 heads: a, b"
    assert migration.single_head(RoundTrips(History())).verdict == "inconclusive"
    older = RoundTrips(replace(HISTORY, older=7), (FIRST,))
    assert migration.single_head(older).summary == "9 revisions, one head: 0002"


@pytest.mark.parametrize(
    ("ran", "says"),
    [
        (BADLY, "0002: ended with status 1: sqlalchemy.exc.Error: relation exists"),
        (HUNG, "0002: did not end within 300 s after printing 4,100 MB: y"),
        (Ran(-9, 1.0, "", 0), "0002: was ended by signal 9, and said nothing"),
    ],
)
def test_upgrade_fails(ran: Ran, says: str) -> None:
    """How the command ended is told, with what it said; the other rules know nothing then."""
    found = every(with_second(up=Turn(ran), down=None, again=None))
    assert found["migration.upgrades-from-empty"].verdict == "failed"
    assert found["migration.upgrades-from-empty"].summary == says
    assert found["migration.downgrade-undoes"].summary == "the upgrade fails: 0002"
    assert found["migration.downgrade-undoes"].verdict == "inconclusive"


def test_upgrade_loses() -> None:
    """Rows or values that an upgrade loses, the first or the second time."""
    first = migration.upgrade_keeps_data(with_second(up=Turn(WELL, losses=(ROWS, VALUES))))
    assert first.verdict == "failed"
    assert first.summary == "0002: 3 of 20 rows of public.jobs lost; 1 of 1 value of public.jobs.title lost"
    assert migration.upgrade_keeps_data(with_second(again=Turn(WELL, losses=(ROWS,)))).verdict == "failed"
    dropped = migration.dropped_data_known(with_second(up=Turn(WELL, dropped=(replace(ROWS, dropped=True),))))
    assert dropped.summary == "0002: 3 of 20 rows of public.jobs dropped"
    assert dropped.verdict == "failed"


def test_no_rows_to_lose() -> None:
    """Without rows nothing is proven; tables that stayed empty among others are told."""
    empty = replace(SOUND, steps=(replace(FIRST, rows=0),), whole=replace(WHOLE, rows=0))
    for check in (migration.upgrade_keeps_data(empty), migration.downgrade_keeps_data(empty, LIMITS)):
        assert check.verdict == "inconclusive"
        assert check.summary == "no rows could be lost: the tables were empty"
    some = migration.upgrade_keeps_data(replace(SOUND, not_filled=("Rows of odd can't be made up.",)))
    assert some.verdict == "passed"
    assert some.summary.endswith("left empty: Rows of odd can't be made up.")


def test_upgrades_that_meet_no_rows() -> None:
    """All at once from nothing proves nothing of an upgrade; a single revision has nothing to lose."""
    at_once = replace(SOUND, steps=(), history=History())
    single = replace(SOUND, steps=(FIRST,), history=History(("0001",), ("0001",)))
    for check in (migration.upgrade_keeps_data, migration.dropped_data_known):
        assert check(at_once).verdict == "inconclusive"
        assert check(at_once).summary == "no upgrade has met rows: all began with none"
        assert check(single).verdict == "passed"
        assert check(single).summary.startswith("the only revision begins with an empty database")


def test_no_rows_above_what_is_taken_back() -> None:
    """Rows of a revision that isn't taken back are no proof of those that are."""
    seen = replace(with_second(down=None, again=None), steps=(replace(FIRST, rows=0), SECOND), whole=None)
    assert migration.downgrade_keeps_data(seen, LIMITS).verdict == "passed"
    irreversible = replace(SECOND, down=None, again=None)
    finding = migration.downgrade_keeps_data(replace(seen, steps=(seen.steps[0], irreversible)), LIMITS)
    assert (finding.verdict, finding.summary) == (
        "inconclusive",
        "no rows could be lost: the tables were empty",
    )


def test_nothing_was_run() -> None:
    """A history alone proves nothing about its revisions."""
    found = every(RoundTrips(HISTORY))
    passed = {id for id, each in found.items() if each.verdict == "passed"}
    assert passed == {"migration.single-head"}
    assert found["migration.upgrades-from-empty"].summary == "no revision has been run"


def test_rows_of_the_seed() -> None:
    """What becomes of them is told apart; without them the rules about data know nothing."""
    own = Seeded(WELL, 7)
    kept = replace(SOUND, seeded=own, with_seed=SECOND)
    assert {each.verdict for each in every(kept).values()} == {Verdict.PASSED}
    lost = replace(SECOND, down=Turn(WELL, losses=(ROWS,)))
    finding = migration.downgrade_keeps_data(replace(kept, with_seed=lost), LIMITS)
    assert finding.summary == "0002 with rows of the seed: 3 of 20 rows of public.jobs lost"


@pytest.mark.parametrize(
    ("seeded", "says"),
    [
        (Seeded(BADLY), "the seed ended with status 1: sqlalchemy.exc.Error: relation exists"),
        (Seeded(WELL), "the seed added no rows to the database that the service's variables name"),
    ],
)
def test_no_rows_of_the_seed(seeded: Seeded, says: str) -> None:
    """A seed that fails, or fills another database, proves nothing of the service's own rows."""
    found = every(replace(SOUND, seeded=seeded))
    unknown = {"migration.upgrade-keeps-data", "migration.downgrade-keeps-data"}
    assert {id for id, each in found.items() if each.verdict == "inconclusive"} == unknown
    assert {found[each].summary for each in unknown} == {says}


def test_downgrade_fails() -> None:
    """A downgrade that doesn't run, and none at all."""
    finding = migration.downgrade_runs(with_second(down=Turn(BADLY), again=None), LIMITS)
    assert finding.verdict == "failed"
    rest = every(with_second(down=Turn(BADLY), again=None))
    for rule in ("migration.downgrade-undoes", "migration.downgrade-keeps-data", "migration.round-trip"):
        assert (rest[rule].verdict, rest[rule].summary) == ("inconclusive", "the downgrade fails: 0002")
    none = replace(SOUND, steps=(replace(FIRST, down=None, again=None),), whole=replace(WHOLE, down=None))
    for check in (migration.downgrade_runs, migration.downgrade_undoes, migration.downgrade_keeps_data):
        assert check(none, LIMITS).verdict == "inconclusive"
        assert check(none, LIMITS).summary == "no revision has been taken back"


def test_declared_irreversible() -> None:
    """What is left out is told with its reason."""
    limits = MigrationSettings(irreversible={"0002": "the old values were wrong"})
    finding = migration.downgrade_runs(with_second(down=None, again=None), limits)
    assert finding.verdict == "passed"
    assert finding.summary.endswith("; declared irreversible: 0002 (the old values were wrong)")


def test_downgrade_leaves() -> None:
    """What is left is named; a downgrade that does nothing is told so."""
    forgot = migration.downgrade_undoes(with_second(down=Turn(WELL, (TRIGGER,))), LIMITS)
    assert (forgot.verdict, forgot.summary) == ("failed", "0002: left over: trigger public.jobs.stamped")
    nothing = migration.downgrade_undoes(with_second(down=Turn(WELL, (TRIGGER,), changed=False)), LIMITS)
    assert "the downgrade changes nothing (left over: trigger public.jobs.stamped)" in nothing.summary
    data_only = with_second(up=Turn(WELL, changed=False), down=Turn(WELL, changed=False))
    assert migration.downgrade_undoes(data_only, LIMITS).verdict == "passed"


def test_many_differences() -> None:
    """The first few are named, the others counted."""
    many = tuple(replace(TRIGGER, name=f"t{number}") for number in range(9))
    summary = migration.downgrade_undoes(with_second(down=Turn(WELL, many)), LIMITS).summary
    assert summary.endswith("; and 5 more")


def test_downgrade_loses() -> None:
    """What the older schema has room for must be there; what is new goes, and is told."""
    lost = migration.downgrade_keeps_data(with_second(down=Turn(WELL, losses=(VALUES,))), LIMITS)
    assert (lost.verdict, lost.summary) == ("failed", "0002: 1 of 1 value of public.jobs.title lost")
    newer = migration.downgrade_keeps_data(with_second(down=Turn(WELL, dropped=(VALUES,))), LIMITS)
    assert newer.verdict == "passed"
    assert "with what is new went 1 of 1 value of public.jobs.title" in newer.summary


def test_second_upgrade() -> None:
    """It may fail, or lead elsewhere."""
    failed = migration.round_trip(with_second(again=Turn(BADLY)), LIMITS)
    assert failed.summary.startswith("0002: the second upgrade ended with status 1")
    elsewhere = migration.round_trip(with_second(again=Turn(WELL, (TRIGGER,))), LIMITS)
    assert (elsewhere.verdict, elsewhere.summary) == (
        "failed",
        "0002: left over: trigger public.jobs.stamped",
    )


@pytest.mark.parametrize(
    ("twice", "says"),
    [
        (Turn(BADLY), "the second time: ended with status 1: sqlalchemy.exc.Error: relation exists"),
        (Turn(WELL, (TRIGGER,)), "the second time: left over: trigger public.jobs.stamped"),
        (Turn(WELL, added=1), "the second time: 1 row more"),
        (Turn(WELL, added=-2), "the second time: 2 rows less"),
        (Turn(WELL, losses=(VALUES,)), "the second time: 1 of 1 value of public.jobs.title lost"),
    ],
)
def test_twice(twice: Turn, says: str) -> None:
    """The upgrade where there is nothing to do fails, changes the catalogue, or the rows."""
    finding = migration.twice_is_nothing(replace(SOUND, twice=twice))
    assert (finding.verdict, finding.summary) == ("failed", says)


def test_twice_was_not_reached() -> None:
    """Nothing is known where the first upgrade fails."""
    assert migration.twice_is_nothing(replace(SOUND, twice=None)).verdict == "inconclusive"
    failed = replace(SOUND, twice=None, whole=Step("0002", "", Turn(BADLY)))
    assert migration.twice_is_nothing(failed).verdict == "inconclusive"


def test_models() -> None:
    """The tool's own word counts."""
    differ = Ran(255, 0.5, "FAILED: New upgrade operations detected: [('add_column', …)]", 60)
    finding = migration.models_match(replace(SOUND, check=differ))
    assert finding.verdict == "failed"
    assert "New upgrade operations detected" in finding.summary
    assert migration.models_match(replace(SOUND, check=None)).verdict == "inconclusive"


def test_files_that_lead_elsewhere() -> None:
    """What is no picture of the command leaves it open, unless the upgrade fails by itself."""
    elsewhere = replace(SOUND, elsewhere=(TRIGGER,))
    found = migration.upgrades_from_empty(elsewhere)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "files don't show what upgrade does" in found.summary
    failed = replace(elsewhere, steps=(FIRST, replace(SECOND, up=Turn(BADLY))))
    assert migration.upgrades_from_empty(failed).verdict is Verdict.FAILED


def test_models_beside() -> None:
    """What their own tables have beyond the tool's word; where they can't be made, that alone counts."""
    seen = replace(SOUND, models=Models(WELL))
    assert migration.models_match(seen).verdict == "passed"
    assert "predicates" in migration.models_match(seen).summary
    check = SchemaDifference("check constraint", "public.jobs.fair", "missing", "CHECK (pay > 0)", "")
    finding = migration.models_match(replace(SOUND, models=Models(WELL, (check,))))
    says = "against what the models say: missing: check constraint public.jobs.fair"
    assert (finding.verdict, finding.summary) == ("failed", says)
    unmade = migration.models_match(replace(SOUND, models=Models(BADLY)))
    assert unmade.verdict == "passed"
    assert "as far as the check sees; making their tables ended with status 1" in unmade.summary
