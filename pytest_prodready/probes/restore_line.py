"""The straight line through times of restores of several sizes, and how well it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 4  # points; through fewer there is hardly a choice
# Student's t for 95 %, two-sided, by degrees of freedom.
T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
T_BEYOND = 2.1


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line by least squares."""

    fixed_s: float
    per_gb_s: float
    error_s: float  # the standard error of one restore
    mean_gb: float
    spread: float  # Σ(x - mean)²
    count: int

    @property
    def known(self) -> bool:
        """Whether what a GB takes is known to half of itself."""
        return self._t * self.error_s / math.sqrt(self.spread) <= self.per_gb_s / 2

    def at(self, gb: float) -> tuple[float, float, float]:
        """How long a restore of this size takes: least, likely and most (95 %)."""
        likely = self.fixed_s + self.per_gb_s * gb
        how_far = 1 + 1 / self.count + (gb - self.mean_gb) ** 2 / self.spread
        margin = self._t * self.error_s * math.sqrt(how_far)
        return max(0.0, likely - margin), likely, likely + margin

    @property
    def _t(self) -> float:
        freedom = self.count - 2
        return T[freedom - 1] if freedom <= len(T) else T_BEYOND


def fitted(points: Sequence[tuple[float, float]]) -> Line | None:
    """The line through points of GB and seconds; None where they don't make one."""
    count = len(points)
    if count < FEWEST:
        return None
    mean_x, mean_y = (sum(values) / count for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread == 0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    fixed = mean_y - slope * mean_x
    rest = sum((y - fixed - slope * x) ** 2 for x, y in points)
    return Line(fixed, slope, math.sqrt(rest / (count - 2)), mean_x, spread, count)
