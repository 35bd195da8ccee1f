"""Judge drills in which the database was there and its network wasn't."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import (
    busy,
    ended,
    impolite,
    kinds,
    liveness,
    recovery,
    remedy,
    seconds,
    slowest,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.drill import Drill, Sent
from pytest_prodready.probes.failover_network import DeadPeer, SlowDatabase
from pytest_prodready.settings import Settings

SETTLED_S = 0.1  # what was under way when the fault began
GRACE_S = 0.5  # of a busy machine; a fault outlasts its limit by more
HARDLY_BUSY_S = 1.0  # a machine that was later than this can't tell a hang from a deadline that was kept
GATEWAY_TIMEOUT = 504
CONNECT_S = 2.0  # an attempt to connect that has just begun is given up after so long, or tried again

# Below these a difference is noise of the machine, not the service's.
# Who waits for the slow database waits for a second and more.
FLOOR_S = 0.3
HICCUP_S = 0.5
FEWEST = 5


def stall_is_bounded(seen: Drill, settings: Settings) -> Finding:
    """Every request is answered by the service's own deadline while the database says nothing."""
    rule, limits = RULES["failover.stall-is-bounded"], settings.failover
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    during = seen.during(SETTLED_S)
    if doubt := _not_felt(seen, during):
        return rule.inconclusive(doubt)
    wanted = {"deadline_s": limits.deadline_s, "recover_within_s": limits.recover_within_s}
    limit = (
        f"an answer within {limits.deadline_s:g} s, served within {limits.recover_within_s:g} s of the heal"
    )
    told = f"{seen.fault}: {kinds(during)}, slowest {slowest(during)}"
    back, not_back = recovery(seen, limits.recover_within_s)
    wrong = [
        ended(seen),
        _late(seen, limits.deadline_s),
        _rude(during),
        not_back,
        liveness(seen, settings),
    ]
    if any(wrong):
        change = remedy(rule, seen, settings)
        return rule.failed(f"{told}; {_all(wrong)}", limit=limit, limits=wanted, change=change)
    if doubt := _late(seen, limits.deadline_s, HARDLY_BUSY_S):
        return rule.inconclusive(f"{told}; {doubt}, {busy(seen)}", limit=limit, limits=wanted)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def dead_peer_is_noticed(seen: DeadPeer, settings: Settings) -> Finding:
    """A connection whose other end is gone holds no request for long."""
    rule, limits = RULES["failover.dead-peer-is-noticed"], settings.failover
    if seen.drill is None:
        return rule.unverified(f"not tried: packets can't be lost here: {seen.unsupported}")
    drill = seen.drill
    if drill.doubt:
        return rule.inconclusive(drill.doubt)
    during = drill.during(SETTLED_S)
    if doubt := _not_felt(drill, during):
        return rule.inconclusive(doubt)
    within_s, back_s = limits.dead_peer_within_s, limits.recover_within_s + CONNECT_S
    wanted = {"dead_peer_within_s": within_s, "recover_within_s": limits.recover_within_s}
    limit = f"an answer within {within_s:g} s, served within {back_s:g} s of the heal"
    told = f"{drill.fault}: {kinds(during)}, slowest {slowest(during)}"
    back, not_back = recovery(drill, back_s)
    wrong = [ended(drill), _late(drill, within_s), _rude(during), not_back, liveness(drill, settings)]
    if any(wrong):
        change = remedy(rule, drill, settings)
        return rule.failed(f"{told}; {_all(wrong)}", limit=limit, limits=wanted, change=change)
    if doubt := _late(drill, within_s, HARDLY_BUSY_S):
        return rule.inconclusive(f"{told}; {doubt}, {busy(drill)}", limit=limit, limits=wanted)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def slow_database_is_isolated(seen: SlowDatabase, settings: Settings) -> Finding:
    """Who needs the slow database is served or refused in time; who doesn't need it notices nothing."""
    rule, limits = RULES["failover.slow-database-is-isolated"], settings.failover
    drill = seen.drill
    if drill.doubt:
        return rule.inconclusive(drill.doubt)
    during = drill.during(SETTLED_S)
    using = [each for each in during if each.request not in (*seen.free, *seen.cached)]
    if not any(not each.expected or each.seconds > seen.latency_ms / 2000 for each in using):
        return rule.inconclusive(f"{drill.fault}: no request noticed it ({kinds(using)})")
    before, beside = _of(seen.free, drill, during=False), _of(seen.free, drill, during=True)
    if min(len(before), len(beside)) < FEWEST:
        return rule.inconclusive(
            f"{drill.fault}: all requests that were tried run statements, so none tells if others suffer",
            change="Set [health] liveness to a path that asks no backend.",
        )
    wanted = {"deadline_s": limits.deadline_s, "slowdown": limits.slowdown}
    limit = (
        f"served or refused within {limits.deadline_s:g} s; requests without the database at most "
        f"{limits.slowdown:g} times as slow, or {seconds(FLOOR_S)} more"
    )
    told = (
        f"{drill.fault}: {kinds(using)}, slowest {slowest(using)}; beside it {', '.join(seen.free)} took "
        f"{seconds(_median(beside))} (median, before {seconds(_median(before))})"
    )
    back, not_back = recovery(drill, limits.recover_within_s + seen.latency_ms / 1000)
    wrong = [
        ended(drill),
        _late(drill, limits.deadline_s),
        _rude(during),
        not_back,
    ]
    captured = _captured(before, beside, limits.slowdown)
    if any(wrong) or _captured(before, beside, limits.slowdown, drill.behind_s):
        return rule.failed(f"{told}; {_all([captured, *wrong])}", limit=limit, limits=wanted)
    if doubt := captured or _late(drill, limits.deadline_s, HARDLY_BUSY_S):
        return rule.inconclusive(f"{told}; {doubt}, {busy(drill)}", limit=limit, limits=wanted)
    return rule.passed(f"{told}; {back}", limit=limit, limits=wanted)


