"""Counting with answers lost: what the probe makes of a service that is still finding its feet."""

from __future__ import annotations

from typing import cast

import pytest

from pytest_prodready.environment.cache import Cache
from pytest_prodready.faults import Proxied
from pytest_prodready.probes import failover_counter
from pytest_prodready.probes.failover_counter import Counting
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import CounterSettings, Request

COUNTER = CounterSettings(
    increment=Request(method="POST", path="/views", expect=(201,)), read=Request(path="/views")
)


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover_counter, "QUIET_S", 0.05)
    monkeypatch.setattr(failover_counter, "BUSY_EVERY_S", 0.01)


class Service:
    """Counts, but for requests that meet a dead connection."""

    def __init__(self, *, dead: int, adds: int = 1) -> None:
        self._dead, self._adds, self.views = dead, adds, 7

    def send(self, request: Request, _: float) -> Answer:
        """Answer 503 while dead connections are left."""
        if self._dead:
            self._dead -= 1
            return Answer(request.label, 503, 0.01)
        if request.method == "POST":
            self.views += self._adds
        return Answer(request.label, 200, 0.01, expected=True, body=f'{{"views": {self.views}}}')

    def dies_again(self, dead: int) -> None:
        """Some more connections are dead."""
        self._dead = dead


def counting(service: Service) -> Counting:
    """The probe's counting on this service."""
    traffic = cast(Traffic, service)
    return Counting(cast(Cache, None), cast(Proxied, None), traffic, COUNTER, deadline_s=1.0)


def test_dead_connections_are_worn_out() -> None:
    """A client that never retries answers 503 for each connection that an earlier loss left dead."""
    service = Service(dead=3)
    seen = counting(service)
    assert seen.number_in_calm() == 7
    service.dies_again(2)
    assert not seen.calm()
    assert len(seen.answers) == 3
    assert not seen.is_moved(7)


def test_a_number_that_moves_otherwise() -> None:
    """A number that isn't moved by what was acknowledged, or by more than was sent, is another number."""
    for adds in (0, 2):
        seen = counting(Service(dead=0, adds=adds))
        assert not seen.calm()
        assert (
            seen.is_moved(7) == f"1 increments, 1 of them acknowledged, moved the number from 7 to {7 + adds}"
        )


def test_why_it_is_not_read() -> None:
    """The doubt says what the service answered."""
    seen = counting(Service(dead=1))
    assert seen.number() is None
    assert seen.unread == "got 503"
