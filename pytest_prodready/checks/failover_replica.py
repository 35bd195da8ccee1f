"""Judge what a service showed of its writes while the replica that it reads from lagged behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import FEWEST_WRITES, kinds, seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.failover_replica import Read, ReadBack, Staleness
from pytest_prodready.settings import Settings


def replica_reads_are_fresh(seen: Staleness, settings: Settings) -> Finding:
    """No read that is sent late enough misses an acknowledged write; what can't be answered is refused."""
    rule, within_s = RULES["failover.replica-reads-are-fresh"], settings.failover.stale_within_s
    if doubt := _doubt(seen):
        return rule.inconclusive(doubt)
    limit = f"acknowledged writes are shown after {within_s:g} s, or reads refused with 503"
    wanted = {"stale_within_s": within_s}
    told = f"replay paused for {seconds(seen.paused_s)}: {_shown(seen.written)}"
    wrong = [_ended(seen), _stale(seen.written, within_s), _rude(seen.written), _after(seen)]
    if any(wrong):
        return rule.failed("; ".join(each for each in (told, *wrong) if each), limit=limit, limits=wanted)
    old_enough = sum(bool(_late(write, within_s)) for write in seen.written)
    if old_enough < FEWEST_WRITES:
        return rule.inconclusive(f"{told}; only {old_enough} were read when they were {within_s:g} s old")
    assert seen.fresh_again_s is not None
    back = f"all shown {seconds(seen.fresh_again_s)} after replay went on"
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def _doubt(seen: Staleness) -> str:
    if seen.doubt:
        return seen.doubt
    if not seen.read_there:
        return f"of {seen.asked} requests none read from the replica, so its lag concerns nobody"
    if seen.alive and len(seen.written) < FEWEST_WRITES:
        return f"only {len(seen.written)} writes were acknowledged meanwhile: {kinds(seen.attempts)}"
    return "" if seen.lag_bytes or not seen.alive else "nothing was held back from the replica"


def _shown(written: Sequence[ReadBack]) -> str:
    """How many writes were shown, and when."""
    ages = sorted(age for write in written if (age := write.shown_after_s) is not None)
    told = f"{len(written)} writes acknowledged, {len(ages)} shown by the service's reads"
    if ages:
        told = f"{told} within {seconds(ages[-1])} (half of them {seconds(ages[len(ages) // 2])})"
    if refused := [each for write in written for each in write.reads if each.refused_politely]:
        told = f"{told}, {_kinds(refused)}"
    return told


def _stale(written: Sequence[ReadBack], within_s: float) -> str:
    """Which writes were missing from reads that were sent late enough; empty when none was."""
    missing = [
        [each.age_s for each in _late(write, within_s) if each.missing]
        for write in written
        if any(each.missing for each in _late(write, within_s))
    ]
    if not missing:
        return ""
    oldest = seconds(max(max(ages) for ages in missing))
    return (
        f"{len(missing)} of them were missing from reads sent later than {within_s:g} s, still after {oldest}"
    )


def _rude(written: Sequence[ReadBack]) -> str:
    """Reads that were neither answered nor refused politely; empty when there was none."""
    rude = [
        each
        for write in written
        for each in write.reads
        if not (each.shown or each.missing or each.refused_politely)
    ]
    return f"{_kinds(rude)} instead of the write or 503" if rude else ""


def _after(seen: Staleness) -> str:
    """What was wrong when replay went on; empty when nothing was."""
    if not seen.alive:
        return ""
    if seen.fresh_again_s is None:
        return "not all shown after replay went on"
    return "" if seen.steady_after else f"and afterwards {seen.unsteady}"


def _ended(seen: Staleness) -> str:
    return "" if seen.alive else "the process ended"


def _late(write: ReadBack, within_s: float) -> list[Read]:
    return [each for each in write.reads if each.age_s >= within_s]


def _kinds(reads: Iterable[Read]) -> str:
    counts = Counter(str(each.status) if each.status is not None else each.error for each in reads)
    return ", ".join(f"{count} x {kind}" for kind, count in counts.most_common())
