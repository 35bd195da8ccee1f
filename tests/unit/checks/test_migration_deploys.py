"""Verdicts on deploys that go wrong, from literals."""

from __future__ import annotations

from dataclasses import replace

from pytest_prodready.checks.migration_deploys import failure_leaves_nothing, two_at_once
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration_deploys import Collision, Deploys, Failure, RowsDifference
from pytest_prodready.probes.schema import SchemaDifference

WELL, BADLY = Ran(0, 0.5, "", 0), Ran(1, 0.5, "ERROR: no space left on device", 30)
HUNG = Ran(None, 300.0, "waiting", 7)
INDEX = SchemaDifference("index", "public.jobs.one_idx", "left over", "", "CREATE INDEX …")
FAILURE = Failure("0002", 3, BADLY, (), WELL, ())
COLLISION = Collision("", (WELL, BADLY), ())
SOUND = Deploys((FAILURE,), (), (COLLISION, Collision("0001", (WELL, WELL), ())))


def failed(**changes: object) -> Deploys:
    """One failure that went otherwise."""
    return Deploys((replace(FAILURE, **changes),))  # type: ignore[arg-type]


def test_failures_that_leave_nothing() -> None:
    """The next upgrade succeeds; what was half done by then is no fault."""
    assert failure_leaves_nothing(SOUND).verdict == "passed"
    half = failure_leaves_nothing(failed(half_done=(INDEX,)))
    assert half.verdict == "passed"
    assert half.summary.endswith("done in part by then, and finished the next time: 0002")


def test_failures_that_stay() -> None:
    """The next upgrade stumbles, or leads elsewhere; or the failing one hangs."""
    again = failure_leaves_nothing(failed(again=BADLY, half_done=(INDEX,)))
    assert again.verdict == "failed"
    assert again.summary == (
        "0002: the next upgrade ended with status 1: ERROR: no space left on device,"
        " after one that had left over: index public.jobs.one_idx"
    )
    elsewhere = failure_leaves_nothing(failed(differences=(INDEX,)))
    assert elsewhere.summary == "0002: after the next upgrade left over: index public.jobs.one_idx"
    rows = failure_leaves_nothing(failed(rows=(RowsDifference("public.kinds", 1, 2),)))
    assert rows.summary == "0002: after the next upgrade 2 instead of 1 rows in public.kinds"
    hung = failure_leaves_nothing(failed(failed=HUNG))
    assert hung.verdict == "failed"
    assert "the failing upgrade did not end within 300 s" in hung.summary


def test_failures_unknown() -> None:
    """Nothing that could fail, an upgrade that didn't, or no upgrade at all."""
    assert failure_leaves_nothing(Deploys(without_commands=("0001",))).verdict == "inconclusive"
    assert failure_leaves_nothing(failed(failed=WELL)).verdict == "inconclusive"
    assert failure_leaves_nothing(Deploys(doubt="two heads")).summary == "two heads"


def test_a_failure_among_others() -> None:
    """One that stays is no less a fault where another upgrade didn't fail."""
    spared = replace(FAILURE, revision="0001", failed=WELL)
    finding = failure_leaves_nothing(Deploys((spared, replace(FAILURE, again=BADLY))))
    assert finding.verdict == "failed"
    assert finding.summary.startswith("0002: the next upgrade ended with status 1")


def test_a_failure_that_is_hidden() -> None:
    """An upgrade that says it succeeded, while something of it is missing."""
    finding = failure_leaves_nothing(failed(failed=WELL, differences=(replace(INDEX, how="missing"),)))
    assert finding.verdict == "failed"
    assert "missing: index public.jobs.one_idx" in finding.summary


def test_two_that_end_well() -> None:
    """Both may succeed, or one is refused."""
    finding = two_at_once(SOUND)
    assert finding.verdict == "passed"
    assert "from an empty database: one succeeded, one ended with status 1" in finding.summary
    assert "from 0001: both succeeded" in finding.summary


def test_two_that_collide() -> None:
    """Another catalogue, none that succeeds, one that hangs."""
    elsewhere = two_at_once(Deploys(collisions=(replace(COLLISION, differences=(INDEX,)),)))
    assert (elsewhere.verdict, elsewhere.summary) == (
        "failed",
        "from an empty database: left over: index public.jobs.one_idx",
    )
    both = two_at_once(Deploys(collisions=(Collision("", (BADLY, BADLY), (), (), WELL),)))
    assert both.summary.startswith("from an empty database: both failed")
    hung = two_at_once(Deploys(collisions=(Collision("", (WELL, HUNG), ()),)))
    assert "did not end within 300 s: waiting" in hung.summary


def test_two_unknown() -> None:
    """Nothing was tried."""
    assert two_at_once(Deploys()).verdict == "inconclusive"
    assert two_at_once(Deploys(doubt="two heads")).summary == "two heads"
