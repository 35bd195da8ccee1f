"""Details of a load: one request of the mix, and what the servers did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """The times of one request of the mix in a stage, from the intended start."""

    request: str
    count: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Rise:
    """How much the servers' counters rose in a part of a stage."""

    stage: str
    seconds: float
    counters: Mapping[str, float]

    def count(self, name: str) -> float:
        """How much this one rose."""
        return self.counters.get(name, 0.0)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What backends in use waited for in a stage, in so many looks at them."""

    what: str
    stage: str
    looks: int
