"""Whether the usual load is served after the peak as before it, second by second, and for good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from pytest_prodready.probes.load import Load, Second
from pytest_prodready.settings import LoadSettings

FEW = 0.1  # of a second's requests may be slow, or fail
IN_A_ROW = 2  # seconds as they were before count as recovered
KNOWN_TO_S = 1.0  # recovery is known by the second
NOISE = 0.1  # of the seconds after that may be unlike those before, single ones


def recovered_at(seen: Load, limits: LoadSettings) -> float | None:
    """When the usual load began to be served as before the climb, and went on so; None: never."""
    after = _seconds_after(seen)
    ill, before = _ill(after, seen, limits), _ill(_seconds_before(seen), seen, limits)
    enough = _enough(seen, after)
    for number, each in enumerate(after):
        first, rest = ill[number : number + enough], ill[number + enough :]
        few = not seen.locustfile and _are_few(rest, after[number + enough :])
        if len(first) == enough and not any(first) and (few or _is_noise(rest, before)):
            return each.at_s
    return None


def relapsed(seen: Load, limits: LoadSettings) -> tuple[float, int] | None:
    """When it first was as before, and how many seconds after that were not; None: it never was."""
    after = _seconds_after(seen)
    ill, enough = _ill(after, seen, limits), _enough(seen, after)
    for number, each in enumerate(after):
        first = ill[number : number + enough]
        if len(first) == enough and not any(first):
            return each.at_s, sum(ill[number:])
    return None


def in_time(seen: Load, limits: LoadSettings) -> bool:
    """Whether it recovered, and soon enough."""
    at_s = recovered_at(seen, limits)
    return at_s is not None and seen.again is not None and at_s <= seen.again.at_s + settled_after_s(limits)


def settled_after_s(limits: LoadSettings) -> float:
    """How long after the peak the usual load has to be served as before, at the latest."""
    return limits.recover_within_s + KNOWN_TO_S


def _seconds_after(seen: Load) -> list[Second]:
    again = seen.again
    return [each for each in seen.seconds if again is not None and each.at_s >= int(again.at_s)]


def _seconds_before(seen: Load) -> list[Second]:
    return [] if seen.usual is None else list(seen.seconds_of(seen.usual))


def _enough(seen: Load, after: Sequence[Second]) -> int:
    """A schedule of less than a request in some seconds has one alone; users who send no more are held."""
    return IN_A_ROW if seen.locustfile else min(IN_A_ROW, max(1, len(after)))


def _ill(seconds: Sequence[Second], seen: Load, limits: LoadSettings) -> list[bool]:
    """Which of these are slower than the usual load was, or fail."""
    usual = seen.usual
    if usual is None or usual.response is None:
        return [True] * len(seconds)
    most_ms = max(limits.unnoticed_ms, limits.slowdown * usual.response.p95.high_ms)
    return [
        each.p95_ms is None
        or (each.p95_ms > most_ms and each.slow > FEW * each.due)
        or each.failed > FEW * each.due
        for each in seconds
    ]


def _is_noise(rest: Sequence[bool], before: Sequence[bool]) -> bool:
    """Whether what was ill after the recovery was ill before the peak as well, or is a single second."""
    share = max(NOISE, sum(before) / len(before) if before else 0.0)
    return sum(rest) <= math.ceil(share * len(rest)) and _in_a_row(rest) <= max(1, _in_a_row(before))


def _are_few(ill: Sequence[bool], seconds: Sequence[Second]) -> bool:
    """Whether few of a schedule's requests were slow or failed, and in a row no more than a second's.

    A short stall makes both seconds ill that it lies in, and so do two requests where few are due.
    """
    bad = [each.slow + each.failed for each in seconds]
    rows = groupby(zip(ill, bad, strict=True), key=lambda pair: pair[0])
    most = max((sum(count for _, count in row) for is_ill, row in rows if is_ill), default=0)
    due = [each.due for each in seconds]
    return sum(bad) <= FEW * sum(due) and most <= max(due, default=0)


def _in_a_row(ill: Sequence[bool]) -> int:
    return max((len(list(run)) for is_ill, run in groupby(ill) if is_ill), default=0)
