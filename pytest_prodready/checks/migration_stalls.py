"""Judge who waits for a migration: readers, writers, and those behind its place in a queue."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.migration_words import (
    Judgement,
    failed_itself,
    mode_words,
    not_watched,
    shortened,
    tried,
)
from pytest_prodready.findings import Finding
from pytest_prodready.probes.migration_traffic import LockHeld, Run, Stall, Traffic
from pytest_prodready.settings.migration_traffic import MigrationTrafficSettings

SHARE_OF_MACHINE = 0.5  # of the limit: a machine that stalls for so long may be the reason
CUT_OFF = frozenset({"AdminShutdown", "CrashShutdown", "OperationalError"})  # who has lost the connection
LOCK_NOT_HAD = re.compile(r"could not obtain lock|due to lock timeout")


def reads_not_stalled(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """Nobody who reads waits long for a step of the migration."""
    return _not_stalled("reads", seen, limits)


def writes_not_stalled(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """Nobody who writes waits long for a step of the migration."""
    return _not_stalled("writes", seen, limits)


def lock_timeout(seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    """A step that can't have its lock soon gives up its place in the queue."""
    rule, limit_ms = RULES["migration.lock-timeout"], limits.stall_ms
    found = Judgement()
    for step in seen.steps:
        run = step.behind
        if run is None:
            continue
        waited = max(run.locks, key=lambda each: each.waited_ms, default=LockHeld("", "", 0.0, 0.0))
        told_to = step.defined.lock_timeouts_ms
        gives_up = bool(told_to) and min(told_to) > 0 and max(told_to) <= limit_ms
        if waited.waited_ms > limit_ms and gives_up and _machine_stalled(run, limit_ms):
            found.doubts.append(
                f"{step.revision} waited {waited.waited_ms:,.0f} ms in a queue in spite of its lock_timeout,"
                f" on a machine that stalls for {run.machine_ms:,.0f} ms"
            )
        elif waited.waited_ms > limit_ms:
            lock = f"{mode_words(waited.mode)} on {waited.table}"
            queue = max(run.reads.behind_ms, run.writes.behind_ms)
            found.problems.append(
                f"{step.revision} waited {waited.waited_ms:,.0f} ms for {lock} behind a transaction left open"
                f" ({_timeouts(told_to)}), and others {queue:,.0f} ms behind it"
            )
        elif not (run.ran or waited.waited_ms or gives_up or LOCK_NOT_HAD.search(run.printed)):
            found.doubts.append(f"{step.revision}: {failed_itself(run)}")
        elif run.gap_ms > limit_ms or run.doubt:
            found.doubts.append(f"{step.revision}: {run.doubt or not_watched(run)}")
        elif waited.waited_ms:
            again = "" if run.ran else " and leaves it to the next deploy to try again"
            found.notes.append(
                f"{step.revision} gives up its place in a queue after {waited.waited_ms:,.0f} ms{again}"
            )
    details = {"limit": f"no wait in a queue beyond {limit_ms:g} ms", "limits": {"stall_ms": limit_ms}}
    return found.conclude(rule, seen, "none waits for a lock that keeps others waiting", details)


def _not_stalled(kind: str, seen: Traffic, limits: MigrationTrafficSettings) -> Finding:
    rule, limit_ms = RULES[f"migration.{kind}-not-stalled"], limits.stall_ms
    found, longest = Judgement(), 0.0
    for step, run in tried(seen):
        stall = run.reads if kind == "reads" else run.writes
        longest = max(longest, stall.behind_ms)
        found.problems += [f"{step.revision}: {each}" for each in _problems(kind, stall, run, limit_ms)]
        found.doubts += [f"{step.revision}: {each}" for each in _doubts(kind, stall, run, limit_ms)]
    details = {"limit": f"at most {limit_ms:g} ms", "limits": {"stall_ms": limit_ms}}
    return found.conclude(rule, seen, f"the longest wait of {kind} was {longest:,.0f} ms", details)


def _problems(kind: str, stall: Stall, run: Run, limit_ms: float) -> Iterator[str]:
    if stall.behind_ms > limit_ms and not _machine_stalled(run, limit_ms):
        how = "queued for a lock" if stall.queued else "held its locks"
        yield (
            f"{kind} of {stall.table} waited {stall.behind_ms:,.0f} ms while the migration {how}"
            f" ({shortened(stall.behind)})"
        )
    if "DeadlockDetected" in stall.errors:
        yield f"{kind} were ended by a deadlock with the migration"


def _doubts(kind: str, stall: Stall, run: Run, limit_ms: float) -> Iterator[str]:
    longest = max(stall.longest_ms, stall.behind_ms)
    if why := failed_itself(run):
        yield why
    elif longest > limit_ms and _machine_stalled(run, limit_ms):
        yield (
            f"{kind} waited {longest:,.0f} ms, but the machine alone made statements wait"
            f" {run.machine_ms:,.0f} ms"
        )
    elif stall.behind_ms <= limit_ms < stall.longest_ms:
        yield f"{kind} took {stall.longest_ms:,.0f} ms without waiting for a lock of the migration"
    elif run.gap_ms > limit_ms:
        yield not_watched(run)
    elif cut_off := CUT_OFF.intersection(stall.errors):
        yield f"{kind} ended before it did: {', '.join(sorted(cut_off))}"
    elif not stall.statements and run.seconds * 1000 > limit_ms:
        yield f"no {kind} came in the {run.seconds:.1f} s that it took"


def _machine_stalled(run: Run, limit_ms: float) -> bool:
    return run.machine_ms > SHARE_OF_MACHINE * limit_ms


def _timeouts(milliseconds: tuple[int, ...]) -> str:
    if not milliseconds:
        return "lock_timeout unknown"
    if 0 in milliseconds:
        return "no lock_timeout in its session"
    return f"lock_timeout {max(milliseconds):,} ms"
