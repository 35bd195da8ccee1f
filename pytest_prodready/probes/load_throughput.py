"""What a service got done: good answers by when they came, whatever stage they were due in.

On an open schedule that is less than what is due once a service is at its limit, and the rest comes later.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.stream import Sample


def good_per_s(samples: Iterable[Sequence[Sample]], start_s: float, end_s: float) -> float:
    """How many good answers a second came in this time."""
    came = sum(
        each.verdict == RIGHT and start_s <= each.ended_s < end_s for found in samples for each in found
    )
    return came / (end_s - start_s)


def good_by_second(samples: Iterable[Sequence[Sample]]) -> Counter[int]:
    """How many good answers came in each second."""
    return Counter(math.floor(each.ended_s) for found in samples for each in found if each.verdict == RIGHT)
