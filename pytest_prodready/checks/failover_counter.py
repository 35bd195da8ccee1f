"""Judge a number in Redis after answers to its increments were lost."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.findings import Finding
from pytest_prodready.probes.failover_counter import Counted
from pytest_prodready.settings import Settings


def no_count_twice(seen: Counted, settings: Settings) -> Finding:
    """What was acknowledged is in the number, and no more is in it than was attempted."""
    rule = RULES["failover.no-count-twice"]
    if seen.stuck:
        return rule.failed(seen.stuck, limit="increments work again once answers arrive")
    if seen.doubt or seen.moved is None:
        return rule.inconclusive(seen.doubt or "the number could not be read afterwards")
    told = (
        f"{seen.attempted} increments, {seen.executed} of them executed and their answers lost:"
        f" {seen.acknowledged} acknowledged, {seen.moved} counted"
    )
    limit = "acknowledged ≤ counted ≤ attempted"
    if seen.moved > seen.attempted:
        return rule.failed(f"{told}, {seen.moved - seen.attempted} of them twice", limit=limit)
    if seen.moved < seen.acknowledged:
        gone = seen.acknowledged - seen.moved
        return rule.failed(f"{told}: {gone} were acknowledged and not counted", limit=limit)
    if not seen.executed:
        return rule.inconclusive(f"{told}: no increment was seen to be executed while answers were lost")
    return rule.passed(told, limit=limit)
