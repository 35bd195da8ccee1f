"""Scales, ticks and shapes of charts."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_prodready.reports import svg


@pytest.mark.parametrize(
    ("wanted", "step"), [(0.03, 0.05), (0.1, 0.1), (1.2, 2), (3, 5), (7, 10), (10, 10), (0, 1), (-3, 1)]
)
def test_steps_are_round(wanted: float, step: float) -> None:
    """A step between ticks is 1, 2 or 5 times a power of ten."""
    assert svg.round_step(wanted) == pytest.approx(step)


def test_ticks_lie_on_the_scale() -> None:
    """Ticks are round, in order, and within the scale; both ends count where they are round."""
    assert svg.Scale(0, 10, 0, 100).ticks(5) == [0, 2, 4, 6, 8, 10]
    assert svg.Scale(0.13, 0.94, 0, 100).ticks(4) == [0.5]
    assert svg.Scale(0, 0, 0, 100).ticks(4) == [0]


def test_counts_have_whole_ticks() -> None:
    """There is no half request."""
    assert svg.Scale.from_zero(1, 0, 100, whole=True).ticks(4) == [0, 1]


@pytest.mark.parametrize("high", [0.003, 1, 7, 11, 999, 1_000_001])
def test_scale_reaches_a_round_value(high: float) -> None:
    """The largest value fits, and at least half of the height is used."""
    top = svg.Scale.from_zero(high, 0, 100).high
    assert high <= top <= 2 * high


def test_places() -> None:
    """A value is drawn in proportion; what lies beyond the scale stays within the picture."""
    scale = svg.Scale(0, 10, 200, 100)
    assert [scale(0), scale(5), scale(10), scale(99), scale(-1)] == [200, 150, 100, 100, 200]


def test_everything_is_escaped() -> None:
    """Whatever text is drawn stays text."""
    nasty = '</text><script>alert("&")</script>'
    drawn = svg.drawing(10, 10, nasty, svg.text(0, 0, nasty) + svg.rectangle((0, 0), (1, 1), "a", nasty))
    found = ET.fromstring(drawn)  # noqa: S314 - our own
    assert "<script" not in drawn
    assert {each.text for each in found.iter() if each.text} == {nasty}
    assert found.get("aria-label") == nasty


def test_bars_are_stacked() -> None:
    """One kind stands on the other, and none has a size below zero."""
    x, y = svg.Scale(0, 1, 0, 100), svg.Scale(0, 10, 100, 0)
    drawn = ET.fromstring(f"<g>{svg.stacked(x, y, {(0.0, 0.5): {'served': 4, 'wrong': 6, 'silent': 0}})}</g>")  # noqa: S314
    assert [(each.get("class"), each.get("y"), each.get("height")) for each in drawn] == [
        ("served", "60", "40"),
        ("wrong", "0", "60"),
    ]


def test_steps_keep_their_value() -> None:
    """A count is drawn as it stays until the next look."""
    assert 'points="0,5 2,5 2,1 9,1"' in svg.steps([(0, 5), (2, 1)], 9, "curve")
    assert svg.steps([], 9, "curve") == ""
