"""Judge what happens while something else is slow: Redis, a query, a lock."""

from __future__ import annotations

from statistics import median

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.pool_words import came_back, count, recovered, slowest_s, told
from pytest_prodready.findings import Finding
from pytest_prodready.probes.pool_waiting import Beside, IdleInTransaction, LockWait, SlowQuery
from pytest_prodready.settings import PoolSettings

# Below these a difference is noise of the machine, not the service's.
FLOOR_S = 0.1
HICCUP_S = 0.3
SAMPLING_S = 0.1


def no_idle_in_transaction(seen: IdleInTransaction, limits: PoolSettings) -> Finding:
    """No transaction waits for Redis."""
    rule, limit_s = RULES["pool.no-idle-in-transaction"], limits.idle_in_transaction_s
    details = {
        "limit": f"no backend idle in a transaction for more than {limit_s:g} s",
        "limits": {"idle_in_transaction_s": limit_s},
    }
    slow = f"with Redis slowed down by {seen.latency_ms / 1000:g} s"
    if seen.longest_s > limit_s:
        return rule.failed(
            f"{slow}, {count(seen.seen, 'backend')} stayed idle in a transaction, "
            f"for up to {seen.longest_s:.1f} s",
            **details,
        )
    if seen.latency_ms / 1000 <= limit_s:
        return rule.inconclusive(f"{slow}, which is less than the limit of {limit_s:g} s", **details)
    if not seen.redis_asked:
        return rule.inconclusive(
            f"none of the {seen.sent} requests asked Redis for anything",
            change="Declare a [[requests]] that uses Redis.",
            **details,
        )
    if not seen.samples:
        return rule.inconclusive("no backend was looked at", **details)
    return rule.passed(
        f"{slow}, {count(seen.sent, 'request')} left no transaction idle for more than "
        f"{max(seen.longest_s, SAMPLING_S):.1f} s ({seen.samples} samples)",
        **details,
    )


def slow_query_is_isolated(seen: SlowQuery, limits: PoolSettings) -> Finding:
    """Other requests are as fast beside a slow query as before it."""
    rule, factor = RULES["pool.slow-query-is-isolated"], limits.slowdown
    details = {
        "limit": f"at most {factor:g} times as slow, or {FLOOR_S:g} s more",
        "limits": {"slowdown": factor},
    }
    if not seen.references:
        return rule.inconclusive(
            "every request tried runs statements on the database: "
            f"{', '.join(seen.using_database) or 'none'}; none tells a blocked service from a locked table",
            change="Set [health] liveness to a path that asks no backend.",
            **details,
        )
    before = median(each.seconds for each in seen.baseline) if seen.baseline else 0.0
    held = [each for each in seen.rounds if each.seen_waiting and each.others]
    if not seen.baseline or not held:
        return rule.inconclusive(f"{seen.slow} was never held by the locked tables", **details)
    blocked = [each for each in held if _blocked(each, before, factor)]
    slowest = max(slowest_s(each.others) for each in held)
    usual = median(other.seconds for each in held for other in each.others)
    names = ", ".join(seen.references)
    summary = (
        f"beside a {seen.slow} held by a lock, {names} took {usual * 1000:.0f} ms (median) "
        f"and {slowest * 1000:.0f} ms at most; before {before * 1000:.0f} ms"
    )
    if len(blocked) == len(held) > 1 or usual > max(before * factor, before + FLOOR_S):
        return rule.failed(f"blocked: {summary}", **details)
    if blocked:
        return rule.inconclusive(f"blocked in {len(blocked)} of {len(held)} rounds: {summary}", **details)
    return rule.passed(summary, **details)


def lock_wait_is_bounded(seen: LockWait, limits: PoolSettings) -> Finding:
    """A request that meets a locked table is answered in time, and the service is back at once."""
    rule, limit_s = RULES["pool.lock-wait-is-bounded"], limits.lock_wait_s
    details = {
        "limit": f"answered within {limit_s:g} s, served {limits.recover_within_s:g} s after the lock",
        "limits": {"lock_wait_s": limit_s, "recover_within_s": limits.recover_within_s},
    }
    summary = f"{count(len(seen.answers), 'request')} met locked tables: {told(seen.answers)}"
    late = [each for each in seen.answers if each.status is None or each.seconds > limit_s]
    if late:
        held = f"{len(late)} waited as long as the lock was held, {seen.locked_s:.1f} s"
        return rule.failed(f"{summary}: {held}", **details)
    if not recovered(seen.back, limits.recover_within_s):
        return rule.failed(f"{summary}; {came_back(seen.back)}", **details)
    if not seen.waiting_for_lock:
        return rule.inconclusive(f"{summary}, but no backend waited for the lock", **details)
    return rule.passed(f"{summary}; {came_back(seen.back)}", **details)


def _blocked(seen: Beside, before: float, factor: float) -> bool:
    """Whether a request beside the held one took about as long as that was held."""
    return slowest_s(seen.others) > max(before * factor, before + HICCUP_S, seen.held_s / 2)
