"""How generator and machine fared in the seconds in which trouble was seen."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pytest_prodready.probes.load import (
    AGAIN,
    SELF_TEST,
    Generator,
    MachineLook,
    Second,
    Stage,
    Usage,
    Worker,
    judged,
)
from pytest_prodready.probes.load_percentiles import percentile

Health = Mapping[str, Any]  # what a process of the generator tells of itself, every second
TROUBLE = 0.02  # of a second's requests: fewer move no percentile that is judged
LAG_SHARE = 0.75  # of the seconds of trouble have no worse a clock


def with_health(
    seconds: Sequence[Second], usage: Sequence[Usage], machine: Sequence[MachineLook]
) -> tuple[Second, ...]:
    """Each second with what was known of service and machine in it."""
    waited, used = _waited(usage), _used(machine)
    return tuple(
        replace(
            each,
            service_delay=waited.get(int(each.at_s)),
            others=used.get(int(each.at_s), (None, None))[0],
            idle=used.get(int(each.at_s), (None, None))[1],
        )
        for each in seconds
    )


def generator_of(
    stages: Sequence[Stage],
    seconds: Sequence[Second],
    healths: Sequence[Health],
    unnoticed_ms: float,
    self_test: float | None = None,
) -> Generator:
    """The figures of the seconds with trouble; where there was none, of all that are judged.

    Of several processes the worst counts, in each figure; `self_test` is what the worst achieved there.
    """
    tested = next((each for each in stages if each.name == SELF_TEST), None)
    counted = judged(stages)
    start = min((each.at_s for each in counted), default=0.0)
    shown = [each for each in seconds if each.at_s >= math.floor(start)]
    trouble = [each for each in shown if in_trouble(each, unnoticed_ms)]
    at = {int(each.at_s) for each in trouble or shown}
    seen = [each for each in healths if math.floor(each["at_s"] - 0.5) in at]
    by_process = _by_process(seen).values()
    climb = [each for each in counted if each.name != AGAIN]
    due = sum(each.due for each in climb)
    return Generator(
        seconds=len(trouble),
        self_test=self_test,
        self_test_rate=0.0 if tested is None else tested.rate,
        cpu=_worst(_mean(each["cpu"] for each in mine) for mine in by_process),
        delay=_worst(_mean(each["delay"] for each in mine) for mine in by_process),
        steal=_worst(_mean(each["steal"] for each in mine) for mine in by_process),
        pressure=_worst(_mean(each["pressure"] for each in mine) for mine in by_process),
        lag_ms=_worst(_lag_ms(mine) for mine in by_process),
        busy=round(sum(each.busy for each in climb) / due, 4) if due else 0.0,
        service_delay=_mean(each.service_delay for each in trouble or shown),
        others=_mean(each.others for each in trouble or shown),
        idle=_mean(each.idle for each in trouble or shown),
    )


def _by_process(healths: Iterable[Health]) -> dict[int, list[Health]]:
    found: dict[int, list[Health]] = defaultdict(list)
    for each in healths:
        found[each.get("worker", 0)].append(each)
    return found


def with_figures(workers: Iterable[Worker], healths: Iterable[Health]) -> tuple[Worker, ...]:
    """Each worker with how it was, all in all."""
    told = _by_process(healths)
    return tuple(
        replace(
            worker,
            cpu=_mean(each["cpu"] for each in told[number]),
            delay=_mean(each["delay"] for each in told[number]),
            lag_ms=_lag_ms(told[number]),
        )
        for number, worker in enumerate(workers)
    )


def in_trouble(second: Second, unnoticed_ms: float) -> bool:
    """Whether requests of this second were slow enough to be noticed, or failed."""
    slow = second.slow > TROUBLE * second.due and (second.p99_ms or 0.0) > unnoticed_ms
    return slow or second.failed > 0


def _waited(usage: Sequence[Usage]) -> dict[int, float]:
    """How long the service's threads waited for a processor in each second; of two looks the longer."""
    found: dict[int, float] = {}
    for earlier, later in pairwise(usage):
        if earlier.delay_s is not None and later.delay_s is not None and later.at_s > earlier.at_s:
            at = math.floor((earlier.at_s + later.at_s) / 2)
            share = max(0.0, later.delay_s - earlier.delay_s) / (later.at_s - earlier.at_s)
            found[at] = max(found.get(at, 0.0), round(share, 4))
    return found


def _used(machine: Sequence[MachineLook]) -> dict[int, tuple[float, float]]:
    """What others used of the machine in each second, and what nobody did."""
    seconds: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for earlier, later in pairwise(machine):
        at = math.floor((earlier.at_s + later.at_s) / 2)
        busy, ours = later.busy_s - earlier.busy_s, later.ours_s - earlier.ours_s
        seconds[at].append((later.total_s - earlier.total_s, busy, ours))
    sums = {at: [sum(each) for each in zip(*spans, strict=True)] for at, spans in seconds.items()}
    return {
        at: (round(max(0.0, busy - ours) / total, 4), round(max(0.0, 1 - busy / total), 4))
        for at, (total, busy, ours) in sums.items()
        if total > 0
    }


def _lag_ms(healths: Iterable[Health]) -> float | None:
    lags = sorted(each["lag_ms"] for each in healths if each["lag_ms"] is not None)
    return percentile(lags, LAG_SHARE) if lags else None


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
