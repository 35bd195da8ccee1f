"""The pictures of a finding: timelines of drills, and of loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pytest_prodready.reports.load_chart import load_chart, loads_in
from pytest_prodready.reports.timeline import timeline, timelines


class Draw(Protocol):
    """Draws it; `alone` makes it a file of its own, with its style."""

    def __call__(self, *, alone: bool = False) -> str:
        """The picture as SVG."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: the name of the measurement, what it shows, and how it is drawn."""

    name: str
    shows: str
    draw: Draw


def pictures(evidence: Any) -> Iterator[Picture]:
    """Every picture that this evidence has, each with a name of its own."""
    for name, drill in timelines(evidence):
        yield Picture(name, drill.name, partial(timeline, drill))
    for name, load in loads_in(evidence):
        yield Picture(name, "the load", partial(load_chart, load))
