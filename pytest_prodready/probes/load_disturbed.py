"""How much of a request's time the machine can account for, at the very most.

In a span of time no request can have waited longer for a processor than everything that serves it has, taken
together. And what runs beside others runs slower, but not by more than half (two threads of one core, full
caches). What is left of a request's time then is the service's own: a lock, a timer, somebody else's answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, starmap

from pytest_prodready.probes.load import Counter, MachineLook, Usage

RUNS_SLOWER = 0.5  # of the time for which something ran may be others' fault
SESSIONS = "postgres sessions"
FEW_SESSIONS = 0.02  # a request: what backends that end at once have waited is seen by nobody


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Time lost so far, in seconds, at each of some moments."""

    at_s: tuple[float, ...]
    lost_s: tuple[float, ...]

    def most(self, start_s: float, end_s: float) -> float:
        """How much of this span may have been lost: all of it where nobody looked before and after."""
        first, last = bisect_right(self.at_s, start_s) - 1, bisect_left(self.at_s, end_s)
        if first < 0 or last == len(self.at_s):
            return end_s - start_s
        return min(end_s - start_s, self.lost_s[last] - self.lost_s[first])


def disturbances(
    machine: Sequence[MachineLook], service: Sequence[Usage] | None = None
) -> tuple[Disturbance, ...]:
    """What servers and generator have lost, and what the service has; empty where nobody tells.

    `service` is None where it is one of the processes that the machine's looks are of.
    """
    found = [_lost([(each.at_s, each.waited_s, each.serving_s, each.stolen_s) for each in machine])]
    if service is not None:
        found.append(_lost([(each.at_s, each.delay_s, each.cpu_s, 0.0) for each in service]))
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else ()


def few_sessions(counters: Sequence[Counter], requests: int) -> bool:
    """Whether backends lived long enough to be looked at."""
    opened = sum(each.count for each in counters if each.name == SESSIONS)
    return opened <= FEW_SESSIONS * requests


def _lost(looks: Sequence[tuple[float, float | None, float, float]]) -> Disturbance | None:
    known = [(at_s, waited, ran, stolen) for at_s, waited, ran, stolen in looks if waited is not None]
    if not known:
        return None
    return Disturbance(
        tuple(at_s for at_s, *_ in known), tuple(accumulate(starmap(_between, pairwise(known)), initial=0.0))
    )


def _between(earlier: Sequence[float], later: Sequence[float]) -> float:
    """What was lost between two looks: all of it where somebody has ended, and taken figures along."""
    seconds, *risen = (after - before for before, after in zip(earlier, later, strict=True))
    waited, ran, stolen = risen
    return seconds if min(risen) < 0 else waited + RUNS_SLOWER * ran + stolen
