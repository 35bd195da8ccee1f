"""Reading written rows back through a service: found, lost, or not asked for in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from pytest_prodready.probes import drill_ledger
from pytest_prodready.probes.drill_ledger import ACKNOWLEDGED, ReadBack
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, WritesSettings

WRITES = WritesSettings.model_validate(
    {
        "create": {"method": "POST", "path": "/jobs", "json": {"title": "{token}"}},
        "read_back": {"path": "/jobs?title={token}"},
    }
)
SENT = [(f"word{number:05d}", ACKNOWLEDGED, 1.0) for number in range(20)]


class Kept:
    """A service that has kept all writes but one."""

    def send(self, request: Request, _: float, token: str = "") -> Answer:
        """Show what was asked for."""
        body = "" if "word00007" in request.path else request.path
        return Answer(request.label, 200, 0.01, expected=True, body=body)

    def ask_all(self, requests: Sequence[Request], within_s: float) -> list[Answer]:
        """Show all of them."""
        return [self.send(each, within_s) for each in requests]


def test_what_is_missing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that doesn't show within the time that a read may lag behind."""
    monkeypatch.setattr(drill_ledger, "SETTLE_S", 0.0)
    ledger = ReadBack(cast(Traffic, Kept()), WRITES).ledger(SENT, "word", None)
    assert (ledger.lost, ledger.doubt) == (("word00007",), "")


def test_reading_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes too long for each of them leaves the rest unknown, and loses none by it."""
    monkeypatch.setattr(drill_ledger, "ALL_WITHIN_S", -1.0)
    ledger = ReadBack(cast(Traffic, Kept()), WRITES).ledger(SENT, "word", None)
    assert ledger.lost == ()
    assert "20 of 20 writes had not been read back" in ledger.doubt
