"""The open schedule: when each request is to start, whatever became of those before it."""

from __future__ import annotations

import itertools
import random
from bisect import bisect
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pytest_prodready.generator.plan import Plan, Stage


class Slot(NamedTuple):
    """One request of the schedule; times in seconds since the schedule began."""

    number: int
    stage: int
    at_s: float  # its intended start
    ask: int
    token: str
    write: int = -1  # the number of its token; -1: no write


@dataclass(frozen=True, slots=True)
class Slice:
    """Every so many-th request of the schedule: the share of one process of several."""

    number: int = 0
    of: int = 1

    def first(self, number: int) -> int:
        """How many requests after that one is the first of this slice."""
        return (self.number - number) % self.of


class Writes:
    """The tokens of acknowledged writes, as material for reading back."""

    def __init__(self, plan: Plan) -> None:
        self._settle_s, self._random = plan.settle_s, random.Random(plan.seed)  # noqa: S311 (no secret)
        self._young: deque[tuple[float, str]] = deque()
        self._old: list[str] = []

    def acknowledged(self, token: str, at_s: float) -> None:
        """One more."""
        self._young.append((at_s, token))

    def one(self, at_s: float) -> str:
        """Any that has had time to settle by then; empty where there is none."""
        while self._young and self._young[0][0] + self._settle_s <= at_s:
            self._old.append(self._young.popleft()[1])
        return self._random.choice(self._old) if self._old else ""


class Schedule:
    """Hands out one slot after the other of its slice; numbers and tokens are no other slice's."""

    def __init__(self, plan: Plan, mine: Slice | None = None) -> None:
        self.plan, self.writes = plan, Writes(plan)
        self.slice = mine or Slice()
        self.climbing = True
        self.began_s = [sum(each.seconds for each in plan.stages[:n]) for n in range(len(plan.stages))]
        self._random = random.Random(plan.seed + self.slice.number)  # noqa: S311 (the same mix in every run)
        self._slots = self._all()

    def next(self) -> Slot | None:
        """The next slot; None when there is none left."""
        return next(self._slots, None)

    def dropped(self, slot: Slot) -> bool:
        """Whether it belongs to a climb that was ended."""
        return self._left_out(self.plan.stages[slot.stage])

    def end_climb(self, at_s: float) -> None:
        """Leave out what is left of the climb: what comes after it begins now, or in its place."""
        climb = [number for number, stage in enumerate(self.plan.stages) if stage.climb]
        if self.climbing and climb:
            after, start = climb[-1] + 1, max(at_s, self.began_s[climb[0]])
            later = self.began_s[after:]
            self.began_s[after:] = [began - max(0.0, later[0] - start) for began in later]
        self.climbing = False  # last: another thread deals out slots meanwhile

    def _left_out(self, stage: Stage) -> bool:
        return stage.climb and not self.climbing

    def _all(self) -> Iterator[Slot]:
        before, writes = 0, self.slice.number
        weights = list(itertools.accumulate(ask.weight for ask in self.plan.asks))
        for index, stage in enumerate(self.plan.stages):
            for step in range(self.slice.first(before), stage.planned, self.slice.of):
                if self._left_out(stage):
                    break
                ask = bisect(weights, self._random.random() * weights[-1])
                number = before + step
                write = self.plan.asks[ask].kind == "create" and not stage.null
                token = f"{self.plan.prefix}{writes:05d}" if write else f"prodready{self.plan.seed}y{number}"
                at_s = self.began_s[index] + step / stage.rate
                yield Slot(number, index, at_s, ask, token, writes if write else -1)
                writes += self.slice.of * write
            before += stage.planned

    def instead_of(self) -> int:
        """What to ask where nothing was written that could be read back yet."""
        return next((n for n, each in enumerate(self.plan.asks) if each.kind == "request"), 0)
