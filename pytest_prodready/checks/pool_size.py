"""Judge the pool's size, and what happens when it is used up."""

from __future__ import annotations

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.pool_words import (
    came_back,
    count,
    never_served,
    recovered,
    slowest_s,
    told,
    worse,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.pool_engine import InProcess
from pytest_prodready.probes.pool_exhaustion import Exhaustion
from pytest_prodready.probes.pool_server import ServerRoom
from pytest_prodready.settings import PoolSettings

# The checklist's table: requests a minute up to and including, and the pool for them.
SIZES = ((99, 10), (1_000, 20), (10_000, 50))
LARGEST = 100
QUEUED = (
    "They were refused, but too late: shorten the checkout timeout. Where the server has a queue of its own, "
    "for a free worker thread, that wait comes on top: have more threads than requests that may wait."
)


def fits_server(seen: ServerRoom, limits: PoolSettings) -> Finding:
    """All pools together leave the server room to spare."""
    rule = RULES["pool.fits-server"]
    if limits.size is None:
        return rule.inconclusive("[pool] size isn't declared")
    wanted = limits.workers * limits.replicas * limits.size
    given = seen.max_connections - seen.superuser_reserved - seen.reserved
    narrower = [limit for limit in (seen.role_limit, seen.database_limit) if limit >= 0]
    room = min([given, *narrower])
    allowed = int(room * (1 - limits.spare) + 1e-9)
    source = (
        "the role's or the database's CONNECTION LIMIT" if room < given else "max_connections less reserved"
    )
    summary = (
        f"{count(limits.replicas, 'replica')} * {count(limits.workers, 'worker')} * {limits.size} = "
        f"{count(wanted, 'connection')}; the server gives {room} ({source})"
    )
    details = {
        "limit": f"at most {allowed} connections, which leaves {limits.spare:.0%} to spare",
        "limits": {"spare": limits.spare, "connections": allowed},
    }
    return rule.passed(summary, **details) if wanted <= allowed else rule.failed(summary, **details)


def bounded(seen: Exhaustion, limits: PoolSettings) -> Finding:
    """The service opens no more connections than its pool declares."""
    rule, crowd = RULES["pool.bounded"], seen.crowd
    details = {
        "limit": f"at most {count(seen.capacity, 'connection')}",
        "limits": {"size": limits.size, "workers": limits.workers},
    }
    summary = (
        f"the service opened {count(crowd.peak, 'connection')} for {crowd.sent} requests at once; "
        f"[pool] size says {_declared(limits)}"
    )
    if crowd.peak > seen.capacity + seen.processes:
        return rule.failed(summary, change=_unbounded_change(crowd.peak, crowd.sent), **details)
    if crowd.peak > seen.capacity:  # one more a process may be a listener's, or a health check's
        return rule.passed(f"{summary}, and others may be kept apart from the pool", **details)
    if crowd.held <= seen.capacity:
        return rule.inconclusive(
            f"only {crowd.held} of {crowd.sent} requests were under way together, "
            f"too few to go beyond a pool of {seen.capacity}",
            **details,
        )
    if crowd.peak == 0 or crowd.waiting_for_lock == 0:
        return rule.inconclusive("the requests did not wait for the locked tables", **details)
    return rule.passed(summary, **details)


def checkout_times_out(seen: InProcess, limits: PoolSettings) -> Finding:
    """One connection more than the pool has is refused in time."""
    rule, figures = RULES["pool.checkout-times-out"], seen.figures
    limit_s = limits.refuse_within_s
    details = {
        "limit": f"an error within {limit_s:g} s",
        "limits": {"refuse_within_s": limit_s},
    }
    if why := _cannot_tell(seen):
        return rule.inconclusive(why, **details)
    name, more = f"{figures.kind} ({figures.pool})", seen.one_more
    if figures.unbounded:
        change = "Use a QueuePool with pool_size and max_overflow (psycopg_pool: max_size) instead."
        unbounded = f"{name} has no bound: it never refuses, and opens a connection for each request"
        return rule.failed(unbounded, change=change, **details)
    if figures.size != seen.held.held:
        larger = f"{name} has room for {figures.size} connections; [pool] size says {limits.size}"
        change = "Lower pool_size and max_overflow (psycopg_pool: max_size), or declare the pool as it is."
        return rule.failed(
            f"{larger}, and beyond {seen.held.held} it gave one more", change=change, **details
        )
    asked = f"{name}: with all {figures.size} checked out, asking for one more"
    summary = f"{asked} raised {more.error_kind} after {more.seconds:.1f} s"
    if more.timed_out or more.seconds > limit_s:
        change = f"Set its timeout to 1 s; it is {_seconds(figures.checkout_timeout_s)} now."
        waited = f"{asked} waited longer than {more.seconds:.1f} s" if more.timed_out else summary
        return rule.failed(waited, change=change, **details)
    if seen.still_out or not seen.after.ok:
        broken = (
            f"{seen.still_out} stayed checked out" if seen.still_out else f"then: {seen.after.error_kind}"
        )
        return rule.failed(f"{summary}, but {broken} after all were given back", **details)
    return rule.passed(summary, **details)


def _cannot_tell(seen: InProcess) -> str:
    """Why the measurement says nothing about the checkout; empty when it does."""
    figures, name = seen.figures, f"{seen.figures.kind} ({seen.figures.pool})"
    if not seen.first.ok:
        return f"the engine gave no connection at all: {seen.first.error_kind}"
    if figures.unbounded:
        return ""
    if figures.size is not None and seen.held.error_kind is None and seen.held.held < figures.size:
        return (
            "" if seen.one_more.ok else f"{name} declares {figures.size} and refuses after {seen.held.held}"
        )
    if figures.size is None or seen.held.held < figures.size:
        known = "an unknown number of" if figures.size is None else figures.size
        return f"{name} gave {seen.held.held} of {known} connections: {seen.held.error_kind or 'no error'}"
    if seen.one_more.ok:
        return f"{name} gave one more connection than the {figures.size} that it declares"
    return ""


def excess_is_refused(seen: Exhaustion, limits: PoolSettings) -> Finding:
    """What the busy pool can't take is answered 503 in time."""
    rule, limit_s = RULES["pool.excess-is-refused"], limits.refuse_within_s
    details = {"limit": f"503 within {limit_s:g} s", "limits": {"refuse_within_s": limit_s}}
    pool = max(seen.capacity, min(seen.crowd.peak, seen.sent))
    unanswered = seen.sent - len(seen.during)
    waited = max(0, unanswered - pool)
    refused = [each for each in seen.during if each.refused]
    late = [each for each in refused if each.seconds > limit_s]
    wrong = [each for each in seen.during if not each.refused and not each.expected]
    holding = min(unanswered, pool)
    parts = [
        f"{holding} held it" if holding else "",
        told(seen.during) if seen.during else "",
        f"{waited} waited longer than {seen.stalled_s:.1f} s and then {_then(seen, pool)}" if waited else "",
    ]
    summary = f"{seen.sent} requests over a busy pool of {pool}: {', '.join(filter(None, parts))}"
    if waited or late or wrong:
        few = _few_workers(seen) if waited else ""
        return rule.failed(summary, change=few or ("" if waited or wrong else QUEUED), **details)
    if not refused:
        why = "all were answered without the database" if seen.during else "none was left over"
        return rule.inconclusive(f"{summary}; {why}, so nothing had to be refused", **details)
    return rule.passed(summary, **details)


def recovers_after_exhaustion(seen: Exhaustion, limits: PoolSettings) -> Finding:
    """After the peak the pool is as good as before."""
    rule, limit_s = RULES["pool.recovers-after-exhaustion"], limits.recover_within_s
    details = {
        "limit": f"served within {limit_s:g} s, and then {seen.capacity} requests at once",
        "limits": {"recover_within_s": limit_s},
    }
    summary = f"after {seen.stalled_s:.1f} s with a busy pool, {came_back(seen.back)}"
    if not recovered(seen.back, limit_s):
        return rule.failed(summary, **details)
    if worse(seen.full_before, seen.full_again):
        return rule.failed(
            f"{summary}, but of {seen.capacity} requests at once {told(seen.full_again)}", **details
        )
    if why := never_served(seen.full_before):
        return rule.inconclusive(why, **details)
    if seen.sent - len(seen.during) == 0:
        # A service that gives up a silent connection soon isn't held by a stall; the table lock has held it.
        locked = seen.crowd.waiting_for_lock
        if locked < seen.capacity or slowest_s(seen.full_before) > limit_s:
            return rule.inconclusive(f"{summary}, but no request was held by the stall", **details)
        once = f"{count(seen.capacity, 'request')} at once were served"
        summary = f"after a lock held {locked} connections, {once}; {summary}"
    return rule.passed(f"{summary}, and {seen.capacity} requests at once", **details)


def size_fits_traffic(limits: PoolSettings) -> Finding:
    """Advice: the pool for the declared traffic, by the checklist's table."""
    rule = RULES["pool.size-fits-traffic"]
    if limits.size is None:
        return rule.inconclusive("[pool] size isn't declared")
    if limits.requests_per_minute is None:
        return rule.unverified(
            f"the pool has {limits.size}; set [pool] requests_per_minute to get advice on its size"
        )
    minute = limits.requests_per_minute
    advised = next((size for most, size in SIZES if minute <= most), LARGEST)
    have = limits.size * limits.workers
    replicas = minute > SIZES[-1][0]
    summary = (
        f"{minute:,} requests a minute: the checklist advises {advised} connections"
        f"{' and read replicas' if replicas else ''}; a replica of the service has {have}"
    )
    details = {
        "limit": f"{advised} connections",
        "limits": {"requests_per_minute": minute, "size": advised},
    }
    if have == advised:
        return rule.passed(summary, **details)
    change = (
        f"Set the pool's size to {max(1, advised // limits.workers)} a process, then confirm it under load."
    )
    return rule.failed(summary, change=change, **details)


def _declared(limits: PoolSettings) -> str:
    return f"{limits.size}" if limits.workers == 1 else f"{limits.size} in each of {limits.workers} processes"


def _unbounded_change(peak: int, sent: int) -> str:
    if peak >= sent:
        return "Every request opened a connection: use a pool with a bound (no NullPool, max_overflow=0)."
    return f"The pool holds {peak}: lower it (overflow counts too), or declare that as [pool] size."


def _few_workers(seen: Exhaustion) -> str:
    """Advice where requests queue for a worker, and never come to ask the pool; empty elsewhere."""
    used = seen.crowd.waiting_for_lock
    if not 0 < used <= seen.capacity / 2:
        return ""
    return (
        f"Of {seen.crowd.sent} requests at once only {used} came to the database: the others waited for a "
        "free worker, which no checkout timeout ends. Have more worker threads than connections "
        "(gunicorn --threads), or declare the pool as small as it can get."
    )


def _then(seen: Exhaustion, pool: int) -> str:
    """What became of those that waited for the holders: they were answered last."""
    return told(seen.after[pool:] or seen.after)


def _seconds(value: float | None) -> str:
    return "unlimited" if value is None else f"{value:g} s"
