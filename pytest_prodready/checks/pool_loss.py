"""Judge how the service bears the loss of its connections."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.pool_words import came_back, count, never_served, recovered, slowest_s, told
from pytest_prodready.findings import Finding
from pytest_prodready.probes.pool_loss import Losses, Refusal, Silence, Storm
from pytest_prodready.probes.pool_steady import Outcome
from pytest_prodready.settings import PoolSettings

TRIES_SELDOM = (
    "Connect again for the next request, or with pauses of a second at most: a pool that doubles its "
    "pauses after each failure stays away long after the server is back (psycopg_pool's does: set its "
    "reconnect_timeout=1, and no max_waiting, which would then refuse for ever)."
)


def refusal_is_survived(seen: Refusal, limits: PoolSettings) -> Finding:
    """Without a connection the service says 503, and comes back by itself."""
    rule, limit_s = RULES["pool.refusal-is-survived"], limits.recover_within_s
    details = {
        "limit": f"503 meanwhile, served {limit_s:g} s afterwards",
        "limits": {"recover_within_s": limit_s, "deadline_s": limits.deadline_s},
    }
    summary = f"while the server refused its connections: {told(seen.answers)}; {came_back(seen.back)}"
    if seen.backends_left and all(each.expected for each in seen.answers):
        return rule.inconclusive(
            f"{count(seen.backends_left, 'connection')} of the service remained, so nothing was refused",
            **details,
        )
    wrong = _neither_served_nor_refused(seen.answers)
    if wrong:
        statuses = sorted({str(each.status or "no answer") for each in wrong})
        change = f"Answer 503 instead of {', '.join(statuses)} when no connection can be had."
        return rule.failed(summary, change=change if seen.back.alive else "", **details)
    if not recovered(seen.back, limit_s):
        return rule.failed(summary, change=TRIES_SELDOM if seen.back.alive else "", **details)
    if not any(each.refused for each in seen.answers):
        return rule.inconclusive(f"{summary}: the requests didn't need the database", **details)
    return rule.passed(summary, **details)


def lost_connections_are_replaced(seen: Losses, limits: PoolSettings) -> Finding:
    """No user notices that idle connections have died."""
    rule = RULES["pool.lost-connections-are-replaced"]
    details = {"limit": "no failed request", "limits": {"size": limits.size}}
    terminated = sum(each.terminated for each in seen.losses)
    answers = [answer for each in seen.losses for answer in each.answers]
    failed = [each for each in answers if not each.expected]
    summary = f"after {count(terminated, 'idle connection')} died, {told(answers)}"
    if not seen.alive:
        return rule.failed(f"{summary}; its process had ended", **details)
    if failed and (why := never_served([each for loss in seen.losses for each in loss.before])):
        return rule.inconclusive(why, **details)
    if failed:
        return rule.failed(f"{count(len(failed), 'request')} of {len(answers)} failed {summary}", **details)
    if not terminated or any(not each.terminated for each in seen.losses):
        return rule.inconclusive("the service had no idle connection to lose", **details)
    return rule.passed(summary, **details)


def no_reconnect_storm(seen: Storm, limits: PoolSettings) -> Finding:
    """About as many new connections as were lost."""
    rule = RULES["pool.no-reconnect-storm"]
    most = int(limits.reconnects * seen.capacity * seen.kills + 1e-9)
    details = {
        "limit": f"at most {most} new connections: {limits.reconnects:g} pools of {seen.capacity} each time",
        "limits": {"reconnects": limits.reconnects},
    }
    opened = max(seen.opened, seen.accepted or 0)
    summary = (
        f"all connections were lost {seen.kills} times under load ({seen.terminated} in all): "
        f"the service opened {opened} new ones; {came_back(seen.back)}"
    )
    if opened > most:
        return rule.failed(f"a storm: {summary}", **details)
    if not recovered(seen.back, limits.recover_within_s):
        return rule.failed(f"no reconnect: {summary}", **details)
    if not seen.terminated or not opened:
        return rule.inconclusive(f"{summary}: none was lost and replaced", **details)
    return rule.passed(summary, **details)


def connect_times_out(seen: Silence, limits: PoolSettings) -> Finding:
    """A silent database doesn't silence the service."""
    rule, limit_s = RULES["pool.connect-times-out"], limits.connect_within_s
    details = {
        "limit": f"answered within {limit_s:g} s, served {limits.recover_within_s:g} s after the silence",
        "limits": {"connect_within_s": limit_s, "recover_within_s": limits.recover_within_s},
    }
    summary = f"{count(len(seen.answers), 'request')} to a silent database: {told(seen.answers)}"
    late = [each for each in seen.answers if each.status is None or each.seconds > limit_s]
    if late or not seen.answers:
        return rule.failed(f"{summary}: {len(late)} not answered in time", **details)
    back = came_back(seen.back)
    # Its last attempt may have begun just before the end, and its own time limit has to pass first.
    longest = limits.recover_within_s + max(0.0, slowest_s(seen.answers))
    if not recovered(seen.back, longest):
        return rule.failed(f"{summary}; {back}", **details)
    if all(each.expected for each in seen.answers):
        return rule.inconclusive(f"{summary}, so they didn't need the database", **details)
    return rule.passed(f"{summary}; {back}", **details)


def _neither_served_nor_refused(seen: Sequence[Outcome]) -> list[Outcome]:
    return [each for each in seen if not each.expected and not each.refused]
