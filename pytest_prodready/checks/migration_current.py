"""Judge where the tool says that the database is, after each of its commands."""

from __future__ import annotations

import re

from pytest_prodready.checks.migration_trips import said, shortened
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration import RoundTrips, Step

# Dates, times and durations, which may be another each time that the same is said.
TIMES = re.compile(
    r"\b\d{4}-\d\d-\d\d(T[\d:.,]+(Z|[+-][\d:]+)?)?(?!\w)"
    r"|\b\d{1,2}:\d\d(:\d\d)?([.,]\d+)?\b"
    r"|\b\d+([.,]\d+)?\s?(ns|µs|us|ms|s|sec|seconds?)\b"
)


def stuck(step: Step) -> str:
    """Why its word after the upgrade isn't that of the revision; empty where it is, or wasn't asked."""
    now, before = step.up.at, step.at
    if now is None or before is None or not step.up.ran.succeeded:
        return ""
    if not now.succeeded:
        return _failed(now)
    names_it = bool(step.revision) and step.revision in now.printed
    # Before the first upgrade, the table that it reads needn't be there.
    same = before.succeeded and not names_it and _words(now) == _words(before)
    return f"after it {_says(now)}, as before it" if same else ""


def not_back(step: Step) -> str:
    """Why its word after the downgrade isn't that of the revision before; empty where it is."""
    now, above, below = step.down.at if step.down else None, step.up.at, step.at
    if step.down is None or not step.down.ran.succeeded or now is None or above is None or below is None:
        return ""
    if not step.before:
        # On an empty database and after the way back it may be nothing, an error, or the name of the base.
        same = above.succeeded and now.succeeded and _words(now) == _words(above)
        return f"after the downgrade {_says(now)}, as before it" if same else ""
    return _other(now, below, "after the downgrade", "before the upgrade")


def elsewhere(step: Step) -> str:
    """Why its word after the second upgrade isn't that after the first; empty where it is."""
    if step.again is None or not step.again.ran.succeeded or step.again.at is None or step.up.at is None:
        return ""
    return _other(step.again.at, step.up.at, "after the second upgrade", "after the first")


def moved(seen: RoundTrips) -> str:
    """Why its word isn't the same after an upgrade that had nothing to do; empty where it is."""
    twice = seen.twice
    if seen.whole is None or twice is None or twice.at is None or seen.whole.up.at is None:
        return ""
    return _other(twice.at, seen.whole.up.at, "then", "after the first")


def _other(now: Ran, wanted: Ran, when: str, else_when: str) -> str:
    if not now.succeeded:
        return _failed(now)
    # Where it failed earlier, that is told of the earlier command.
    same = not wanted.succeeded or _words(now) == _words(wanted)
    return "" if same else f"{when} {_says(now)}; {else_when} {_says(wanted)}"


def _words(ran: Ran) -> list[str]:
    return TIMES.sub("", ran.printed).split()


def _says(ran: Ran) -> str:
    line = next((each.strip() for each in reversed(ran.printed.splitlines()) if each.strip()), "")
    return f"current says {shortened(line)}" if line else "current says nothing"


def _failed(ran: Ran) -> str:
    return f"current {said(ran)}"
