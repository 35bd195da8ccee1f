"""What can be told of a closed model: how many requests its users could have made, and whether they did.

Nobody says when they are due; what is expected of them is the declared rate.
"""

from __future__ import annotations

import math

from pytest_prodready.probes.load import Load, Stage

CHANCE = 2.0  # standard deviations: users wait as it comes, so their number varies
MUCH = 1.2  # times the highest expected rate is more than anybody asked for
ALMOST = 0.9  # of the expected rate is a load that the other rules can be judged by


def expected(stage: Stage, seen: Load) -> float:
    """Requests a second that a stage's users have to make."""
    return seen.expected_rps * stage.multiple


def short(stage: Stage, seen: Load, achieved: float) -> bool:
    """Whether they made fewer, and by more than chance."""
    count = stage.rate * stage.steady_s
    return count + CHANCE * math.sqrt(count) < achieved * expected(stage, seen) * stage.steady_s


def too_few(stage: Stage, seen: Load, achieved: float) -> bool:
    """Whether no service, however quick, would have got the expected rate from so few users."""
    return short(stage, seen, achieved) and stage.possible < achieved * expected(stage, seen)


def too_few_words(stage: Stage, seen: Load) -> str:
    """What they made, and what is expected."""
    return (
        f"{stage.users} users made {stage.rate:.3g}/s at {stage.name}, where {expected(stage, seen):g}/s are"
        " expected: too few of them, or some that wait too long"
    )


def too_high(stage: Stage, seen: Load) -> bool:
    """Whether a service gave as many good answers as are expected at most, and was asked for much more."""
    most = seen.expected_rps * seen.multiplier
    return stage.users > 0 and stage.goodput >= most and stage.rate > MUCH * most


def users_needed(stage: Stage, seen: Load) -> int:
    """How many users would make the usual load, as fast as these were; 0: can't be told."""
    if not stage.rate or not stage.multiple:
        return 0
    return math.ceil(stage.users / stage.multiple * expected(stage, seen) / stage.rate)


def shortfall(seen: Load) -> str:
    """Why there was less of a load than was planned, and it wasn't the service; empty when there was none."""
    if seen.shortfall:
        return seen.shortfall
    few = next((each for each in seen.climb if too_few(each, seen, ALMOST)), None)
    return too_few_words(few, seen) if few and seen.locustfile else ""
