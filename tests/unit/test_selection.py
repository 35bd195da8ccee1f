"""Whether a mark expression asks for readiness."""

from __future__ import annotations

import pytest

from pytest_prodready.selection import asked_for, benchmarks_asked_for, names_benchmarks


@pytest.mark.parametrize(
    "expression",
    [
        "readiness",
        "ssl",
        "readiness and ssl",
        "readiness or not slow",
        "pool or health",
        "readiness and not slow",
        "readiness_benchmark",
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


@pytest.mark.parametrize(
    "expression",
    ["readiness_benchmark", "readiness or readiness_benchmark", "readiness_benchmark and not slow"],
)
def test_asking_for_benchmarks(expression: str) -> None:
    """Their own mark asks for them."""
    assert benchmarks_asked_for(expression)


@pytest.mark.parametrize("expression", ["", "readiness", "load", "not readiness_benchmark", "not slow", "(("])
def test_benchmarks_come_for_nothing_else(expression: str) -> None:
    """The gate doesn't bring them along."""
    assert not benchmarks_asked_for(expression)


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("prodready.toml::benchmark", True),
        ("shop/prodready.toml::benchmark::test_request[list]", True),
        ("prodready.toml::load::test_stays_up", False),
        ("prodready.toml", False),
        ("test_speed.py::benchmark_of_mine", False),
        ("test_speed.py::benchmark", False),
    ],
)
def test_naming_benchmarks(argument: str, named: bool) -> None:
    """A node id of theirs asks for them, and no other that begins like it."""
    assert names_benchmarks(argument) is named
