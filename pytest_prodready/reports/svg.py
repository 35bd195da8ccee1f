"""Small parts of charts as SVG text: scales with round ticks, axes, bands, lines, bars.

Colours and letters are the business of a style sheet: everything drawn has a class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

CHARACTER = 0.56  # of the height of letters: how wide one is, on average
TICK = 4.0


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places on the page."""

    low: float
    high: float
    start: float
    end: float
    whole: bool = False  # counts: no ticks between them

    def __call__(self, value: float) -> float:
        """Where a value is drawn; what lies beyond the scale is drawn at its end."""
        span = self.high - self.low
        share = (value - self.low) / span if span > 0 else 0.0
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    @classmethod
    def from_zero(cls, high: float, start: float, end: float, *, whole: bool = False) -> Scale:
        """A scale from 0 to a round value that is no smaller than this one."""
        step = round_step(high / 4)
        return cls(0.0, max(1, math.ceil(high / step - 1e-9)) * step, start, end, whole)

    def ticks(self, about: int) -> list[float]:
        """About so many round values within the scale."""
        step = max(round_step((self.high - self.low) / max(1, about)), 1.0 if self.whole else 0.0)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 10) for number in range(first, last + 1)]


def round_step(wanted: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no smaller than this."""
    if wanted <= 0 or not math.isfinite(wanted):
        return 1.0
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted * (1 - 1e-9))


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """One element; a trailing underscore in an attribute's name goes, others become hyphens."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_told(value))}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    return f"<{name}{told}>{content}</{name}>" if content else f"<{name}{told}/>"


def _told(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def hint(words: str) -> str:
    """What is shown where the pointer rests, and read aloud."""
    return element("title", escape(words))


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "") -> str:
    """Words at a place; `anchor` is start (the default), middle or end."""
    return element("text", escape(words), x=x, y=y, class_=class_, text_anchor=anchor)


def width_of(words: str, size: float) -> float:
    """About how wide these words are in letters of this size."""
    return len(words) * size * CHARACTER


def rectangle(corner: tuple[float, float], size: tuple[float, float], class_: str, words: str = "") -> str:
    """A filled rectangle by its upper left corner, width and height; with a hint if wanted."""
    return element(
        "rect",
        hint(words) if words else "",
        x=corner[0],
        y=corner[1],
        width=max(0.0, size[0]),
        height=max(0.0, size[1]),
        class_=class_,
    )


def line(from_: tuple[float, float], to: tuple[float, float], class_: str) -> str:
    """A straight line."""
    return element("line", x1=from_[0], y1=from_[1], x2=to[0], y2=to[1], class_=class_)


def curve(points: Iterable[tuple[float, float]], class_: str) -> str:
    """Straight lines from point to point."""
    told = " ".join(f"{_told(float(x))},{_told(float(y))}" for x, y in points)
    return element("polyline", points=told, class_=class_) if told else ""


def steps(points: Sequence[tuple[float, float]], until: float, class_: str) -> str:
    """A line that keeps each value until the next one is known."""
    corners: list[tuple[float, float]] = []
    for number, (x, y) in enumerate(points):
        corners += [(x, y), (points[number + 1][0] if number + 1 < len(points) else until, y)]
    return curve(corners, class_)


def axis_below(scale: Scale, y: float, unit: str, about: int = 10) -> str:
    """A horizontal axis with ticks and their values; the unit stands behind the last."""
    ticks = scale.ticks(about)
    parts = [line((scale.start, y), (scale.end, y), "axis")]
    for value in ticks:
        words = f"{value:g} {unit}" if value == ticks[-1] else f"{value:g}"
        parts.append(line((scale(value), y), (scale(value), y + TICK), "axis"))
        parts.append(text(scale(value), y + TICK + 11, words, "tick", "middle"))
    return "".join(parts)


def axis_left(scale: Scale, x: float, to_x: float, unit: str = "", about: int = 3) -> str:
    """The values of a vertical scale, each with a faint line across."""
    parts = []
    for value in scale.ticks(about):
        class_ = "axis" if value == scale.low else "grid"
        parts.append(line((x, scale(value)), (to_x, scale(value)), class_))
        if value != scale.low:
            parts.append(text(x - 5, scale(value) + 3.5, f"{value:g}{unit}", "tick", "end"))
    return "".join(parts)


def stacked(x: Scale, y: Scale, bars: Mapping[tuple[float, float], Mapping[str, int]]) -> str:
    """Bars from one value of x to another, each a stack of counts; a count's name is its class and hint."""
    parts = []
    for (from_, to), counts in bars.items():
        below = 0
        words = f"{from_:g} to {to:g} s: " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
        for kind, count in counts.items():
            if count:
                top, bottom = y(below + count), y(below)
                left, right = x(from_) + 0.5, x(to) - 0.5
                parts.append(rectangle((left, top), (right - left, bottom - top), kind, words))
                below += count
    return "".join(parts)


def drawing(width: float, height: float, title: str, body: str, style: str = "") -> str:
    """The whole picture; `style` makes it a file of its own."""
    head = hint(title) + (element("style", escape(style, quote=False)) if style else "")
    return element(
        "svg",
        head + body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        width=f"{width:g}" if style else "",
        height=f"{height:g}" if style else "",
    )
