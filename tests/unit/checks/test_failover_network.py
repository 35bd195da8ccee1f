"""The checks of drills in which the database's network fails, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover_network import (
    dead_peer_is_noticed,
    slow_database_is_isolated,
    stall_is_bounded,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Drill, Mark, Sent
from pytest_prodready.probes.failover_network import DeadPeer, SlowDatabase
from tests.unit.checks.drills import END_S, FAULT_S, HEALED_S, SETTINGS, drill, stream

WELL = drill()
HANGS = drill(sent=(*WELL.sent, Sent("list", 1.2, 11.0, 200, True)))
SILENT = drill(sent=(*WELL.sent, Sent("list", 1.2, 12.0, None, False, "no answer within 12 s")))
ASKED = {"request": "liveness", "status": 503, "expected": False}

BOTH = [
    (WELL, Verdict.PASSED, "49 x 503"),
    (drill(during={"status": 503, "seconds": 5.0}), Verdict.PASSED, "slowest 5.0 s"),
    (drill(during={"status": 504, "seconds": 5.0}), Verdict.PASSED, "49 x 504"),
    (drill(during={"seconds": 4.0}), Verdict.PASSED, "49 x 200"),
    (drill(during={}), Verdict.INCONCLUSIVE, "served at once"),
    (drill(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
    (drill(sent=()), Verdict.INCONCLUSIVE, "no request"),
    (HANGS, Verdict.FAILED, "had no answer within"),
    (SILENT, Verdict.FAILED, "had no answer within"),
    (drill(during={"status": 500}), Verdict.FAILED, "49 got 49 x 500"),
    (drill(during={"status": None, "error": "connection refused"}), Verdict.FAILED, "connection refused"),
    (drill(after={"status": 503}), Verdict.FAILED, "not served again"),
    (drill(same_process=False, last_words="boom"), Verdict.FAILED, "the process ended (boom)"),
    (drill(health=stream(FAULT_S, END_S, **ASKED)), Verdict.FAILED, "liveness said"),
]


@pytest.mark.parametrize(("seen", "verdict", "part"), BOTH)
def test_stall(seen: Drill, verdict: Verdict, part: str) -> None:
    """Any answer by the deadline is good; one that hangs is one too many."""
    finding = stall_is_bounded(seen, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


@pytest.mark.parametrize(("seen", "verdict", "part"), BOTH)
def test_dead_peer(seen: Drill, verdict: Verdict, part: str) -> None:
    """The same holds where packets are lost, with a limit of its own."""
    finding = dead_peer_is_noticed(DeadPeer(seen), SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


def test_limits_are_their_own() -> None:
    """Nine seconds are in time for a stall, and too late for a dead peer."""
    nine = drill(sent=(*WELL.sent, Sent("list", 1.2, 9.0, 503, False)))
    assert stall_is_bounded(nine, SETTINGS).verdict is Verdict.PASSED
    assert dead_peer_is_noticed(DeadPeer(nine), SETTINGS).verdict is Verdict.FAILED


def test_late_on_a_busy_machine() -> None:
    """Where requests were sent late, late answers tell neither a hang nor a deadline that was kept."""
    *sent, last = WELL.sent
    late = replace(last, at_s=last.at_s + 4.0)
    nine = drill(sent=(*sent, Sent("list", 1.2, 9.8, 503, False), late))
    finding = dead_peer_is_noticed(DeadPeer(nine), SETTINGS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "but the machine was busy" in finding.summary
    hangs = drill(sent=(*sent, Sent("list", 1.2, 12.6, 503, False), late))
    assert dead_peer_is_noticed(DeadPeer(hangs), SETTINGS).verdict is Verdict.FAILED


def test_packets_that_cannot_be_lost() -> None:
    """Where the proxy can't drop packets nothing was tried, and the reason is told."""
    finding = dead_peer_is_noticed(DeadPeer(None, "CAP_NET_ADMIN is missing"), SETTINGS)
    assert finding.verdict is Verdict.UNVERIFIED
    assert "CAP_NET_ADMIN" in finding.summary


def slow(
    using: dict[str, Any] | None = None,
    beside: dict[str, Any] | None = None,
    free: tuple[str, ...] = ("liveness", "unknown"),
    cached: tuple[str, ...] = (),
    **changes: Any,
) -> SlowDatabase:
    """A drill with a slow database: 503 after 1 s for those who need it, the others as before."""
    quick = (
        *stream(0.0, FAULT_S, request="unknown"),
        *stream(FAULT_S, HEALED_S, **{"request": "unknown", **(beside or {})}),
    )
    seen = drill(during={"status": 503, "seconds": 1.0, **(using or {})}, **changes)
    return SlowDatabase(replace(seen, sent=(*seen.sent, *quick)), free, cached)


