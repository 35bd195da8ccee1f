"""Judge a service whose Redis was lost, and what the database had to bear for it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import ended, kinds, liveness, remedy, seconds, slowest
from pytest_prodready.findings import Finding
from pytest_prodready.probes.drill import Sent
from pytest_prodready.probes.failover_redis import Crowd, RedisHerd, RedisLoss
from pytest_prodready.probes.redis_costs import Cost
from pytest_prodready.settings import Settings

UNUSED = "none of the declared requests was seen to use Redis; does the service use {redis.url}?"
FEWEST = 5  # requests of each phase
MOSTLY = 0.3


def redis_loss_is_survived(seen: RedisLoss, settings: Settings) -> Finding:
    """Every request is served as declared and in time, while Redis is dead, silent, and back."""
    rule, drill = RULES["failover.redis-loss-is-survived"], seen.drill
    if doubt := _loss_doubt(seen):
        return rule.inconclusive(doubt)
    within_s = settings.health.degraded_within_s
    limit, wanted = f"as declared within {within_s:g} s", {"degraded_within_s": within_s}
    told, wrong = [], [ended(drill), liveness(drill, settings)]
    users = {cost.request for cost in seen.costs if cost.cached or cost.commands}
    for name, answers in _phases(seen).items():
        told.append(f"{name}: {kinds(answers)}, slowest {slowest(answers)}")
        failed = [each for each in answers if not each.expected]
        served = [each for each in answers if each.expected and each.request in users]
        slow = _slow(served, within_s + drill.behind_s)
        wrong += [
            f"{name}: {len(failed)} of {len(answers)} failed ({kinds(failed)})" if failed else "",
            f"{name}: {len(slow)} of {len(answers)} took up to {slowest(slow)}" if slow else "",
        ]
    optional = settings.redis is not None and settings.redis.optional
    if optional and drill.ledger is not None and (bad := drill.ledger.refused + drill.ledger.unknown):
        wrong.append(f"{bad} of {bad + drill.ledger.acknowledged} writes were not acknowledged")
    if not drill.steady_after:
        wrong.append(f"not served for good afterwards: {drill.unsteady}")
    if any(wrong):
        summary, change = "; ".join(each for each in wrong if each), remedy(rule, drill, settings)
        return rule.failed(summary, limit=limit, limits=wanted, change=change)
    return rule.passed("; ".join(told), limit=limit, limits=wanted)


def _slow(answers: Sequence[Sent], within_s: float) -> list[Sent]:
    """Answers beyond the limit, unless they are as few as a starved machine makes late.

    What waits for Redis does so in most of its requests; single ones are health.optional-redis' business.
    """
    slow = [each for each in answers if each.seconds > within_s]
    many = len(slow) > max(2.0, MOSTLY * len(answers))
    return slow if many or any(each.seconds > 3 * within_s for each in slow) else []


def _loss_doubt(seen: RedisLoss) -> str:
    """Why nothing can be said; empty when something can."""
    if seen.drill.doubt:
        return seen.drill.doubt
    if not any(cost.cached or cost.commands for cost in seen.costs):
        return UNUSED
    few = [name for name, answers in _phases(seen).items() if len(answers) < FEWEST]
    return f"hardly a request was sent in the phase: {', '.join(few)}" if few else ""


def _phases(seen: RedisLoss) -> dict[str, list[Sent]]:
    drill, judged = seen.drill, set(seen.judged)
    silent_at_s = drill.mark("silent") or drill.healed_at_s
    mine = [each for each in drill.sent if each.request in judged and each.at_s >= drill.fault_at_s]
    return {
        "Redis dead": [each for each in mine if each.at_s < silent_at_s],
        "Redis silent": [each for each in mine if silent_at_s <= each.at_s < drill.healed_at_s],
        "Redis back": [each for each in mine if each.at_s >= drill.healed_at_s],
    }


def redis_is_used_again(seen: RedisLoss, settings: Settings) -> Finding:
    """Repeats are answered from Redis again, as before the loss."""
    rule, within_s = RULES["failover.redis-is-used-again"], settings.failover.recover_within_s
    if doubt := _loss_doubt(seen):
        return rule.inconclusive(doubt)
    if not seen.after:
        return rule.inconclusive("the service was not asked again after Redis was back")
    limit, wanted = f"within {within_s:g} s", {"recover_within_s": within_s}
    before = {cost.request: cost for cost in seen.costs}
    if seen.used_again_s is None:
        bad = "; ".join(_unused(before[now.request], now) for now in seen.after)
        return rule.failed(
            f"{seconds(seen.watched_s)} after Redis was back it was not used as before: {bad}",
            limit=limit,
            limits=wanted,
        )
    used = ", ".join(f"{now.request} {_spent(now)}" for now in seen.after)
    told = f"used again after {seconds(seen.used_again_s)}: {used} when repeated, as before"
    verdict = rule.passed if seen.used_again_s <= within_s else rule.failed
    return verdict(told, limit=limit, limits=wanted)


def _unused(before: Cost, now: Cost) -> str:
    if not now.answered:
        return f"{now.request} was not served"
    return f"{now.request} {_spent(now)} when repeated, {_spent(before)} before"


def _spent(cost: Cost) -> str:
    statements, commands = _plural(cost.again, "statement"), _plural(cost.commands, "command")
    return f"{cost.again} {statements} and {cost.commands} {commands}"


def redis_loss_spares_the_database(seen: RedisHerd, settings: Settings) -> Finding:
    """Statements per request stay near those of an empty cache, and a crowd is served or refused politely."""
    rule, limits = RULES["failover.redis-loss-spares-the-database"], settings.failover
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    if not any(cost.cached or cost.commands for cost in seen.costs):
        return rule.inconclusive(UNUSED)
    if not any(cost.first for cost in seen.costs):
        return rule.inconclusive("none of the declared requests was seen to use the database")
    if not seen.gone:
        return rule.inconclusive("nothing was asked while Redis was gone")
    wanted = {"redis_load": limits.redis_load, "crowd": limits.crowd, "deadline_s": limits.deadline_s}
    limit = f"at most {limits.redis_load:g} times the statements of an empty cache; the excess gets 503"
    first = {cost.request: max(1, cost.first) for cost in seen.costs}
    wrong = ["the process ended"] if seen.same_process is False else []
    wrong += [
        f"{cost.request} ran {cost.again} statements, {cost.first} with an empty cache"
        for cost in seen.gone
        if cost.again > limits.redis_load * first[cost.request]
    ]
    wrong += [f"{cost.request} was not served" for cost in seen.gone if not cost.answered]
    wrong += [f"afterwards {seen.unsteady}"] if seen.unsteady else []
    crowd = seen.gone_crowd
    if crowd is not None:
        wrong += _of_the_crowd(crowd, limits.redis_load * first[crowd.request])
    gone = ", ".join(f"{cost.request} {cost.again} ({cost.first})" for cost in seen.gone)
    told = f"statements without Redis (with an empty one): {gone}{_crowded(crowd)}"
    if wrong:
        return rule.failed(f"without Redis: {'; '.join(wrong)}", limit=limit, limits=wanted)
    return rule.passed(told, limit=limit, limits=wanted)


def _of_the_crowd(crowd: Crowd, each: float) -> list[str]:
    """What is wrong with the answers to a crowd, and with what it cost."""
    rude = [answer for answer in crowd.answers if not answer.expected and not answer.refused_politely]
    sent, wrong = len(crowd.answers), []
    if rude:
        wrong.append(f"{len(rude)} of {sent} at once for {crowd.request} got {kinds(rude)}")
    if crowd.statements > each * sent:
        wrong.append(f"{sent} at once for {crowd.request} ran {crowd.statements} statements")
    return wrong


def _crowded(crowd: Crowd | None) -> str:
    if crowd is None:
        return ""
    told = f"{kinds(crowd.answers)}, {crowd.statements} statements"
    return f"; {len(crowd.answers)} at once for {crowd.request}: {told}"


def cold_cache_is_filled_once(seen: RedisHerd, settings: Settings) -> Finding:
    """A crowd for one answer that the cache lost loads it a few times at most."""
    rule, limits = RULES["failover.cold-cache-is-filled-once"], settings.failover
    if seen.doubt:
        return rule.inconclusive(seen.doubt)
    declared = [cost for cost in seen.costs if cost.cacheable]
    if not any(cost.cached for cost in declared):
        return _not_cached(declared)
    crowd, most = seen.empty_crowd, limits.cold_loads * seen.processes
    if crowd is None or not crowd.loads:
        return rule.inconclusive("the crowd caused no statement on the database, so the cache was not cold")
    if len(crowd.answers) <= most:
        return rule.inconclusive(
            f"a crowd of {len(crowd.answers)} is too small for {seen.processes} processes"
        )
    served = [answer for answer in crowd.answers if answer.expected]
    rude = [answer for answer in crowd.answers if not answer.expected and not answer.refused_politely]
    told = (
        f"{len(crowd.answers)} at once for {crowd.request} on an empty cache: {kinds(crowd.answers)},"
        f" loaded {crowd.loads} {_plural(crowd.loads, 'time')}"
    )
    limit = f"at most {most} loads" + (f" by {seen.processes} processes" if seen.processes > 1 else "")
    wanted = {"cold_loads": limits.cold_loads, "crowd": limits.crowd}
    good = crowd.loads <= most and served and not rude
    return (rule.passed if good else rule.failed)(told, limit=limit, limits=wanted)


def _not_cached(declared: Sequence[Cost]) -> Finding:
    rule = RULES["failover.cold-cache-is-filled-once"]
    if declared and all(cost.answered and not cost.first for cost in declared):
        # A cache in the process stands before Redis: emptying Redis makes nothing cold.
        return rule.unverified("what is cacheable needs no statement even when Redis is empty")
    names = ", ".join(
        f"{cost.request} ({cost.again} when repeated, {cost.first} at first)" for cost in declared
    )
    return rule.inconclusive(f"declared as cacheable, but the same statements run when repeated: {names}")


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
