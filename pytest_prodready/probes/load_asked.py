"""Which request of the mix is the slow one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pytest_prodready.generator.plan import Ask
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Stage
from pytest_prodready.probes.load_parts import Asked
from pytest_prodready.probes.load_percentiles import percentile

MOST = 20  # of a stage are kept: a locustfile may have hundreds of names
FEWEST = 20  # requests have a p95 that says more than their slowest
STANDS_OUT = 2.0  # times what others take


def asked(found: Iterable[Sample], asks: Sequence[Ask]) -> tuple[Asked, ...]:
    """The times of each request, the slowest first."""
    by_ask: dict[int, list[float]] = defaultdict(list)
    for each in found:
        by_ask[each.ask].append(1000 * (each.ended_s - each.intended_s))
    made = [_asked(asks[ask].label, sorted(took)) for ask, took in by_ask.items()]
    return tuple(sorted(made, key=lambda each: -each.p95_ms)[:MOST])


def slowest(stage: Stage) -> Asked | None:
    """The request that takes much longer than others in a stage; None where none does, or few were sent."""
    known = [each for each in stage.asked if each.count >= FEWEST]
    if len(known) < 2:
        return None
    first, *others = known
    usual = percentile(sorted(each.p95_ms for each in others), 0.5)
    return first if first.p95_ms >= STANDS_OUT * usual else None


def _asked(label: str, took_ms: Sequence[float]) -> Asked:
    return Asked(label, len(took_ms), round(percentile(took_ms, 0.5), 3), round(percentile(took_ms, 0.95), 3))
