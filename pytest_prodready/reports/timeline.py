"""The timeline of a drill: the fault, and what was answered before, during and after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.probes.drill import Drill, Ledger
from pytest_prodready.reports import svg
from pytest_prodready.reports.recorded import recorded
from pytest_prodready.reports.styles import style
from pytest_prodready.reports.timeline_lanes import LEFT, RIGHT, WIDTH, Lane, lanes, legend

LETTERS = 11.0
ROW = 14.0
GAP = 12.0
TITLE_Y, LEGEND_Y, LABELS_Y = 14.0, 34.0, 58.0
BESIDE = 26.0  # a lane's name stands in its upper part
FIELDS = {"name", "fault", "marks", "sent", "health", "writes", "every_s"}  # what a drill is known by
AT_ONCE_S = 0.003  # marks so close get one label


def drills_in(evidence: Any, name: str = "") -> Iterator[tuple[str, Drill]]:
    """Every drill in the evidence of a finding, by the name of the measurement that it is part of."""
    if isinstance(evidence, Mapping):
        if evidence.keys() >= FIELDS:
            if drill := recorded(Drill, evidence):
                yield name, drill
        else:
            for key, value in evidence.items():
                yield from drills_in(value, name or str(key))
    elif isinstance(evidence, list | tuple):
        for value in evidence:
            yield from drills_in(value, name)


def timelines(evidence: Any) -> Iterator[tuple[str, Drill]]:
    """The drills that there is something to draw of, each with a name of its own."""
    counts: Counter[str] = Counter()
    for name, drill in drills_in(evidence):
        if drill.sent and drill.seconds > 0:
            counts[name] += 1
            yield (name if counts[name] == 1 else f"{name}-{counts[name]}"), drill


def timeline(drill: Drill, *, alone: bool = False) -> str:
    """The picture; empty where nothing was sent. `alone` makes it a file of its own, with its style."""
    if not drill.sent or drill.seconds <= 0:
        return ""
    x = svg.Scale(0.0, drill.seconds, LEFT, WIDTH - RIGHT)
    labels = _placed(drill, x)
    restored_y = LABELS_Y + ROW * (1 + max((each.row for each in labels), default=-1))
    top = restored_y + GAP
    drawn, bottom = stack(lanes(drill, x), top)
    body = [
        svg.text(0, TITLE_Y, f"{drill.name}: {drill.fault}", "title"),
        legend(drill, LEGEND_Y),
        _band(drill, x, top, bottom),
        *drawn,
        *(each.drawn(bottom) for each in labels),
        _restored(drill, x, restored_y),
        svg.axis_below(x, bottom, "s"),
        svg.text(0, bottom + 40, ledger_words(drill.ledger), "note") if drill.ledger else "",
    ]
    words = f"Timeline of the drill {drill.name}: {drill.fault}; {restored_words(drill)}."
    height = bottom + (48 if drill.ledger else 26)
    return svg.drawing(WIDTH, height, words, "".join(body), style("timeline") if alone else "")


def restored_words(drill: Drill) -> str:
    """When service was restored after the fault, with its uncertainty."""
    rto = drill.rto_from_heal_s
    if rto is None:
        return f"not restored within {_seconds(max(0.0, drill.seconds - drill.healed_at_s))}"
    return f"restored after {_seconds(rto)} (± {_seconds(drill.uncertainty_s)})"


def ledger_words(ledger: Ledger) -> str:
    """What became of the writes."""
    lost = f"what was lost can't be told: {ledger.doubt}" if ledger.doubt else f"{len(ledger.lost)} lost"
    return (
        f"writes: {ledger.acknowledged} acknowledged, {ledger.refused} refused, {ledger.unknown} unknown;"
        f" {lost}, {len(ledger.twice)} there twice"
    )


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def stack(found: Sequence[Lane], top: float) -> tuple[list[str], float]:
    """The lanes below each other, and where the last one ends."""
    parts = []
    for lane in found:
        middle = top + min(lane.height, BESIDE) / 2
        parts += [
            lane.draw(top, lane.height),
            svg.text(0, middle + (0 if lane.note else 4), lane.name, "lane"),
        ]
        parts.append(svg.text(0, middle + 12, lane.note, "tick") if lane.note else "")
        top += lane.height + GAP
    return parts, top - GAP + 4


def _band(drill: Drill, x: svg.Scale, top: float, bottom: float) -> str:
    """The time of the fault, behind everything."""
    if drill.mark("fault") is None:
        return ""
    start, end = x(drill.fault_at_s), x(drill.healed_at_s)
    words = f"the fault, from {drill.fault_at_s:.2f} to {drill.healed_at_s:.2f} s"
    return svg.rectangle((start, top - 4), (max(1.0, end - start), bottom - top + 4), "fault", words)


def _restored(drill: Drill, x: svg.Scale, y: float) -> str:
    """From the fault's end until service was restored, or the end."""
    if drill.mark("healed") is None:
        return ""
    recovered = drill.recovered_at_s()
    start = x(drill.healed_at_s)
    end = x(drill.seconds if recovered is None else recovered)
    words = restored_words(drill)
    wide = svg.width_of(words, LETTERS)
    behind = end + 6 + wide <= WIDTH
    return svg.element(
        "g",
        svg.line((start, y - 4), (max(end, start + 2), y - 4), "restored")
        + svg.line((start, y - 8), (start, y), "restored")
        + svg.line((end, y - 8), (end, y), "restored")
        + svg.text(end + 6 if behind else start - 6, y, words, "restored-words", "" if behind else "end"),
    )


@dataclass(frozen=True, slots=True)
class _Label:
    """The name of a moment in the row where it has room."""

    name: str
    at_s: float
    at_x: float
    left: float
    row: int

    def drawn(self, bottom: float) -> str:
        """The name, and a line down to the axis."""
        y = LABELS_Y + ROW * self.row
        return svg.element(
            "g",
            svg.hint(f"{self.name}: {self.at_s:.3f} s")
            + svg.line((self.at_x, y - 9), (self.at_x, bottom), "mark-line")
            + svg.text(self.left, y, self.name),
        )


def _placed(drill: Drill, x: svg.Scale) -> list[_Label]:
    """A label for each moment, in as many rows as they need."""
    labels: list[_Label] = []
    ends: list[float] = []  # of each row
    for at_s, name in _moments(drill):
        wide = svg.width_of(name, LETTERS) + 6
        left = min(x(at_s) + 3, WIDTH - wide)
        row = next((number for number, end in enumerate(ends) if end <= left), len(ends))
        ends[row:] = [left + wide, *ends[row + 1 :]]
        labels.append(_Label(name, at_s, x(at_s), left, row))
    return labels


def _moments(drill: Drill) -> list[tuple[float, str]]:
    """Marks by time; those that are as good as simultaneous share a label."""
    found: list[tuple[float, str]] = []
    for mark in sorted(drill.marks, key=lambda each: each.at_s):
        if found and mark.at_s - found[-1][0] < AT_ONCE_S:
            found[-1] = (found[-1][0], f"{found[-1][1]}, {mark.name}")
        else:
            found.append((mark.at_s, mark.name))
    return found
