"""The universal scalability law, fitted to the stages: how much more the service could take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from pytest_prodready.probes.load import Knee, Stage

FEWEST = 3  # stages
BEND = 1.2  # times that the slowest stage has to take of the quickest, or nothing can be told
CHANCE = 2.0  # standard deviations of a count: what is under way at a stage's ends moves it
SHORT = 0.95  # of what was asked for: a service that answers less a second has come to its limit
TOGETHER = 2.0  # requests under way at once: fewer tell nothing of how they hinder each other


def knee(stages: Sequence[Stage]) -> Knee | None:
    """The fit to seconds by requests under way; None for too few stages."""
    points = [(under_way(each), each.mean_s) for each in stages if each.good]
    if len(points) < FEWEST:
        return None
    a, b, c = _fitted(points)
    rate = 1 / (a + b + c) if a + b + c > 0 else 0.0
    times = [seconds for _, seconds in points]
    together = max(under_way for under_way, _ in points)
    bends = max(times) >= BEND * min(times) and together >= TOGETHER and (b > 0 or c > 0)
    return Knee(
        rate_of_one=round(rate, 3),
        alpha=round((b + c) * rate, 6),
        beta=round(c * rate, 8),
        most_per_s=round(min(_most(a, b, c), _reached(stages)), 1) if bends else None,
    )


def _most(a: float, b: float, c: float) -> float:
    """The highest rate of n / (a + b n + c n²); with c alone it is that of one request at a time."""
    slope = b + 2 * math.sqrt(a * c)
    return 1 / slope if slope > 0 else 1 / c


def under_way(stage: Stage) -> float:
    """How many good requests of a stage were under way at once, on average (by Little's law)."""
    return stage.goodput * stage.mean_s


def _reached(stages: Sequence[Stage]) -> float:
    """The limit that was seen, which no fit can lift: the most that was answered where more was asked for."""
    return max(each.goodput for each in stages) if _fell_short(stages[-1]) else math.inf


def _fell_short(stage: Stage) -> bool:
    """Whether less was answered than was asked for, by more than chance; users ask only for what they get."""
    asked, answered = stage.rate * stage.seconds, stage.goodput * stage.seconds
    return not stage.users and answered < SHORT * asked and asked - answered > CHANCE * math.sqrt(asked)


def _fitted(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The best a, b, c of seconds = a + b n + c n² that are no less than 0; errors count relatively."""
    best: tuple[float, tuple[float, float, float]] = (math.inf, (points[0][1], 0.0, 0.0))
    for count in (1, 2, 3):
        for powers in combinations(range(3), count):
            found = _least_squares(points, powers)
            if found is None or any(value < 0 for value in found):
                continue
            terms = dict(zip(powers, found, strict=True))
            error = sum((_value(terms, n) / seconds - 1) ** 2 for n, seconds in points)
            if error < best[0] - 1e-12:
                best = error, (terms.get(0, 0.0), terms.get(1, 0.0), terms.get(2, 0.0))
    return best[1]


def _value(terms: dict[int, float], n: float) -> float:
    return sum(factor * n**power for power, factor in terms.items())


def _least_squares(points: Sequence[tuple[float, float]], powers: Sequence[int]) -> list[float] | None:
    """The factors of these powers by the normal equations; None where they don't determine them."""
    size = len(powers)
    rows = [[n**power / seconds for power in powers] for n, seconds in points]
    matrix = [
        [*(sum(row[i] * row[j] for row in rows) for j in range(size)), sum(row[i] for row in rows)]
        for i in range(size)
    ]
    for step in range(size):
        pivot = max(range(step, size), key=lambda number: abs(matrix[number][step]))
        if abs(matrix[pivot][step]) < 1e-15:
            return None
        matrix[step], matrix[pivot] = matrix[pivot], matrix[step]
        for other in range(size):
            if other != step:
                factor = matrix[other][step] / matrix[step][step]
                matrix[other] = [x - factor * y for x, y in zip(matrix[other], matrix[step], strict=True)]
    return [matrix[number][size] / matrix[number][number] for number in range(size)]
