"""Verdicts on the pool's size and its exhaustion, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.pool_size import (
    bounded,
    checkout_times_out,
    excess_is_refused,
    fits_server,
    recovers_after_exhaustion,
    size_fits_traffic,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.engine import Aged, Checkout, ConnectOutcome, Held, PoolFigures
from pytest_prodready.probes.pool_engine import InProcess, StatementLimit
from pytest_prodready.probes.pool_exhaustion import Crowd, Exhaustion
from pytest_prodready.probes.pool_server import ServerRoom
from pytest_prodready.probes.pool_steady import Outcome, Recovery
from pytest_prodready.settings import PoolSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
POOL = PoolSettings(size=10)

OK = Outcome("list", 200, 0.1, expected=True)
REFUSED = Outcome("list", 503, 1.0, expected=False)
BROKEN = Outcome("list", 500, 1.0, expected=False)
SILENT = Outcome("list", None, 13.0, expected=False, error="no answer within 13 s")
SERVED = Outcome("list", 200, 3.1, expected=True)
BACK = Recovery(alive=True, served_after_s=0.1, watched_s=0.1, last=OK)
GONE = Recovery(alive=True, served_after_s=None, watched_s=5.0, last=REFUSED)

ROOM = ServerRoom(100, 3, 0, -1, -1)
EXHAUSTION = Exhaustion(
    capacity=10,
    processes=1,
    crowd=Crowd(sent=30, held=30, before=10, peak=10, waiting_for_lock=10),
    stalled_s=3.0,
    sent=30,
    during=(REFUSED,) * 20,
    after=(SERVED,) * 10,
    back=BACK,
    full_before=(OK,) * 10,
    full_again=(OK,) * 10,
    started_anew=False,
)
FIGURES = PoolFigures("SQLAlchemy Engine", "QueuePool", 10, False, 1.0, 300.0, True)
CONNECTED = ConnectOutcome(ok=True, error_kind=None, seconds=0.01, backend_pid=7)
UNCONNECTED = ConnectOutcome(ok=False, error_kind="OperationalError", seconds=2.0)
IN_PROCESS = InProcess(
    figures=FIGURES,
    first=CONNECTED,
    held=Held(10, None, False, 0.1),
    one_more=Checkout(False, "TimeoutError", False, 1.0),
    still_out=0,
    after=CONNECTED,
    statement=StatementLimit(30_000),
    age_s=1800.0,
    aged=Aged(True, 1, 2, None),
)


@pytest.mark.parametrize(
    ("room", "limits", "verdict", "says"),
    [
        (ROOM, PoolSettings(size=10, replicas=2), PASSED, "2 replicas * 1 worker * 10 = 20 connections"),
        (ROOM, PoolSettings(size=10, replicas=8), FAILED, "the server gives 97"),
        (ROOM, PoolSettings(size=10, replicas=8, spare=0.1), PASSED, "80 connections"),
        (replace(ROOM, reserved=90), PoolSettings(size=10), FAILED, "the server gives 7"),
        (replace(ROOM, role_limit=10), PoolSettings(size=10), FAILED, "CONNECTION LIMIT"),
        (replace(ROOM, database_limit=50), PoolSettings(size=10, workers=4), PASSED, "4 workers"),
        (ROOM, PoolSettings(), INCONCLUSIVE, "isn't declared"),
    ],
)
def test_fits_server(room: ServerRoom, limits: PoolSettings, verdict: Verdict, says: str) -> None:
    """All pools are held against what the server gives, less what is to spare."""
    finding = fits_server(room, limits)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.fits-server")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("crowd", "verdict", "says"),
    [
        ({}, PASSED, "the service opened 10 connections for 30 requests at once"),
        ({"peak": 30}, FAILED, "the service opened 30 connections"),
        ({"peak": 15}, FAILED, "[pool] size says 10"),
        ({"peak": 11}, PASSED, "kept apart from the pool"),
        ({"peak": 4, "waiting_for_lock": 4}, PASSED, "opened 4 connections"),
        ({"held": 9}, INCONCLUSIVE, "only 9 of 30 requests"),
        ({"waiting_for_lock": 0}, INCONCLUSIVE, "did not wait"),
    ],
)
def test_bounded(crowd: dict[str, Any], verdict: Verdict, says: str) -> None:
    """The peak of connections is held against the declared size; a listener's is forgiven."""
    finding = bounded(replace(EXHAUSTION, crowd=replace(EXHAUSTION.crowd, **crowd)), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.bounded")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "raised TimeoutError after 1.0 s"),
        ({"one_more": Checkout(False, None, True, 3.0)}, FAILED, "waited longer than 3.0 s"),
        ({"one_more": Checkout(False, "PoolTimeout", False, 2.5)}, FAILED, "raised PoolTimeout after 2.5 s"),
        ({"figures": replace(FIGURES, size=None, unbounded=True)}, FAILED, "has no bound"),
        ({"still_out": 2}, FAILED, "2 stayed checked out"),
        ({"after": UNCONNECTED}, FAILED, "OperationalError after all were given back"),
        (
            {"figures": replace(FIGURES, size=1010), "one_more": Checkout(True, None, False, 0.0)},
            FAILED,
            "has room for 1010 connections; [pool] size says 10, and beyond 10 it gave one more",
        ),
        ({"figures": replace(FIGURES, size=1010)}, INCONCLUSIVE, "declares 1010 and refuses after 10"),
        ({"first": UNCONNECTED}, INCONCLUSIVE, "no connection at all"),
        ({"held": Held(4, "OperationalError", False, 0.1)}, INCONCLUSIVE, "gave 4 of 10"),
        ({"figures": replace(FIGURES, size=None)}, INCONCLUSIVE, "an unknown number"),
        ({"one_more": Checkout(True, None, False, 0.0)}, INCONCLUSIVE, "one more connection than"),
    ],
)
def test_checkout_times_out(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A full pool refuses in time, and is whole again afterwards."""
    finding = checkout_times_out(replace(IN_PROCESS, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.checkout-times-out")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "20 got 503 within 1.0 s"),
        ({"during": (replace(REFUSED, status=429),) * 20}, PASSED, "20 got 429"),
        ({"during": (REFUSED,) * 30, "after": ()}, PASSED, "30 got 503"),
        ({"during": (replace(REFUSED, seconds=2.5),) * 20}, FAILED, "within 2.5 s"),
        ({"during": (replace(REFUSED, seconds=2.5),) * 30, "after": ()}, FAILED, "within 2.5 s"),
        ({"during": (BROKEN,) * 20}, FAILED, "20 got 500"),
        ({"during": (), "after": (SERVED,) * 30}, FAILED, "20 waited longer than 3.0 s and then 20 got 200"),
        ({"during": (), "after": (SERVED,) * 10 + (SILENT,) * 20}, FAILED, "20 got no answer"),
        ({"during": (OK,) * 20}, INCONCLUSIVE, "answered without the database"),
        (
            {"during": (), "after": (SERVED,) * 30, "crowd": replace(EXHAUSTION.crowd, peak=30)},
            INCONCLUSIVE,
            "none was left over",
        ),
    ],
)
def test_excess_is_refused(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Only what the pool really has may wait; the rest is to be refused in time."""
    finding = excess_is_refused(replace(EXHAUSTION, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.excess-is-refused")
    assert says in finding.summary


def test_a_late_refusal_has_its_own_advice() -> None:
    """A service with a checkout timeout is not told to get one; one that waits for ever is."""
    late = replace(EXHAUSTION, during=(replace(REFUSED, seconds=2.5),) * 20)
    for_ever = replace(EXHAUSTION, during=(), after=(SERVED,) * 30)
    few_workers = replace(for_ever, crowd=replace(EXHAUSTION.crowd, waiting_for_lock=2))
    advice = [excess_is_refused(seen, POOL).remedy for seen in (late, for_ever, few_workers)]
    assert "queue of its own" in advice[0]
    assert "checkout timeout (SQLAlchemy" in advice[1]
    assert "only 2 came to the database" in advice[2]


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "it served again 0.1 s afterwards, and 10 requests at once"),
        ({"back": GONE}, FAILED, "it served nothing for 5.0 s afterwards (last answer: 503)"),
        ({"back": replace(BACK, served_after_s=4.0)}, FAILED, "served again 4.0 s afterwards"),
        ({"back": replace(BACK, alive=False)}, FAILED, "its process had ended"),
        ({"full_again": (OK,) * 7 + (REFUSED,) * 3}, FAILED, "3 got 503"),
        (
            {"during": (REFUSED,) * 30},
            PASSED,
            "after a lock held 10 connections, 10 requests at once were served",
        ),
        (
            {"during": (REFUSED,) * 30, "crowd": replace(EXHAUSTION.crowd, waiting_for_lock=3)},
            INCONCLUSIVE,
            "no request was held",
        ),
        (
            {"during": (REFUSED,) * 30, "full_before": (replace(OK, seconds=2.5),) * 10},
            INCONCLUSIVE,
            "no request was held",
        ),
        ({"full_before": (REFUSED,) * 10}, INCONCLUSIVE, "even before, 10 requests at once"),
    ],
)
def test_recovers_after_exhaustion(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """The pool must be whole again, by the same process."""
    finding = recovers_after_exhaustion(replace(EXHAUSTION, **changes), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.recovers-after-exhaustion")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("limits", "verdict", "says"),
    [
        (PoolSettings(size=10, requests_per_minute=80), PASSED, "advises 10 connections"),
        (PoolSettings(size=5, workers=4, requests_per_minute=1000), PASSED, "advises 20 connections"),
        (PoolSettings(size=10, requests_per_minute=100), FAILED, "advises 20 connections"),
        (PoolSettings(size=10, requests_per_minute=10_000), FAILED, "advises 50 connections"),
        (PoolSettings(size=10, requests_per_minute=10_001), FAILED, "100 connections and read replicas"),
        (PoolSettings(size=10), Verdict.UNVERIFIED, "requests_per_minute"),
        (PoolSettings(), INCONCLUSIVE, "isn't declared"),
    ],
)
def test_size_fits_traffic(limits: PoolSettings, verdict: Verdict, says: str) -> None:
    """The checklist's table, with its bounds."""
    finding = size_fits_traffic(limits)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.size-fits-traffic")
    assert says in finding.summary


@pytest.mark.parametrize("seen", [ROOM, EXHAUSTION, IN_PROCESS], ids=lambda seen: type(seen).__name__)
def test_measurements_survive_json(seen: Any) -> None:
    """What was recorded can be judged again."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(seen))
    assert adapter.validate_json(adapter.dump_json(seen)) == seen
