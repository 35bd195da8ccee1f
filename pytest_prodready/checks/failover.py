"""Judge drills: how requests fared, whether service came back, and which writes are there."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import (
    FEWEST_WRITES,
    TRIES_SELDOM,
    around,
    ended,
    impolite,
    kinds,
    late,
    liveness,
    readiness,
    recovery,
    remedy,
    slowest,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.drill import Drill
from pytest_prodready.settings import Settings

SETTLED_S = 0.1  # what was under way when the fault began


def outage_is_survived(seen: Drill, settings: Settings) -> Finding:
    """Refused quickly and politely while the database is away, served soon after it is back."""
    rule, limits = RULES["failover.outage-is-survived"], settings.failover
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    during = seen.during(SETTLED_S)
    if not during:
        return rule.inconclusive("no request was sent while the database was away")
    if all(each.expected for each in during):
        return rule.inconclusive(
            f"{seen.fault}: every request was served, so none of them needs the database"
        )
    wanted = {"refuse_within_s": limits.refuse_within_s, "recover_within_s": limits.recover_within_s}
    limit = (
        f"503 within {limits.refuse_within_s:g} s, served within {limits.recover_within_s:g} s of the heal"
    )
    told = f"{seen.fault}: {kinds(during)}, slowest {slowest(during)}"
    back, not_back = recovery(seen, limits.recover_within_s)
    slow, rude = late(during, limits.refuse_within_s, seen.behind_s), impolite(during)
    wrong = [
        ended(seen),
        f"{len(slow)} answers took longer than {limits.refuse_within_s:g} s" if slow else "",
        f"{kinds(rude)} instead of 503" if rude else "",
        not_back,
        liveness(seen, settings),
        readiness(seen, settings.health.fall_within_s),
    ]
    if any(wrong):
        summary = f"{told}; {'; '.join(each for each in wrong if each)}"
        own = TRIES_SELDOM if not_back and not (slow or rude or ended(seen)) else ""
        change = remedy(rule, seen, settings, own)
        return rule.failed(summary, limit=limit, limits=wanted, change=change)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def crash_loses_no_write(seen: Drill, settings: Settings) -> Finding:
    """Every acknowledged write is there after a crash of the database."""
    rule = RULES["failover.crash-loses-no-write"]
    if doubt := ledger_doubt(seen) or none_before(seen):
        return rule.inconclusive(doubt)
    ledger = seen.ledger
    assert ledger is not None
    limit = "every acknowledged write is there"
    told = (
        f"{seen.fault}: {ledger.acknowledged} writes acknowledged, {ledger.refused} refused,"
        f" {ledger.unknown} without a clear answer"
    )
    if ledger.lost:
        near = ", ".join(around(at, seen.fault_at_s) for at in ledger.lost_at_s[:3])
        summary = f"{told}; {len(ledger.lost)} acknowledged writes lost (acknowledged {near} the crash)"
        return rule.failed(summary, limit=limit)
    if process := ended(seen):
        return rule.failed(f"{told}; none lost, but {process}", limit=limit)
    back, not_back = recovery(seen, settings.failover.recover_within_s)
    if seen.recovered_at_s() is None:
        return rule.failed(f"{told}; none lost, but {not_back}", limit=limit)
    return rule.passed(f"{told}; none lost, {back}", limit=limit)


def no_write_twice(seen: Drill, settings: Settings) -> Finding:
    """No token is there twice, after answers were lost and writes were sent again."""
    rule = RULES["failover.no-write-twice"]
    if doubt := ledger_doubt(seen):
        return rule.inconclusive(doubt)
    ledger = seen.ledger
    assert ledger is not None
    if "database" not in ledger.read_from:
        return rule.inconclusive(
            "the rows of the writes were not found in the database, so they can't be counted"
        )
    limit = "each write is there once"
    tried = (
        f"{ledger.retried} sent again with their key" if ledger.retried else "none sent again by the client"
    )
    told = f"{seen.fault}: {ledger.acknowledged} writes acknowledged, {ledger.unknown} unknown, {tried}"
    if ledger.twice:
        return rule.failed(f"{told}; {len(ledger.twice)} are there more than once", limit=limit)
    if ledger.lost:
        return rule.failed(f"{told}; {len(ledger.lost)} acknowledged ones are not there", limit=limit)
    if seen.mark("cut") is None or not (ledger.unknown or ledger.retried):
        return rule.inconclusive(f"{told}: no COMMIT of a write was seen under way")
    return rule.passed(f"{told}; none is there twice", limit=limit)


def ledger_doubt(seen: Drill) -> str:
    """Why nothing can be said of writes; empty when it can."""
    if seen.doubt:
        return seen.doubt
    if seen.ledger is None:
        return "no write was tried"
    if seen.ledger.doubt:
        return seen.ledger.doubt
    if seen.ledger.acknowledged < FEWEST_WRITES:
        return f"only {seen.ledger.acknowledged} writes were acknowledged"
    return ""


def none_before(seen: Drill) -> str:
    """That all writes were acknowledged later than the failure; empty when one wasn't."""
    early = any(each.expected and each.ended_at_s <= seen.fault_at_s for each in seen.writes)
    return "" if early else "no write was acknowledged before the failure, so that none could be lost"
