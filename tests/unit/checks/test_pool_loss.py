"""Verdicts on lost connections, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.pool_loss import (
    connect_times_out,
    lost_connections_are_replaced,
    no_reconnect_storm,
    refusal_is_survived,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.pool_loss import Loss, Losses, Refusal, Silence, Storm
from pytest_prodready.probes.pool_steady import Outcome, Recovery
from pytest_prodready.settings import PoolSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
POOL = PoolSettings(size=10)

OK = Outcome("list", 200, 0.1, expected=True)
REFUSED = Outcome("list", 503, 0.1, expected=False)
BROKEN = Outcome("list", 500, 0.1, expected=False)
SILENT = Outcome("list", None, 7.0, expected=False, error="no answer within 7 s")
BACK = Recovery(alive=True, served_after_s=0.1, watched_s=0.1, last=OK)
NEVER = Recovery(alive=True, served_after_s=None, watched_s=5.0, last=REFUSED)

REFUSAL = Refusal(backends_left=0, answers=(REFUSED,) * 15, attempts=6, back=BACK, started_anew=False)
LOSSES = Losses(10, (Loss(1, 10, (OK,) * 10), Loss(10, 10, (OK,) * 10)), alive=True, started_anew=False)
STORM = Storm(
    capacity=10,
    kills=3,
    terminated=30,
    opened=30,
    accepted=31,
    sent=60,
    served=58,
    back=BACK,
    started_anew=False,
)
SILENCE = Silence((replace(REFUSED, seconds=2.0),) * 3, attempts=3, back=BACK, started_anew=False)


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "15 got 503 within 0.1 s; it served again 0.1 s afterwards"),
        ({"answers": (OK, REFUSED)}, PASSED, "1 got 200"),
        ({"answers": (BROKEN,) * 5}, FAILED, "5 got 500"),
        ({"answers": (SILENT,), "back": replace(BACK, alive=False)}, FAILED, "its process had ended"),
        ({"back": NEVER}, FAILED, "it served nothing for 5.0 s afterwards (last answer: 503)"),
        ({"back": replace(BACK, served_after_s=4.0)}, FAILED, "served again 4.0 s afterwards"),
        ({"answers": (OK,) * 5, "backends_left": 5}, INCONCLUSIVE, "5 connections of the service remained"),
        ({"answers": (OK,) * 5}, INCONCLUSIVE, "didn't need the database"),
    ],
)
def test_refusal_is_survived(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A refused service may say 503 or serve, and nothing else; then it comes back by itself."""
    finding = refusal_is_survived(replace(REFUSAL, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.refusal-is-survived")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "after 20 idle connections died, 20 got 200"),
        (
            {"losses": (Loss(1, 10, (REFUSED, OK)), Loss(10, 10, (OK,)))},
            FAILED,
            "1 request of 3 failed after",
        ),
        (
            {"losses": (Loss(1, 1, (REFUSED, OK), before=(OK, REFUSED)), Loss(10, 10, (OK,), before=(OK,)))},
            INCONCLUSIVE,
            "even before, 3 requests at once were not all served",
        ),
        ({"alive": False}, FAILED, "its process had ended"),
        ({"losses": (Loss(1, 0, (OK,)), Loss(10, 10, (OK,)))}, INCONCLUSIVE, "no idle connection to lose"),
    ],
)
def test_lost_connections_are_replaced(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Not one request may fail, in whichever order the connections are used."""
    finding = lost_connections_are_replaced(replace(LOSSES, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.lost-connections-are-replaced")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "lost 3 times under load (30 in all): the service opened 31 new ones"),
        ({"accepted": None}, PASSED, "opened 30 new ones"),
        ({"opened": 120}, FAILED, "a storm"),
        ({"accepted": 400}, FAILED, "opened 400 new ones"),
        ({"back": NEVER}, FAILED, "no reconnect"),
        ({"opened": 0, "accepted": 0}, INCONCLUSIVE, "none was lost and replaced"),
    ],
)
def test_no_reconnect_storm(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Attempts count as well as sessions; a service that doesn't reconnect isn't modest but broken."""
    finding = no_reconnect_storm(replace(STORM, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.no-reconnect-storm")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "3 requests to a silent database: 3 got 503 within 2.0 s"),
        ({"answers": (SILENT,) * 3}, FAILED, "3 not answered in time"),
        ({"answers": (replace(REFUSED, seconds=6.5),)}, FAILED, "1 not answered in time"),
        ({"back": NEVER}, FAILED, "it served nothing for 5.0 s"),
        ({"back": replace(BACK, served_after_s=3.5)}, PASSED, "served again 3.5 s afterwards"),
        ({"answers": (OK,) * 3}, INCONCLUSIVE, "didn't need the database"),
    ],
)
def test_connect_times_out(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """An attempt that began before the end may take its time, but requests may not."""
    finding = connect_times_out(replace(SILENCE, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.connect-times-out")
    assert says in finding.summary


@pytest.mark.parametrize("seen", [REFUSAL, LOSSES, STORM, SILENCE], ids=lambda seen: type(seen).__name__)
def test_measurements_survive_json(seen: Any) -> None:
    """What was recorded can be judged again."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(seen))
    assert adapter.validate_json(adapter.dump_json(seen)) == seen
