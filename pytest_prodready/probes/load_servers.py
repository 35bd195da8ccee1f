"""What the servers did in which stage: their counters, and what backends waited for."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence

from pytest_prodready.probes.load import AGAIN, Counter, Stage, judged
from pytest_prodready.probes.load_parts import Awaited, Rise

MOST = 5  # kinds of waits
COMMITS = "postgres xact_commit"


def risen(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[Counter, ...]:
    """What rose in between, and by how much."""
    return tuple(
        Counter(name, round(after[name] - before[name], 3))
        for name in after
        if name in before and after[name] != before[name]
    )


def peak_rise(
    looks: Sequence[tuple[float, Mapping[str, float]]], ours: Sequence[float], stages: Sequence[Stage]
) -> Rise | None:
    """What rose in the highest stage, less our own looks (at these moments); None for too few."""
    climb = [each for each in judged(stages) if each.name != AGAIN]
    if not climb:
        return None
    peak = climb[-1]
    within = [look for look in looks if peak.at_s <= look[0] <= peak.at_s + peak.seconds]
    if len(within) < 2:
        return None
    (start_s, before), (end_s, after) = within[0], within[-1]
    own = sum(start_s <= at_s < end_s for at_s in ours)
    less = {**after, COMMITS: after[COMMITS] - own} if COMMITS in after else after
    rise = {each.name: each.count for each in risen(before, less)}
    return Rise(peak.name, round(end_s - start_s, 3), rise)


def awaited(seen: Iterable[tuple[float, str]], stages: Sequence[Stage]) -> tuple[Awaited, ...]:
    """What was waited for most, by the stage that it was seen in."""
    found: Counts[tuple[str, str]] = Counts()
    for at_s, what in seen:
        if stage := next((e.name for e in judged(stages) if e.at_s <= at_s < e.at_s + e.seconds), ""):
            found[what, stage] += 1
    return tuple(Awaited(what, stage, looks) for (what, stage), looks in found.most_common(MOST))
