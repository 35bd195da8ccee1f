"""What a verdict does to the run, and what waivers, bypasses and missing capabilities make of it."""

from __future__ import annotations

import tomllib
from datetime import date

import pytest

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Capability, Verdict, worst
from pytest_prodready.options import Options
from pytest_prodready.settings import Settings, Waiver
from pytest_prodready.verdicts import MISSING_LINES, Outcome, bypassed, lacking, lines_to_add, outcome, waived

MUST = RULES["pool.bounded"]
SHOULD = RULES["ssl.hba-narrow"]
INFO = RULES["pool.size-fits-traffic"]
TODAY = date(2026, 6, 1)


def waiver(expires: date) -> Waiver:
    """A waiver for MUST that ends on this day."""
    return Waiver(rule=MUST.id, reason="known since May", approver="Ada", expires=expires)


@pytest.mark.parametrize(
    ("finding", "options", "expected"),
    [
        (MUST.passed("ok"), Options(), Outcome.PASS),
        (MUST.failed("no"), Options(), Outcome.FAIL),
        (SHOULD.failed("no"), Options(), Outcome.FAIL),
        (INFO.failed("no"), Options(), Outcome.SKIP),
        (MUST.inconclusive("?"), Options(), Outcome.FAIL),
        (MUST.inconclusive("?"), Options(inconclusive="skip"), Outcome.SKIP),
        (MUST.unverified("-"), Options(), Outcome.FAIL),
        (MUST.unverified("-"), Options(unverified="skip"), Outcome.SKIP),
        (SHOULD.unverified("-"), Options(), Outcome.SKIP),
        (MUST.failed("no").waived("why"), Options(), Outcome.SKIP),
    ],
)
def test_outcome(finding: object, options: Options, expected: Outcome) -> None:
    """Failed fails; unverified musts and inconclusive results fail unless softened; info never does."""
    assert outcome(finding, options) is expected  # type: ignore[arg-type]


def test_live_waiver_accepts_what_is_not_passed() -> None:
    """A waiver in force accepts a failure, and says who accepted it and until when."""
    finding = waived(MUST.failed("no"), [waiver(TODAY)], TODAY)
    assert finding.verdict is Verdict.WAIVED
    assert "Ada, until 2026-06-01" in finding.waived_by


def test_expired_waiver_fails() -> None:
    """The day after its expiry a waiver accepts nothing, not even what is only unsure."""
    finding = waived(MUST.inconclusive("?"), [waiver(date(2026, 5, 31))], TODAY)
    assert finding.verdict is Verdict.FAILED
    assert "expired on 2026-05-31" in finding.summary


def test_waiver_leaves_a_pass_alone() -> None:
    """What passes needs no waiver, expired or not."""
    finding = MUST.passed("ok")
    assert waived(finding, [waiver(date(2020, 1, 1))], TODAY) is finding


@pytest.mark.parametrize("key", ["pool.bounded", "pool"])
def test_bypass_takes_out_a_rule_or_a_suite(key: str) -> None:
    """A written reason takes out one rule, or all of a suite; the reason stays visible."""
    settings = Settings.model_validate(
        {"service": {"name": "x", "command": "y"}, "bypass": {key: "no pool here"}}
    )
    finding = bypassed(MUST, settings)
    assert finding is not None
    assert finding.verdict is Verdict.WAIVED
    assert "no pool here" in finding.waived_by


def test_lacking_names_what_is_missing() -> None:
    """A rule that can't be tried says what it needs; one that can says nothing."""
    finding = lacking(MUST, MUST.needs - {Capability.POOL})
    assert finding is not None
    assert finding.verdict is Verdict.UNVERIFIED
    assert finding.missing == (Capability.POOL,)
    assert lacking(MUST, MUST.needs) is None


def test_every_capability_has_lines_to_add() -> None:
    """Whatever is missing, the summary can show how to provide it."""
    assert set(MISSING_LINES) == set(Capability)


def test_worst_of_nothing_is_unverified() -> None:
    """No data is never a pass."""
    assert worst([]) is Verdict.UNVERIFIED
    assert worst([Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.WAIVED]) is Verdict.INCONCLUSIVE


def test_lines_to_add_are_one_valid_document() -> None:
    """Pasted together, the lines for everything that can be missing are valid TOML, each table once."""
    lines = lines_to_add(Capability)
    data = tomllib.loads("\n".join(line for line in lines if not line.startswith("(")))
    assert data["service"]["env"] == {
        "DATABASE_URL": "{postgres.url}",
        "REDIS_URL": "{redis.url}",
        "REPLICA_DATABASE_URL": "{postgres.replica_url}",
    }
    assert len(data["requests"]) == 4
    assert lines.count("[postgres]") == 1
