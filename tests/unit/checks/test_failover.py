"""The checks of the failover suite, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover import crash_loses_no_write, no_write_twice, outage_is_survived
from pytest_prodready.checks.failover_words import CAPTURED, TRIES_SELDOM
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Drill, Ledger, Mark, Sent, first_of, last_words
from tests.unit.checks.drills import END_S, FAULT_S, HEALED_S, SETTINGS, drill, stream

WELL = drill()
ASKED = {"request": "liveness", "status": 503, "expected": False}


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (WELL, Verdict.PASSED, "49 x 503"),
        (drill(during={}), Verdict.INCONCLUSIVE, "every request was served"),
        (drill(during={"status": 500}), Verdict.FAILED, "49 x 500 instead of 503"),
        (drill(during={"status": None, "error": "connection refused"}), Verdict.FAILED, "connection refused"),
        (drill(during={"status": 503, "seconds": 1.5}), Verdict.FAILED, "took longer than 1 s"),
        (drill(after={"status": 503}), Verdict.FAILED, "not served again 6.0 s after the heal"),
        (drill(steady_after=False, unsteady="list got 500"), Verdict.FAILED, "not for good: list got 500"),
        (drill(same_process=False, last_words="boom"), Verdict.FAILED, "the process ended (boom)"),
        (drill(health=stream(FAULT_S, END_S, **ASKED)), Verdict.FAILED, "liveness said"),
        (drill(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
        (drill(sent=()), Verdict.INCONCLUSIVE, "no request"),
    ],
)
def test_outage(seen: Drill, verdict: Verdict, part: str) -> None:
    """Quick refusals, the same process, and recovery in time; anything else is told."""
    finding = outage_is_survived(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("waited", "told"),
    [({"seconds": 3.0}, True), ({"status": None, "error": "no answer within 6 s"}, True), ({}, False)],
)
def test_workers_that_all_wait(waited: dict[str, Any], told: bool) -> None:
    """Where liveness waited with the requests, what to change names the workers too."""
    hung = stream(FAULT_S, HEALED_S, request="liveness", **waited)
    finding = outage_is_survived(drill(during={"status": 503, "seconds": 3.0}, health=hung), SETTINGS)
    assert finding.verdict is Verdict.FAILED
    assert (CAPTURED in finding.change) is told
    assert not told or finding.change.startswith(finding.rule.remedy)


def test_refused_well_and_never_back() -> None:
    """Who refuses politely and never serves again is told how to connect again."""
    assert outage_is_survived(drill(after={"status": 503}), SETTINGS).change == TRIES_SELDOM
    assert not outage_is_survived(drill(during={"status": 500}), SETTINGS).change


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("serving\nlost the database, giving up\n", "lost the database, giving up"),
        ("Traceback …\n  File …\npsycopg.OperationalError: gone\n", "psycopg.OperationalError: gone"),
        (
            "throw er;\n^\nError: Connection lost\n    at f (x.js:1)\n\nNode.js v20.1.0\n",
            "Error: Connection lost",
        ),
        ("panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n\tmain.go:5\n", "panic: no database"),
        ("", ""),
    ],
)
def test_last_words(log: str, said: str) -> None:
    """What a process died of is told in its own words, above a stack or at the end."""
    assert last_words(log) == said


def test_readiness_that_lies() -> None:
    """Readiness that says yes for longer than it may, while nothing is served, fails."""
    yes = tuple(replace(each, request="readiness") for each in stream(0.0, 9.0))
    late = replace(drill(), marks=(Mark("fault", 1.0), Mark("healed", 9.0)), health=(*WELL.health, *yes))
    late = replace(late, sent=(*stream(0.0, 1.0), *stream(1.0, 9.0, status=503), *stream(9.0, END_S)))
    finding = outage_is_survived(late, SETTINGS)
    assert finding.verdict is Verdict.FAILED
    assert "readiness said" in finding.summary


def test_readiness_that_is_back_with_the_database() -> None:
    """Readiness that was asked while the fault held and answered afterwards may say yes."""
    asked = Sent("readiness", HEALED_S - 0.02, 0.3, 200, True)
    seen = replace(drill(health=(*WELL.health, asked)), marks=(Mark("fault", 0.9), *WELL.marks[1:]))
    assert outage_is_survived(seen, SETTINGS).verdict is Verdict.PASSED
    early = replace(asked, seconds=0.01)
    finding = outage_is_survived(replace(seen, health=(*WELL.health, early)), SETTINGS)
    assert "readiness said 1 x 200" in finding.summary


def test_a_few_late_answers_are_a_busy_machine() -> None:
    """Two late answers of fifty fail nothing."""
    late = (*WELL.sent, Sent("list", 2.0, 1.4, 503, False), Sent("list", 2.1, 1.4, 503, False))
    assert outage_is_survived(drill(sent=late), SETTINGS).verdict is Verdict.PASSED


def test_recovery_too_late() -> None:
    """Recovery is counted from the heal, with what is uncertain about it."""
    sent = (
        *stream(0.0, FAULT_S),
        *stream(FAULT_S, HEALED_S + 4, status=503),
        *stream(HEALED_S + 4, END_S),
    )
    finding = outage_is_survived(drill(sent=sent), SETTINGS)
    assert finding.verdict is Verdict.FAILED
    assert "served again 4.0 s" in finding.summary


LOST = Ledger(acknowledged=50, lost=("t1",), lost_at_s=(0.8,), read_from=("database",))
TWICE = Ledger(acknowledged=50, retried=3, twice=("t1", "t2"), read_from=("database",))
ONCE = Ledger(acknowledged=50, retried=3, read_from=("database",))
CUT = (Mark("fault", FAULT_S), Mark("cut", 1.2), Mark("healed", HEALED_S))


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (WELL, Verdict.PASSED, "none lost"),
        (drill(ledger=LOST), Verdict.FAILED, "1 acknowledged writes lost (acknowledged 200 ms before the"),
        (drill(ledger=replace(LOST, lost_at_s=(0.9, 2.5))), Verdict.FAILED, "100 ms before, 1.5 s after the"),
        (drill(after={"status": 500}), Verdict.FAILED, "none lost, but not served again"),
        (drill(same_process=False), Verdict.FAILED, "none lost, but the process ended"),
        (drill(ledger=None), Verdict.INCONCLUSIVE, "no write"),
        (
            drill(writes=stream(HEALED_S, END_S)),
            Verdict.INCONCLUSIVE,
            "no write was acknowledged before",
        ),
        (drill(ledger=Ledger(acknowledged=2)), Verdict.INCONCLUSIVE, "only 2 writes"),
        (drill(ledger=Ledger(acknowledged=9, doubt="unreadable")), Verdict.INCONCLUSIVE, "unreadable"),
    ],
)
def test_crash(seen: Drill, verdict: Verdict, part: str) -> None:
    """One acknowledged write that is gone fails; no data is no pass."""
    finding = crash_loses_no_write(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (drill(ledger=ONCE, marks=CUT), Verdict.PASSED, "none is there twice"),
        (drill(ledger=TWICE, marks=CUT), Verdict.FAILED, "2 are there more than once"),
        (drill(ledger=LOST, marks=CUT), Verdict.FAILED, "1 acknowledged ones are not there"),
        (drill(ledger=ONCE), Verdict.INCONCLUSIVE, "no COMMIT"),
        (drill(ledger=replace(ONCE, read_from=("service",)), marks=CUT), Verdict.INCONCLUSIVE, "counted"),
    ],
)
def test_twice(seen: Drill, verdict: Verdict, part: str) -> None:
    """A token that is there twice fails, and so does one that was acknowledged and isn't there."""
    finding = no_write_twice(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


def test_the_first_of_a_row_counts() -> None:
    """Recovery is the first of five successes in a row, by the order of sending."""
    answers = (*stream(0.0, 0.3), *stream(0.3, 0.5, status=500), *stream(0.5, 1.2))
    assert first_of(answers, 5) == pytest.approx(0.51)
    assert first_of(answers[:9], 5) is None
