"""Judge drills in which the database went away again and again, or for long."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import (
    TRIES_SELDOM,
    ended,
    impolite,
    kinds,
    liveness,
    recovery,
    remedy,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.failover_outages import Flapping
from pytest_prodready.settings import Settings

SETTLED_S = 0.1  # what was under way when the fault began
LAST_S = 1.0  # in which the number of connections has settled
NOT_COUNTED = "not counted"
SPARE = 5  # connections more than before, where no pool is declared


def flapping_is_survived(seen: Flapping, settings: Settings) -> Finding:
    """After every return of the database the service has as many connections as ever, and no storm before."""
    rule, limits, drill = RULES["failover.flapping-is-survived"], settings.failover, seen.drill
    if drill.doubt:
        return rule.inconclusive(drill.doubt)
    during = drill.during(SETTLED_S)
    if not during or all(each.expected for each in during):
        return rule.inconclusive(
            f"{drill.fault}: every request was served, so none of them needs the database"
        )
    most = limits.accepts_per_s + 2 * (settings.pool_here.capacity or 0)
    wanted = {"accepts_per_s": limits.accepts_per_s, "recover_within_s": limits.recover_within_s}
    limit = (
        f"at most {most} connections a second, afterwards no more than before, "
        f"served within {limits.recover_within_s:g} s"
    )
    back, not_back = recovery(drill, limits.recover_within_s)
    tries, storm = _storm(seen, most)
    left, leak = _leak(drill, settings.pool_here.capacity)
    told = f"{drill.fault}: {kinds(during)}; {tries}; {left}"
    wrong = [ended(drill), storm, leak, not_back, liveness(drill, settings)]
    if any(wrong):
        change = remedy(rule, drill, settings)
        return rule.failed(f"{told}; {_all(wrong)}", limit=limit, limits=wanted, change=change)
    if NOT_COUNTED in tries or NOT_COUNTED in left:
        return rule.inconclusive(f"{told}; {back}", limit=limit, limits=wanted)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def long_outage_is_survived(seen: Drill, settings: Settings) -> Finding:
    """The same process serves again soon after an outage, however long it was."""
    rule, limits = RULES["failover.long-outage-is-survived"], settings.failover
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    during = seen.during(SETTLED_S)
    if not during or all(each.expected for each in during):
        return rule.inconclusive(
            f"{seen.fault}: every request was served, so none of them needs the database"
        )
    within_s = limits.long_recover_within_s
    wanted = {"long_outage_s": limits.long_outage_s, "long_recover_within_s": within_s}
    limit = f"the same process serves within {within_s:g} s of the heal"
    told = f"{seen.fault}: {kinds(during)}"
    back, not_back = recovery(seen, within_s)
    gone = ended(seen)
    rude = impolite(during)
    wrong = [
        gone,
        f"{len(rude)} got {kinds(rude)}" if rude else "",
        not_back,
        liveness(seen, settings),
    ]
    if any(wrong):
        change = remedy(rule, seen, settings, TRIES_SELDOM if not_back and not gone else "")
        return rule.failed(f"{told}; {_all(wrong)}", limit=limit, limits=wanted, change=change)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def _storm(seen: Flapping, most: int) -> tuple[str, str]:
    """How often the service tried to connect, and what is wrong with that."""
    busiest = seen.drill.most_accepts_in_a_second()
    if busiest is not None:
        tries = f"up to {busiest} attempts to connect in a second"
        return tries, f"a storm of {busiest} attempts in a second" if busiest > most else ""
    if seen.sessions is None:
        return f"attempts to connect {NOT_COUNTED}", ""
    tries = f"{seen.sessions} connections made (attempts aren't counted by this proxy)"
    return tries, f"a storm of {seen.sessions} connections" if seen.sessions > most * seen.flaps else ""


def _leak(seen: Drill, capacity: int | None) -> tuple[str, str]:
    """How many connections were there before and after, and whether some were left behind."""
    before = [each.total for each in seen.backends if each.at_s < seen.fault_at_s]
    last = max((each.at_s for each in seen.backends), default=0.0)
    after = [each.total for each in seen.backends if each.at_s > max(last - LAST_S, seen.healed_at_s)]
    if not before or not after:
        return f"its connections {NOT_COUNTED}", ""
    usual, left = max(before), min(after)
    most = max(usual, capacity) if capacity is not None else 2 * usual + SPARE
    leak = f"{left - most} connections too many: a leak" if left > most else ""
    return f"{usual} connections before and {left} after", leak


def _all(wrong: Sequence[str]) -> str:
    return "; ".join(each for each in wrong if each)
