"""What the checks of a migration under traffic have in common: which steps they judge, doubts, and words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.migration_traffic import Run, Step, Traffic

NAMED = 3
LONGEST = 80  # of a statement in a line
MODES: Mapping[str, str] = {
    "ShareLock": "SHARE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}


@dataclass
class Judgement:
    """What was found in the steps, one after the other."""

    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # of what is well
    changes: list[str] = field(default_factory=list)

    def conclude(self, rule: Rule, traffic: Traffic, well: str, details: Mapping[str, Any]) -> Finding:
        """The finding: a problem outweighs a doubt, and a doubt what is well."""
        if traffic.doubt:
            return rule.inconclusive(traffic.doubt, **details)
        if self.problems:
            change = "; ".join(dict.fromkeys(self.changes))
            return rule.failed(listed(self.problems), change=change, **details)
        doubts = [*self.doubts, *(f"{each.revision}: {each.doubt}" for each in traffic.steps if each.doubt)]
        if not traffic.steps:
            return rule.inconclusive("no step of a migration was run", **details)
        if doubts:
            return rule.inconclusive(listed(doubts), **details)
        return rule.passed(f"{_counted(traffic)}: {listed(self.notes) or well}", **details)


def tried(traffic: Traffic) -> tuple[tuple[Step, Run], ...]:
    """The steps that were run beside traffic, each with that run."""
    return tuple((step, step.busy) for step in traffic.steps if step.busy is not None)


def failed_itself(run: Run) -> str:
    """How the step ended, where it didn't end well; empty else."""
    if run.ran:
        return run.doubt
    how = "was still running" if run.status is None else f"ended with status {run.status}"
    said = next((line for line in reversed(run.printed.splitlines()) if line.strip()), "")
    return f"it {how} on tables with rows" + (f": {said.strip()[:200]}" if said else "")


def not_watched(run: Run) -> str:
    """Why a wait may have been missed."""
    return f"the locks were not looked at for {run.gap_ms:,.0f} ms: the machine is too busy"


def listed(texts: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(texts) - NAMED
    return "; ".join(texts[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def shortened(statement: str) -> str:
    """A statement in a line."""
    line = re.sub(r"\s+", " ", statement).strip().rstrip(";")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def mode_words(mode: str) -> str:
    """A lock's mode as SQL has it."""
    return MODES.get(mode, mode)


def _counted(traffic: Traffic) -> str:
    """How many steps were looked at, and how many of them meet rows."""
    number, with_rows = len(traffic.steps), len(tried(traffic))
    steps = f"{number} step{'' if number == 1 else 's'}"
    if not with_rows:
        return f"{steps}, none of which touches a table that has rows"
    older = f" ({traffic.left_out} older ones left out)" if traffic.left_out else ""
    return f"{steps}{older}, {with_rows} on tables with rows"
