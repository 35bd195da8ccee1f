"""The picture of a load: what was asked and answered over time, stage by stage; and time over throughput."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_prodready.probes.load import AGAIN, SELF_TEST, WARM_UP, Load
from pytest_prodready.reports import svg
from pytest_prodready.reports.load_lanes import lanes, legend
from pytest_prodready.reports.load_notes import notes_on
from pytest_prodready.reports.recorded import recorded
from pytest_prodready.reports.styles import style
from pytest_prodready.reports.timeline import LETTERS, stack
from pytest_prodready.reports.timeline_lanes import LEFT, RIGHT, WIDTH

TITLE_Y, LEGEND_Y, BANDS_Y, TOP = 14.0, 34.0, 54.0, 66.0
CURVE_HEIGHT = 110.0
FIELDS = {"stages", "seconds", "generator", "knee", "expected_rps"}  # what a load is known by
POINT = 3.5
SHORT = 0.98  # of what was asked for: less is another line


def loads_in(evidence: Any) -> Iterator[tuple[str, Load]]:
    """Every load in the evidence of a finding that there is something to draw of, by its name."""
    for name, value in evidence.items() if isinstance(evidence, Mapping) else ():
        if isinstance(value, Mapping) and value.keys() >= FIELDS:
            seen = recorded(Load, value)
            if seen is not None and seen.climb:
                yield str(name), seen


def load_chart(seen: Load, *, alone: bool = False) -> str:
    """The picture; `alone` makes it a file of its own, with its style."""
    end = max(each.at_s + each.seconds for each in seen.stages)
    start = min(each.at_s for each in seen.stages if each.name != SELF_TEST)
    x = svg.Scale(start, end, LEFT, WIDTH - RIGHT)
    drawn, bottom = stack(lanes(seen, x), TOP)
    curve_top = bottom + 58
    notes_y = curve_top + CURVE_HEIGHT + 40
    notes = notes_on(seen)
    body = [
        svg.text(
            0, TITLE_Y, f"load: {seen.expected_rps:g}/s, up to {seen.multiplier:g} times of it", "title"
        ),
        legend(LEGEND_Y),
        _bands(seen, x, bottom),
        *drawn,
        svg.axis_below(x, bottom, "s"),
        _over_throughput(seen, curve_top),
        *(svg.text(0, notes_y + 15 * number, words, "note") for number, words in enumerate(notes)),
    ]
    words = f"Load of {seen.expected_rps:g} requests a second and up to {seen.multiplier:g} times of it."
    height = notes_y + 15 * len(notes)
    return svg.drawing(WIDTH, height, words, "".join(body), style("timeline") if alone else "")


def _bands(seen: Load, x: svg.Scale, bottom: float) -> str:
    """The stages, behind everything, each with its name; every other one is shaded."""
    parts = []
    shown = [each for each in seen.stages if each.name != SELF_TEST]
    for number, each in enumerate(shown):
        left, right = x(each.at_s), x(each.at_s + each.seconds)
        users = f"{each.users} users, " if each.users else ""
        hint = (
            f"{each.name}: {users}{each.rate:g}/s for {each.seconds:g} s, {each.good} of {each.due} good,"
            f" {each.goodput:.0f} good answers/s"
        )
        kind = "band" if number % 2 else "band plain"
        parts.append(svg.rectangle((left, BANDS_Y + 6), (right - left, bottom - BANDS_Y - 6), kind, hint))
        name = {WARM_UP: "warm-up", AGAIN: "again"}.get(each.name, each.name)
        if svg.width_of(name, LETTERS) <= right - left:
            parts.append(svg.text((left + right) / 2, BANDS_Y, name, "tick", "middle"))
    return "".join(parts)


def _over_throughput(seen: Load, top: float) -> str:
    """p95 and median of each stage by its good answers a second, and the knee where one is seen.

    Where a stage was asked for more than that, a dashed line shows p95 by what it was asked for.
    """
    stages = [each for each in seen.climb if each.response is not None]
    most = seen.knee.most_per_s if seen.knee else None
    short = any(each.goodput < SHORT * each.rate for each in stages)
    widest = max([each.rate if short else each.goodput for each in stages] or [1.0])
    x = svg.Scale.from_zero(max(widest, min(most or 0.0, 2 * widest)), LEFT, WIDTH - RIGHT)
    slowest = max([each.response.p95.ms for each in stages if each.response] or [1.0])
    y = svg.Scale.from_zero(slowest, top + CURVE_HEIGHT, top)
    parts = [
        svg.text(0, top + 12, "response, ms", "lane"),
        svg.text(0, top + 26, "by good answers/s", "tick"),
        svg.axis_left(y, x.start, x.end),
    ]
    if short:
        begun = "sent" if seen.locustfile else "due"
        parts.append(svg.text(0, top + 40, f"dashed: by {begun}/s", "tick"))
        points = [(x(each.rate), y(each.response.p95.ms)) for each in stages if each.response]
        parts.append(svg.curve(points, "curve busy"))
    for share in ("p50", "p95"):
        points = [(x(each.goodput), y(getattr(each.response, share).ms)) for each in stages]
        parts.append(svg.curve(points, f"curve {share}"))
    for each in stages:
        assert each.response is not None
        place = (x(each.goodput) - POINT, y(each.response.p95.ms) - POINT)
        words = f"{each.name}: {each.goodput:.0f} of {each.rate:g}/s, p95 {each.response.p95.ms:.0f} ms"
        parts.append(svg.rectangle(place, (2 * POINT, 2 * POINT), "point", words))
    if most is not None and most <= x.high:
        parts.append(svg.line((x(most), top), (x(most), top + CURVE_HEIGHT), "mark-line"))
        parts.append(svg.text(x(most) - 4, top + 10, f"about {most:.0f}/s at most", "tick", "end"))
    return "".join(parts) + svg.axis_below(x, top + CURVE_HEIGHT, "")
