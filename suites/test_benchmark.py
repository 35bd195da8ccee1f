"""Benchmarks: what a declared request and a checkout of the pool take by themselves, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Benchmark = Callable[[Callable[[], None]], Any]


@pytest.mark.readiness_benchmark
def test_request(timed_request: Callable[[], None], benchmark: Benchmark) -> None:
    """A declared request is sent again and again over one connection, and answered as declared."""
    benchmark(timed_request)


@pytest.mark.readiness_benchmark
def test_hundred_checkouts(timed_checkouts: Callable[[], None], benchmark: Benchmark) -> None:
    """A connection is taken from the service's own pool and given back, a hundred times."""
    benchmark(timed_checkouts)
