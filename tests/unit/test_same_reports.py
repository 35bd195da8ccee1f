"""What two runs of one state may differ in."""

from __future__ import annotations

import pytest

from tests.same_reports import differences, without_open_advice


@pytest.mark.parametrize(
    ("level", "verdict", "same"),
    [
        ("info", "inconclusive", True),  # a busy machine left it open, and nothing tries advice again
        ("info", "failed", False),
        ("must", "inconclusive", False),
    ],
)
def test_only_advice_may_stay_open(level: str, verdict: str, same: bool) -> None:
    """A verdict that differs is told, but for advice that one of them couldn't give."""
    one, other = ({"findings": {"a.b": {"level": level, "verdict": each}}} for each in ("passed", verdict))
    assert (differences(*without_open_advice(one, other)) == []) is same
