"""Judge the sessions of the service's engine and its processes."""

from __future__ import annotations

from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.pool_words import count
from pytest_prodready.findings import Finding
from pytest_prodready.probes.pool_engine import InProcess
from pytest_prodready.probes.pool_processes import Sharing
from pytest_prodready.settings import PoolSettings


def statement_is_limited(seen: InProcess, limits: PoolSettings) -> Finding:
    """A long statement is cancelled, by the server or by the client."""
    rule, limit_s = RULES["pool.statement-timeout"], limits.statement_timeout_s
    details = {
        "limit": f"cancelled within {limit_s:g} s",
        "limits": {"statement_timeout_s": limit_s},
    }
    limit = seen.statement
    if limit.setting_ms is None:
        return rule.inconclusive(
            f"the engine's session could not be asked: {seen.first.error_kind or 'no answer'}", **details
        )
    setting = "off" if limit.setting_ms == 0 else f"{limit.setting_ms / 1000:g} s"
    if 0 < limit.setting_ms <= limit_s * 1000:
        return rule.passed(f"statement_timeout is {setting} in the engine's sessions", **details)
    if limit.outcome is None or limit.slept_s is None:
        return rule.inconclusive(f"statement_timeout is {setting}, and no statement was tried", **details)
    ran = f"statement_timeout is {setting}; pg_sleep({limit.slept_s:g})"
    if limit.outcome.ok or limit.outcome.timed_out:
        return rule.failed(f"{ran} ran to its end", **details)
    if limit.outcome.seconds > limit_s + 0.5:
        return rule.failed(f"{ran} ended after {limit.outcome.seconds:.1f} s only", **details)
    return rule.passed(f"{ran} was given up after {limit.outcome.seconds:.1f} s", **details)


def idle_connections_are_retired(seen: InProcess, limits: PoolSettings) -> Finding:
    """A connection older than the limit isn't given out again."""
    rule, limit_s = RULES["pool.idle-connections-retired"], limits.idle_s
    details = {"limit": f"replaced after {limit_s:g} s at most", "limits": {"idle_s": limit_s}}
    figures, aged = seen.figures, seen.aged
    name, age = f"{figures.kind} ({figures.pool})", f"{seen.age_s + 1:g} s"
    if not aged.aged:
        if aged.error_kind is not None:
            return rule.inconclusive(f"{name}: no connection to make old: {aged.error_kind}", **details)
        if figures.recycle_s is None:
            return rule.inconclusive(f"{name}: its limits are unknown", **details)
        summary = f"{name} retires a connection after {figures.recycle_s:g} s"
        fits = figures.recycle_s <= limit_s
        return rule.passed(summary, **details) if fits else rule.failed(summary, **details)
    if aged.first_pid is None or aged.second_pid is None:
        return rule.inconclusive(f"{name}: no connection to make old: {aged.error_kind}", **details)
    if aged.first_pid == aged.second_pid:
        recycle = "none" if figures.recycle_s is None else f"{figures.recycle_s:g} s"
        return rule.failed(
            f"{name} gave out a connection that was {age} old (pool_recycle: {recycle})", **details
        )
    return rule.passed(f"{name} replaced a connection that was {age} old", **details)


def fork_safe(seen: Sharing) -> Finding:
    """No connection is used by two processes."""
    rule = RULES["pool.fork-safe"]
    details: dict[str, Any] = {"limit": "no connection in two processes"}
    if not seen.readable:
        return _fork_of_engine(seen, details)
    held = [each for each in seen.processes if each.connections]
    if not held and not seen.shared_at_start:
        return rule.inconclusive(
            f"none of the service's {len(seen.processes)} processes had a connection open", **details
        )
    holds = "1 process" if len(held) == 1 else f"{len(held)} processes"
    summary = f"{holds} held {count(seen.connections, 'connection')}, {seen.shared} of them shared"
    if seen.shared_at_start:
        summary += f"; at the start {seen.shared_at_start} were shared"
    inherited = max(seen.shared, seen.shared_at_start)
    if not inherited:
        return rule.passed(summary, **details)
    if seen.unused >= inherited:
        return rule.passed(f"{summary}: inherited, and not used by any request", **details)
    broke = f", and {count(seen.failed, 'request')} failed" if seen.failed else ""
    return rule.failed(f"{summary}, and they were used{broke}", **details)


def _fork_of_engine(seen: Sharing, details: dict[str, Any]) -> Finding:
    rule = RULES["pool.fork-safe"]
    if seen.forked is None or seen.forked.own is not True:
        return rule.inconclusive(
            "this system doesn't tell which process holds which socket, and a forked engine "
            "shares its connections unless it is disposed of in the child",
            **details,
        )
    return rule.passed("an engine that was forked after use opened a connection of its own", **details)
