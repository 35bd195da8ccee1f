"""Whether the generator had too few users, or the service held those that it had.

Both look the same from when a request was due: it waits for a user. What they are held by tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_prodready.generator.answers import NEVER_SENT
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Stage
from pytest_prodready.probes.load_limits import beyond
from pytest_prodready.settings import LoadSettings

FEW = 0.01  # of a stage's requests may wait for a user: fewer move no percentile that is judged


def held_ms(samples: Iterable[Sequence[Sample]], stage: Iterable[Sample]) -> float | None:
    """How long the requests took that took half of the users' time while some waited; None where none did.

    In a stall that is long, although few requests are in it: a user who waits sends nothing meanwhile.
    """
    seconds = {math.floor(each.intended_s) for each in stage if each.busy}
    if not seconds:
        return None
    sent = [each for found in samples for each in found if each.verdict != NEVER_SENT]
    taken = sorted((each.ended_s - each.started_s, _within(each, seconds)) for each in sent)
    half = sum(share for _, share in taken) / 2
    if half <= 0:
        return None
    for took, share in taken:
        half -= share
        if half <= 0:
            return round(1000 * took, 3)
    return None


def short_of_users(stage: Stage, limits: LoadSettings) -> bool:
    """Whether requests of an open schedule waited for users who were held by nothing that is too slow."""
    own = stage.service
    if stage.users or own is None or stage.held_ms is None or stage.busy <= FEW * stage.due:
        return False
    quick = own.p95.ms <= limits.p95_ms and own.p99.ms <= limits.p99_ms and stage.held_ms <= limits.p95_ms
    # What was sent late was cut off early, and may look quick for it: those that were answered tell.
    quick = quick and 0 < 1000 * stage.mean_s <= limits.p95_ms
    return quick and not beyond(stage.failures - stage.unsent, stage.due, limits)


def _within(sample: Sample, seconds: set[int]) -> float:
    """How much of these seconds it took."""
    ran = range(math.floor(sample.started_s), math.floor(sample.ended_s) + 1)
    return sum(min(sample.ended_s, at + 1) - max(sample.started_s, at) for at in ran if at in seconds)
