"""The check of the drill in which the database's name moves, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover_moved import moved_address_is_followed
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Drill, Mark
from pytest_prodready.probes.failover_moved import MovedAddress
from tests.unit.checks.drills import END_S, FAULT_S, SETTINGS, drill, stream

MOVED_S = 2.0
LONG_S = 45.0
FOR_EVER = tuple(float(second) for second in range(41))


def moved(
    after: dict[str, Any] | None = None,
    back_s: float = MOVED_S,
    end_s: float = END_S,
    old: tuple[float, ...] = (),
    new: tuple[float, ...] = (0.1, 0.2),
    **changes: Any,
) -> MovedAddress:
    """A move that went well, but for what is told: served again from `back_s` on."""
    sent = (
        *stream(0.0, FAULT_S),
        *stream(FAULT_S, back_s, status=503),
        *stream(back_s, end_s, **(after or {})),
    )
    marks = tuple(
        Mark(name, at) for name, at in (("fault", FAULT_S), ("moved", MOVED_S), ("healed", MOVED_S))
    )
    seen = replace(drill(), marks=marks, sent=sent, seconds=end_s)
    return MovedAddress(replace(seen, **changes), held=2, old_after_s=old, new_after_s=new)


def with_writes(back_s: float | None) -> MovedAddress:
    """Reads are served at once, writes later or never."""
    refused = stream(MOVED_S, back_s or LONG_S, request="create", status=503)
    served = () if back_s is None else stream(back_s, LONG_S, request="create")
    return moved(end_s=LONG_S, writes=(*refused, *served))


NOBODY = replace(moved(new=()), held=0)
PINNED = moved({"status": 503}, end_s=LONG_S, old=FOR_EVER, new=())
ONE_PROCESS_PINNED = moved(end_s=LONG_S, old=FOR_EVER)


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (moved(), Verdict.PASSED, "2 connections to the new address, 0 attempts at the old one"),
        (moved(old=(0.2,)), Verdict.PASSED, "1 attempts at the old one, the last of them 200 ms after it"),
        (moved(back_s=32.0, end_s=LONG_S, old=(28.0,)), Verdict.PASSED, "served again 30.0 s"),
        (with_writes(30.0), Verdict.PASSED, "served again"),
        (MovedAddress(None, "user.max_user_namespaces = 0"), Verdict.UNVERIFIED, "max_user_namespaces"),
        (moved(doubt="not steady"), Verdict.INCONCLUSIVE, "not steady"),
        (moved(marks=(Mark("fault", FAULT_S),)), Verdict.INCONCLUSIVE, "the name never moved"),
        (NOBODY, Verdict.INCONCLUSIVE, "nobody connected to the database by that name"),
        (moved(new=()), Verdict.INCONCLUSIVE, "served without a new connection"),
        (PINNED, Verdict.FAILED, "it kept connecting to the old address; not served again"),
        (ONE_PROCESS_PINNED, Verdict.FAILED, "some of it kept connecting to the old address"),
        (moved({"status": 503}, new=()), Verdict.FAILED, "0 connections to the new address"),
        (moved(back_s=40.0, end_s=LONG_S), Verdict.FAILED, "served again 38.0 s"),
        (with_writes(None), Verdict.FAILED, "no write was served after the move: 10 x 503"),
        (with_writes(40.0), Verdict.FAILED, "writes were back 38.0 s after the move"),
        (moved(same_process=False, last_words="boom"), Verdict.FAILED, "the process ended (boom)"),
        (
            moved(health=stream(FAULT_S, END_S, request="liveness", status=503)),
            Verdict.FAILED,
            "liveness said",
        ),
    ],
)
def test_moved_address(seen: MovedAddress, verdict: Verdict, part: str) -> None:
    """Following in time is good, also after half a minute; staying is not, and nothing tried is no pass."""
    finding = moved_address_is_followed(seen, SETTINGS)
    assert finding.verdict is verdict, finding.summary
    assert part in finding.summary
    assert "heal" not in finding.summary


def test_the_limit_is_the_users() -> None:
    """Who must be back within five seconds says so."""
    slow = moved(back_s=9.0)
    assert moved_address_is_followed(slow, SETTINGS).verdict is Verdict.PASSED
    failover = SETTINGS.failover.model_copy(update={"moved_within_s": 5.0})
    strict = SETTINGS.model_copy(update={"failover": failover})
    assert moved_address_is_followed(slow, strict).verdict is Verdict.FAILED


def test_a_drill_alone_is_no_evidence() -> None:
    """A drill without a move, as other scenarios have it, is inconclusive here."""
    seen: Drill = drill()
    assert moved_address_is_followed(MovedAddress(seen), SETTINGS).verdict is Verdict.INCONCLUSIVE