# A cache that expires while all connections are taken can't be filled again: no worker is captured by that.
CACHE_LOST = slow(beside={"status": 503}, free=("liveness",), cached=("unknown",))


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (slow(), Verdict.PASSED, "49 x 503, slowest 1.0 s; beside it liveness, unknown took 10 ms"),
        (slow({"status": 200, "seconds": 2.2}), Verdict.PASSED, "49 x 200"),
        (slow(beside={"seconds": 0.08}), Verdict.PASSED, "beside it"),
        (slow({"status": 200, "seconds": 0.01}), Verdict.INCONCLUSIVE, "no request noticed"),
        (slow(free=()), Verdict.INCONCLUSIVE, "all requests that were tried run statements"),
        (slow(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
        (slow(beside={"seconds": 0.9}), Verdict.FAILED, "that need no database took"),
        (slow(beside={"status": 503}), Verdict.FAILED, "that need no database got"),
        (slow({"status": 200, "seconds": 11.0}), Verdict.FAILED, "had no answer within 10 s"),
        (slow({"status": 500}), Verdict.FAILED, "got 49 x 500"),
        (slow(after={"status": 503}), Verdict.FAILED, "not served again"),
        (slow(same_process=False), Verdict.FAILED, "the process ended"),
        (slow(free=("liveness",), cached=("unknown",)), Verdict.PASSED, "beside it liveness took"),
        (slow(free=(), cached=("unknown",)), Verdict.INCONCLUSIVE, "none tells if others suffer"),
        (CACHE_LOST, Verdict.PASSED, "beside it liveness took"),
    ],
)
def test_slow_database(seen: SlowDatabase, verdict: Verdict, part: str) -> None:
    """Sheds or serves in time, and leaves alone who needs no database."""
    finding = slow_database_is_isolated(seen, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary


def test_a_quarter_captured() -> None:
    """A median alone hides that every third request waits; the upper quarter tells."""
    fine = slow()
    third = tuple(
        replace(each, seconds=1.5) if number % 3 == 0 and FAULT_S <= each.at_s < HEALED_S else each
        for number, each in enumerate(fine.drill.sent)
    )
    health = tuple(
        replace(each, seconds=1.5) if number % 3 == 0 and each.at_s >= FAULT_S else each
        for number, each in enumerate(fine.drill.health)
    )
    finding = slow_database_is_isolated(
        replace(fine, drill=replace(fine.drill, sent=third, health=health)), SETTINGS
    )
    assert finding.verdict is Verdict.FAILED
    assert "a quarter of the requests" in finding.summary


def test_a_dead_peer_has_time_for_an_attempt_to_connect() -> None:
    """An attempt to connect that began just before the heal is not held against the service."""
    healed = HEALED_S + 4.0
    sent = (*stream(0.0, FAULT_S), *stream(FAULT_S, healed, status=503), *stream(healed, END_S))
    seen = replace(drill(sent=sent), marks=(Mark("fault", FAULT_S), Mark("healed", HEALED_S)))
    assert dead_peer_is_noticed(DeadPeer(seen), SETTINGS).verdict is Verdict.PASSED
    assert stall_is_bounded(seen, SETTINGS).verdict is Verdict.FAILED


def behind(seen: Drill, by_s: float) -> Drill:
    """The same drill on a machine so busy that requests were sent that late."""
    first, *others = seen.sent
    return replace(seen, sent=(first, *(replace(each, at_s=each.at_s + by_s) for each in others)))


def test_a_busy_machine_is_no_captured_worker() -> None:
    """Where our own requests were sent late, slowness elsewhere proves nothing."""
    seen = slow(beside={"seconds": 0.9})
    assert slow_database_is_isolated(seen, SETTINGS).verdict is Verdict.FAILED
    planned_faster = replace(seen, drill=replace(seen.drill, every_s=0.04))
    finding = slow_database_is_isolated(planned_faster, SETTINGS)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "the machine was busy" in finding.summary


def test_a_busy_machine_answers_later() -> None:
    """What made our requests late is not held against the service's answers."""
    late = drill(during={"status": 503, "seconds": 10.7})
    assert stall_is_bounded(late, SETTINGS).verdict is Verdict.FAILED
    assert stall_is_bounded(behind(late, 0.4), SETTINGS).verdict is Verdict.PASSED
