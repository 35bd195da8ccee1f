"""Judge a service whose Redis was demoted under its live connections."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.failover_words import ended, kinds, seconds
from pytest_prodready.findings import Finding
from pytest_prodready.probes.failover_redis_demoted import RedisDemotion
from pytest_prodready.settings import Settings


def redis_primary_is_followed(seen: RedisDemotion, settings: Settings) -> Finding:
    """Writes leave the demoted primary in time, and requests are served all the while."""
    rule, within_s = RULES["failover.redis-primary-is-followed"], settings.failover.recover_within_s
    if seen.drill.doubt:
        return rule.inconclusive(seen.drill.doubt)
    if not seen.tried:
        return rule.unverified("no answer is seen to be kept in Redis, and no [failover] counter is declared")
    limit, wanted = f"writes work within {within_s:g} s", {"recover_within_s": within_s}
    told = f"{seen.read_only} writes answered READONLY by the demoted primary"
    optional = settings.redis is not None and settings.redis.optional
    # What needs Redis may fail until its writes reach the new primary.
    from_s = seen.drill.fault_at_s + (0.0 if optional else within_s)
    failed = [each for each in seen.drill.sent if each.at_s >= from_s and not each.expected]
    wrong = [
        ended(seen.drill),
        _late(seen, within_s),
        f"{len(failed)} requests failed meanwhile ({kinds(failed)})" if failed else "",
        "" if seen.drill.steady_after else f"not served for good afterwards: {seen.drill.unsteady}",
    ]
    if any(wrong):
        return rule.failed(f"{told}; {'; '.join(each for each in wrong if each)}", limit=limit, limits=wanted)
    if not seen.read_only:
        return rule.inconclusive(f"{told}: no connection was seen to stay with it")
    assert seen.recovered_s is not None
    served = f"{', '.join(seen.tried)} as before after {seconds(seen.recovered_s)}"
    return rule.passed(f"{told}; {served}", limit=limit, limits=wanted)


def _late(seen: RedisDemotion, within_s: float) -> str:
    if seen.recovered_s is None:
        return f"{seconds(seen.watched_s)} later {seen.wrong}"
    if seen.recovered_s > within_s + seen.uncertainty_s:
        return f"writes work again only after {seconds(seen.recovered_s)}"
    return ""