def _not_felt(seen: Drill, during: Sequence[Sent]) -> str:
    """Why the fault says nothing: no request was sent, or none would have fared otherwise without it."""
    if not during:
        return "no request was sent while the fault held"
    if all(each.expected and each.seconds < 1.0 for each in during):
        return f"{seen.fault}: every request was served at once, so none of them needs the database"
    return ""


def _late(seen: Drill, limit_s: float, most_s: float = float("inf")) -> str:
    """Requests that waited beyond the limit: even few of them, since a pool has only so many to lose.

    What a busy machine may have added is spared them, but for no more than `most_s`.
    """
    spare_s = min(seen.behind_s, most_s)
    struck = [
        each for each in seen.sent if seen.fault_at_s <= each.ended_at_s and each.at_s < seen.healed_at_s
    ]
    slow = [each for each in struck if each.seconds > limit_s + GRACE_S + spare_s]
    if not slow:
        return ""
    return f"{len(slow)} of {len(struck)} had no answer within {limit_s:g} s, the longest for {slowest(slow)}"


def _rude(during: Sequence[Sent]) -> str:
    """Answers that are neither what was declared nor a 503, 504 or 429."""
    rude = [each for each in impolite(during) if each.status not in (GATEWAY_TIMEOUT, None)]
    cut = [
        each for each in impolite(during) if each.status is None and not each.error.startswith("no answer")
    ]
    return f"{len(rude) + len(cut)} got {kinds([*rude, *cut])}" if rude or cut else ""


def _of(names: Sequence[str], drill: Drill, *, during: bool) -> list[Sent]:
    """Requests of these names, before the fault or while it held."""
    every = [each for each in (*drill.sent, *drill.health) if each.request in names]
    if during:
        return [each for each in every if drill.fault_at_s + SETTLED_S <= each.at_s < drill.healed_at_s]
    return [each for each in every if each.ended_at_s < drill.fault_at_s]


def _captured(before: Sequence[Sent], beside: Sequence[Sent], factor: float, behind_s: float = 0.0) -> str:
    """What is wrong with requests that need no database: refused, or as slow as if they did.

    `behind_s` is what a busy machine may have added.
    """
    bad = [each for each in beside if not each.expected]
    if len(bad) > max(1, len(beside) // 50):
        return f"{len(bad)} requests that need no database got {kinds(bad)}"
    usual = _median(before)
    if _median(beside) > max(usual * factor, usual + FLOOR_S) + behind_s:
        return f"requests that need no database took {seconds(_median(beside))}"
    third = quantiles([each.seconds for each in beside], n=4)[2]
    if third > max(usual * factor, usual + HICCUP_S) + behind_s:
        return f"a quarter of the requests that need no database took {seconds(third)} and more"
    return ""


def _median(answers: Sequence[Sent]) -> float:
    return median(each.seconds for each in answers)


def _all(wrong: Sequence[str]) -> str:
    return "; ".join(each for each in wrong if each)
