"""Judge drills with a standby: whether the service followed, and what was lost on the way."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover import ledger_doubt, none_before
from pytest_prodready.checks.failover_words import around, ended, kinds, liveness, recovery, seconds
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.drill import Drill
from pytest_prodready.settings import Settings


def promotion_is_followed(seen: Drill, settings: Settings) -> Finding:
    """Reads and writes are served by the new primary, soon after it can be reached."""
    return _followed(RULES["failover.promotion-is-followed"], seen, settings)


def read_only_primary_is_left(seen: Drill, settings: Settings) -> Finding:
    """Writes are served again, soon after new connections reach a primary that takes them."""
    return _followed(RULES["failover.read-only-primary-is-left"], seen, settings)


def promotion_loses_nothing(seen: Drill, settings: Settings) -> Finding:
    """What was acknowledged is on the promoted standby, but for as much as the user accepts."""
    rule, limits = RULES["failover.promotion-loses-nothing"], settings.failover
    if doubt := _doubt(seen) or ledger_doubt(seen) or none_before(seen):
        return rule.inconclusive(doubt)
    ledger = seen.ledger
    assert ledger is not None
    wanted = {"lost_writes": limits.lost_writes}
    limit = f"at most {limits.lost_writes} acknowledged writes lost"
    told = f"{seen.fault}: {ledger.acknowledged} writes acknowledged, {len(ledger.lost)} of them lost"
    if ledger.lost:
        told = f"{told}, the oldest acknowledged {around(min(ledger.lost_at_s), seen.fault_at_s)} the failure"
    if ledger.twice:
        return rule.failed(f"{told}; {len(ledger.twice)} are there twice", limit=limit, limits=wanted)
    if len(ledger.lost) > limits.lost_writes:
        return rule.failed(told, limit=limit, limits=wanted)
    return rule.passed(told, limit=limit, limits=wanted)


def _followed(rule: Rule, seen: Drill, settings: Settings) -> Finding:
    limits = settings.failover
    if doubt := _doubt(seen):
        return rule.inconclusive(doubt)
    troubled = [
        each for each in (*seen.sent, *seen.writes) if each.at_s >= seen.fault_at_s and not each.expected
    ]
    wanted = {"follow_within_s": limits.follow_within_s}
    limit = f"reads and writes served within {limits.follow_within_s:g} s of the switch"
    # Writes that are acknowledged after the switch have reached the new primary: the old one takes none.
    told = f"{seen.fault}; until service was back {kinds(troubled) if troubled else 'nobody noticed'}"
    wrong = [ended(seen), _not_back(seen, limits.follow_within_s), liveness(seen, settings)]
    if any(wrong):
        summary = f"{told}; {'; '.join(each for each in wrong if each)}"
        return rule.failed(summary, limit=limit, limits=wanted)
    reads, writes = seen.rto_from_heal_s, seen.write_recovered_at_s()
    assert reads is not None
    assert writes is not None
    back = f"reads back {seconds(reads)}, writes {seconds(max(0.0, writes - seen.healed_at_s))}"
    return rule.passed(f"{told}; {back} after the switch", limit=limit, limits=wanted)


def _not_back(seen: Drill, within_s: float) -> str:
    """What didn't come back, or not in time; empty when all did."""
    watched = seconds(seen.seconds - seen.healed_at_s)
    writes = seen.write_recovered_at_s()
    if writes is None:
        last = kinds([each for each in seen.writes if each.at_s >= seen.healed_at_s][-10:])
        return f"no write was served {watched} after the switch: {last}"
    if writes - seen.healed_at_s > within_s + seen.uncertainty_s:
        return f"writes were back {seconds(writes - seen.healed_at_s)} after the switch"
    return recovery(seen, within_s)[1]


def _doubt(seen: Drill) -> str:
    if seen.doubt:
        return seen.doubt
    if seen.mark("switched") is None:
        return f"{seen.fault}: new connections were never led to the new primary"
    return ""
