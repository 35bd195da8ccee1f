"""Whether a mark expression asks for readiness."""

from __future__ import annotations

import pytest

from pytest_prodready.selection import asked_for


@pytest.mark.parametrize(
    "expression",
    [
        "readiness",
        "ssl",
        "readiness and ssl",
        "readiness or not slow",
        "pool or health",
        "readiness and not slow",
    ],
)
def test_asking(expression: str) -> None:
    """An expression that our marks make true asks for the gate."""
    assert asked_for(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "not readiness", "not slow", "not health", "slow", "not (readiness and slow)", "((", "not ssl"],
)
def test_not_asking(expression: str) -> None:
    """An expression that is true without our marks, or never, asks for nothing."""
    assert not asked_for(expression)
