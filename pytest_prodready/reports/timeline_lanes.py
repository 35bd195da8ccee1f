"""What a timeline shows below each other: answers, waits, health, writes, connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pytest_prodready.probes.drill import Drill, Sent
from pytest_prodready.reports import svg

WIDTH, LEFT, RIGHT = 760.0, 112.0, 14.0
BARS = 80  # at most, side by side
ROUND_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
KINDS: Mapping[str, str] = {
    "served": "served, acknowledged",
    "refused": "refused politely (503, 429)",
    "wrong": "answered otherwise",
    "silent": "no answer",
}
Bar = tuple[float, float]
Counts = dict[Bar, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Lane:
    """One strip of the timeline: its name, a word on it, its height, and what draws it below a place."""

    name: str
    note: str
    height: float
    draw: Callable[[float, float], str]  # at this top, so high


def kind(sent: Sent) -> str:
    """What became of a request, as everywhere in the timeline."""
    if sent.expected:
        return "served"
    if sent.refused_politely:
        return "refused"
    return "silent" if sent.status is None else "wrong"


def lanes(drill: Drill, x: svg.Scale) -> list[Lane]:
    """The lanes that this drill has something for."""
    found = [
        Lane("requests", "by sending", 84, partial(_bars, x, counted(drill.sent, drill.seconds))),
        Lane("slowest", "answer, s", 36, partial(_slowest, x, drill)),
    ]
    for check in ("liveness", "readiness"):
        asked = [each for each in drill.health if each.request == check]
        if asked:
            found.append(Lane(check, "", 12, partial(_states, x, asked, drill.seconds)))
    if drill.writes:
        attempts = counted(drill.writes, drill.seconds)
        found.append(Lane("writes", "each attempt", 44, partial(_bars, x, attempts)))
    if drill.backends:
        looks = [(each.at_s, each.total, each.busy) for each in drill.backends]
        found.append(Lane("backends", "dashed: busy", 44, partial(backends, x, looks)))
    if drill.accepted_at_s:
        width = bar_s(drill.seconds)
        found.append(Lane("new clients", f"in {width:g} s", 36, partial(_accepts, x, drill)))
    return found


def legend(drill: Drill, y: float) -> str:
    """What the colours mean: those that occur, and always that of a request served."""
    seen = {kind(each) for each in (*drill.sent, *drill.health, *drill.writes)} | {"served"}
    left, parts = LEFT, []
    for name, words in KINDS.items():
        if name in seen:
            parts += [svg.rectangle((left, y - 9), (10, 10), name), svg.text(left + 15, y, words, "tick")]
            left += 15 + svg.width_of(words, 11) + 18
    parts += [svg.rectangle((left, y - 9), (10, 10), "fault"), svg.text(left + 15, y, "the fault", "tick")]
    return "".join(parts)


def backends(x: svg.Scale, looks: Sequence[tuple[float, int, int]], top: float, height: float) -> str:
    """How many connections there were at each moment, and how many of them were in use."""
    y = svg.Scale.from_zero(max(1, *(total for _, total, _ in looks)), top + height, top, whole=True)
    total = [(x(at_s), y(count)) for at_s, count, _ in looks]
    busy = [(x(at_s), y(count)) for at_s, _, count in looks]
    return (
        svg.axis_left(y, x.start, x.end)
        + svg.steps(busy, x.end, "curve busy")
        + svg.steps(total, x.end, "curve")
    )


def bar_s(seconds: float) -> float:
    """How much time a bar stands for, so that there is room for all."""
    return next((width for width in ROUND_S if seconds / width <= BARS), seconds / BARS)


def counted(answers: Iterable[Sent], seconds: float) -> Counts:
    """How many requests of each kind were sent in the time of each bar."""
    found: Counts = {}
    for each in answers:
        counts = found.setdefault(_bar(each.at_s, seconds), dict.fromkeys(KINDS, 0))
        counts[kind(each)] += 1
    return dict(sorted(found.items()))


def _bar(at_s: float, seconds: float) -> tuple[float, float]:
    """The bar that a moment belongs to, from when to when."""
    width = bar_s(seconds)
    number = int(max(0.0, at_s) / width + 1e-9)
    return round(number * width, 6), round((number + 1) * width, 6)


def _bars(x: svg.Scale, counts: Mapping[Bar, Mapping[str, int]], top: float, height: float) -> str:
    most = max(sum(each.values()) for each in counts.values())
    y = svg.Scale.from_zero(most, top + height, top, whole=True)
    return svg.axis_left(y, x.start, x.end) + svg.stacked(x, y, counts)


def _slowest(x: svg.Scale, drill: Drill, top: float, height: float) -> str:
    """The longest that a request sent in a bar's time was left without an answer."""
    slowest: dict[Bar, float] = {}
    for each in drill.sent:
        bar = _bar(each.at_s, drill.seconds)
        slowest[bar] = max(slowest.get(bar, 0.0), each.seconds)
    y = svg.Scale.from_zero(max(*slowest.values(), 0.001), top + height, top)
    points = [(x((start + end) / 2), y(value)) for (start, end), value in sorted(slowest.items())]
    return svg.axis_left(y, x.start, x.end) + svg.curve(points, "curve")


def _states(x: svg.Scale, asked: Sequence[Sent], seconds: float, top: float, height: float) -> str:
    """What a health path answered, each answer until the next; equal ones in a row are one piece."""
    parts, number = [], 0
    while number < len(asked):
        name, first = kind(asked[number]), number
        while number < len(asked) and kind(asked[number]) == name:
            number += 1
        until = asked[number].at_s if number < len(asked) else seconds
        start = asked[first].at_s
        words = f"{asked[0].request} {KINDS[name]} {number - first} times from {start:.2f} to {until:.2f} s"
        parts.append(svg.rectangle((x(start), top), (max(1.0, x(until) - x(start)), height), name, words))
    return "".join(parts)


def _accepts(x: svg.Scale, drill: Drill, top: float, height: float) -> str:
    counts = Counter(_bar(at, drill.seconds) for at in drill.accepted_at_s or ())
    return _bars(x, {bar: {"accepts": count} for bar, count in sorted(counts.items())}, top, height)
