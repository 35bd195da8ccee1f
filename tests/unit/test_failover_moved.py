"""Who counts as having followed a name that moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pytest_prodready.faults import Connections
from pytest_prodready.probes.failover_moved import _Addresses


@dataclass
class Address:
    """One of the two, and when clients came to it."""

    accepted_at: list[float] = field(default_factory=list)

    def connect(self, after_s: float = 0.0) -> None:
        """A client comes."""
        self.accepted_at.append(time.time() + after_s)

    def connections(self) -> Connections:
        """What its proxy has counted."""
        return Connections(
            open=0, accepted=len(self.accepted_at), refused_upstream=0, accepted_at=tuple(self.accepted_at)
        )


def test_who_comes_while_the_name_moves_has_followed_it() -> None:
    """A container's name takes a moment to move: who finds the new address within it is no stranger to it."""
    old, new = Address(), Address()
    marks: list[str] = []

    @contextmanager
    def moved(told: Callable[[str], None]) -> Iterator[None]:
        told("dead")
        old.connect(after_s=-0.001)  # the name still leads there
        new.connect()  # it leads here, and that wasn't told yet
        told("moved")
        yield

    name: Any = SimpleNamespace(addresses=SimpleNamespace(old=old, new=new), moved=moved)
    old.connect(after_s=-1)
    seen = _Addresses(name)
    with seen.moved(marks.append):
        new.connect(after_s=1)
    assert marks == ["dead", "moved", "healed"]
    assert seen.old_after_s == ()
    assert [round(at) for at in seen.new_after_s] == [0, 1]
