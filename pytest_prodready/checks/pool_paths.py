"""Judge whether every connection comes back, and whether requests make progress."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.pool_words import count, never_served, told, worse
from pytest_prodready.findings import Finding
from pytest_prodready.probes.pool_paths import Aborted, Bursts, ErrorPath, ErrorPaths
from pytest_prodready.settings import PoolSettings


def error_paths_return_connections(seen: ErrorPaths, limits: PoolSettings) -> Finding:
    """Failed requests leave the pool full and the server idle."""
    rule = RULES["pool.error-paths-return-connections"]
    details = {
        "limit": f"afterwards {count(seen.capacity, 'request')} at once are served, and no backend is busy",
        "limits": {"size": limits.size, "workers": limits.workers},
    }
    failed = sum(path.sent for path in seen.paths)
    summary = f"after {failed} failing requests ({', '.join(_path(each) for each in seen.paths)})"
    if seen.left_busy:
        return rule.failed(
            f"{summary}, {count(seen.left_busy, 'backend')} stayed {' or '.join(seen.left_states)}", **details
        )
    if worse(seen.before, seen.after):
        leak = f"{summary}, of {seen.capacity} requests at once {told(seen.after)}"
        return rule.failed(f"{leak}: connections were not given back", **details)
    dried_up = [each for each in seen.paths if 0 < each.as_declared < each.sent and each.sent < each.planned]
    if dried_up:
        return rule.failed(f"{summary}: {dried_up[0].request} stopped answering as declared", **details)
    if why := never_served(seen.before):
        return rule.inconclusive(why, **details)
    never = [each for each in seen.paths if not each.as_declared]
    if not seen.paths or never:
        which = ", ".join(each.request for each in never) or "no request"
        return rule.inconclusive(f"{summary}: never answered as declared: {which}", **details)
    return rule.passed(f"{summary}, {seen.capacity} at once were served and no backend was busy", **details)


def aborted_requests_return_connections(seen: Aborted, limits: PoolSettings) -> Finding:
    """Clients that went away leave nothing behind."""
    rule = RULES["pool.aborted-requests-return-connections"]
    details = {
        "limit": f"afterwards {count(seen.capacity, 'request')} at once are served, and no backend is busy",
        "limits": {"recover_within_s": limits.recover_within_s},
    }
    summary = f"after {count(seen.aborted, 'request')} aborted mid-query"
    if seen.settled_after_s is None:
        return rule.failed(
            f"{summary}, {count(seen.left_busy, 'backend')} stayed {' or '.join(seen.left_states)} "
            f"for {seen.watched_s:.1f} s",
            **details,
        )
    if worse(seen.before, seen.after):
        return rule.failed(
            f"{summary}, of {seen.capacity} requests at once {told(seen.after)}: "
            "connections were not given back",
            **details,
        )
    if why := never_served(seen.before):
        return rule.inconclusive(why, **details)
    if not seen.aborted or not seen.waiting_for_lock:
        return rule.inconclusive("no request was held by the locked tables, so none was aborted", **details)
    return rule.passed(
        f"{summary}, no backend was busy {seen.settled_after_s:.1f} s after the lock, "
        f"and {seen.capacity} at once were served",
        **details,
    )


def no_deadlock(seen: Bursts, limits: PoolSettings) -> Finding:
    """Each burst is served in part, and answered in full."""
    rule, limit_s = RULES["pool.no-deadlock"], limits.deadline_s
    details = {
        "limit": f"{seen.size} at once served, some of any more, all answered within {limit_s:g} s",
        "limits": {"deadline_s": limit_s},
    }
    if not seen.bursts:
        return rule.inconclusive("no burst was sent", **details)
    for burst in seen.bursts:
        told_burst = (
            f"{burst.sent} requests at once over a pool of {seen.size}: {burst.served} served, "
            f"{burst.refused} refused, {burst.wrong} wrong, {burst.unanswered} unanswered "
            f"within {burst.slowest_s:.1f} s"
        )
        if not burst.served:
            return rule.failed(f"no progress: {told_burst}", **details)
        # Each had a connection of its own, so one that was refused must have asked for a second.
        if burst.sent <= seen.size and burst.served + burst.limited < burst.sent:
            return rule.failed(f"more than one connection a request: {told_burst}", **details)
        if burst.unanswered or burst.slowest_s > limit_s:
            return rule.failed(f"left waiting: {told_burst}", **details)
    sizes = ", ".join(str(burst.sent) for burst in seen.bursts)
    served = sum(burst.served for burst in seen.bursts)
    sent = sum(burst.sent for burst in seen.bursts)
    longest = max(burst.slowest_s for burst in seen.bursts)
    return rule.passed(
        f"bursts of {sizes} over a pool of {seen.size}: {served} of {sent} served, "
        f"all answered within {longest:.1f} s",
        **details,
    )


def _path(path: ErrorPath) -> str:
    others = ", ".join(f"{number} * {status}" for status, number in path.others)
    return f"{path.request}: {path.as_declared} of {path.sent} as declared{f', {others}' if others else ''}"
