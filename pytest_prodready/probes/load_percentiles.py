"""Exact percentiles, and how sure they are."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from pytest_prodready.probes.load import Interval, Times

RESAMPLES = 200
CONFIDENCE = 0.9
SHARES = (0.5, 0.95, 0.99)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that no less than this share are no larger than; exact."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def times(blocks: Sequence[Sequence[float]]) -> Times | None:
    """Percentiles of seconds in blocks (of one second each), in milliseconds; None without any."""
    everything = sorted(value for block in blocks for value in block)
    if not everything:
        return None
    found = [percentile(everything, share) for share in SHARES]
    drawn = _resampled([block for block in blocks if block])
    intervals = [
        Interval(milliseconds(value), milliseconds(low), milliseconds(high))
        for value, (low, high) in zip(found, drawn, strict=True)
    ]
    p50, p95, p99 = intervals
    return Times(len(everything), p50, p95, p99, most_ms=milliseconds(everything[-1]))


def _resampled(blocks: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Where each percentile lies when seconds are drawn at random, again and again."""
    chance = random.Random(1)  # noqa: S311 (the same figures for the same samples)
    drawn: list[list[float]] = [[] for _ in SHARES]
    for _ in range(RESAMPLES):
        values = sorted(value for block in chance.choices(blocks, k=len(blocks)) for value in block)
        for number, share in enumerate(SHARES):
            drawn[number].append(percentile(values, share))
    beyond = (1 - CONFIDENCE) / 2
    return [(percentile(sorted(d), beyond), percentile(sorted(d), 1 - beyond)) for d in drawn]


def milliseconds(seconds: float) -> float:
    """To the microsecond."""
    return round(seconds * 1000, 3)
