"""What the picture of a load shows below each other: rate, times, failures, requests under way, the pool."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial

from pytest_prodready.probes.load import Load, PoolLook, Second
from pytest_prodready.reports import svg
from pytest_prodready.reports.timeline_lanes import LEFT, Lane, backends

KEYS = (
    ("curve p50", "p50"),
    ("curve p95", "p95, good answers"),
    ("curve p99", "p99"),
    ("curve busy", "due, in use"),
)


def lanes(seen: Load, x: svg.Scale) -> list[Lane]:
    """The lanes that this load has something for."""
    seconds = [each for each in seen.seconds if each.at_s >= math.floor(x.low)]
    begun = "sent" if seen.locustfile else "due"
    found = [
        Lane("rate, /s", f"dashed: {begun}", 70, partial(_rate, x, seconds)),
        Lane("response, ms", f"since it was {begun}", 84, partial(_times, x, seconds)),
    ]
    if any(each.failed for each in seconds):
        found.append(Lane("failed, /s", "", 36, partial(_failed, x, seconds)))
    found.append(Lane("under way", "", 36, partial(_under_way, x, seconds)))
    if looks := [each for each in seen.pool or () if each.at_s >= x.low]:
        found.append(Lane("backends", "dashed: in use", 44, partial(_backends, x, looks)))
        found += _hindered(x, looks)
    if memory := [(each.at_s, each.memory_mb) for each in seen.usage or () if each.at_s >= x.low]:
        found.append(Lane("memory, MB", "of the service", 36, partial(_values, x, memory)))
    if processor := _processor(seen, x.low):
        found.append(Lane("processor, %", "of the service", 36, partial(_values, x, processor)))
    return found


def legend(y: float) -> str:
    """What the lines mean."""
    left, parts = LEFT, []
    for class_, words in KEYS:
        parts += [svg.line((left, y - 4), (left + 18, y - 4), class_), svg.text(left + 23, y, words, "tick")]
        left += 23 + svg.width_of(words, 11) + 18
    return "".join(parts)


def _rate(x: svg.Scale, seconds: Sequence[Second], top: float, height: float) -> str:
    y = svg.Scale.from_zero(max(max(each.due, each.good) for each in seconds), top + height, top)
    due = [(x(each.at_s), y(each.due)) for each in seconds]
    good = [(x(each.at_s), y(each.good)) for each in seconds]
    return (
        svg.axis_left(y, x.start, x.end)
        + svg.steps(due, x.end, "curve busy")
        + svg.steps(good, x.end, "curve p95")
    )


def _times(x: svg.Scale, seconds: Sequence[Second], top: float, height: float) -> str:
    y = svg.Scale.from_zero(max([each.p99_ms or 0.0 for each in seconds] or [1.0]), top + height, top)
    parts = [svg.axis_left(y, x.start, x.end)]
    for share in ("p99", "p95", "p50"):
        known = [(each.at_s, getattr(each, f"{share}_ms")) for each in seconds]
        points = [(x(at_s + 0.5), y(value)) for at_s, value in known if value is not None]
        parts.append(svg.curve(points, f"curve {share}"))
    return "".join(parts)


def _failed(x: svg.Scale, seconds: Sequence[Second], top: float, height: float) -> str:
    y = svg.Scale.from_zero(max(each.failed for each in seconds), top + height, top, whole=True)
    bars = {(each.at_s, each.at_s + 1): {"wrong": each.failed} for each in seconds}
    return svg.axis_left(y, x.start, x.end) + svg.stacked(x, y, bars)


def _under_way(x: svg.Scale, seconds: Sequence[Second], top: float, height: float) -> str:
    return _values(x, [(each.at_s, each.under_way) for each in seconds], top, height)


def _values(x: svg.Scale, values: Sequence[tuple[float, float]], top: float, height: float) -> str:
    y = svg.Scale.from_zero(max([value for _, value in values] or [1.0]) or 1.0, top + height, top)
    points = [(x(at_s), y(value)) for at_s, value in values]
    return svg.axis_left(y, x.start, x.end, about=2) + svg.curve(points, "curve")


def _backends(x: svg.Scale, looks: Sequence[PoolLook], top: float, height: float) -> str:
    return backends(x, [(each.at_s, each.total, each.in_use) for each in looks], top, height)


def _hindered(x: svg.Scale, looks: Sequence[PoolLook]) -> list[Lane]:
    """Backends that are in use and get nothing done, where there were any."""
    kinds = (
        ("waiting", "for a lock", [(each.at_s, each.waiting) for each in looks]),
        ("idle", "in transaction", [(each.at_s, each.idle_in_transaction) for each in looks]),
    )
    return [
        Lane(name, note, 30, partial(_counts, x, values))
        for name, note, values in kinds
        if any(count for _, count in values)
    ]


def _counts(x: svg.Scale, values: Sequence[tuple[float, int]], top: float, height: float) -> str:
    y = svg.Scale.from_zero(max(value for _, value in values), top + height, top, whole=True)
    points = [(x(at_s), y(value)) for at_s, value in values]
    return svg.axis_left(y, x.start, x.end, about=2) + svg.steps(points, x.end, "curve p99")


def _processor(seen: Load, from_s: float) -> list[tuple[float, float]]:
    """How much of a processor the service used between two looks."""
    used = [each for each in seen.usage or () if each.at_s >= from_s]
    return [
        (later.at_s, max(0.0, 100 * (later.cpu_s - earlier.cpu_s) / (later.at_s - earlier.at_s)))
        for earlier, later in itertools.pairwise(used)
        if later.at_s > earlier.at_s
    ]
