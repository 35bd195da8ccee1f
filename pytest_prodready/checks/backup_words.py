"""What the checks of the backup suite have in common: whether there is anything to judge, and words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_prodready.checks.explain_index_words import counted, listed, megabytes
from pytest_prodready.findings import Finding, Rule
from pytest_prodready.probes.backup_facts import BackupRun, Step
from pytest_prodready.probes.schema import SchemaDifference

MUCH = 1024 * 1024  # bytes printed
LONGEST = 200  # of a line that a program printed
NOTHING = "the database is empty, so that nothing can be lost; were its migrations run?"
NO_ROW = "no table has any row, so nothing can be compared"


def not_compared(rule: Rule, seen: BackupRun, limit: str) -> Finding | None:
    """The finding where there is no restored database to look at."""
    return None if seen.compared is not None else rule.inconclusive(seen.why_not, limit=limit)


def passed(rule: Rule, seen: BackupRun, summary: str, **details: Any) -> Finding:
    """The rule holds, unless there was nothing that it could hold for."""
    return rule.inconclusive(NOTHING, **details) if seen.source.empty else rule.passed(summary, **details)


def ended(step: Step, within_s: float) -> str:
    """How a step that failed ended, with what it said last."""
    if step.status is None:
        much = f" and printed {megabytes(step.printed_bytes)}" if step.printed_bytes > MUCH else ""
        return f"{step.name} did not end within {within_s:g} s{much}{said(step)}"
    how = f"status {step.status}" if step.status >= 0 else f"signal {-step.status}"
    return f"{step.name} ended with {how}{said(step)}"


def said(step: Step) -> str:
    """The first error that a step printed, else its last line."""
    lines = step.errors or tuple(line for line in step.printed.splitlines() if line.strip())[-1:]
    return f": {shortened(lines[0])}" if lines else ", and printed nothing"


def shortened(line: str) -> str:
    """A line that isn't too long for a summary."""
    line = line.strip()
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def told(differences: Iterable[SchemaDifference]) -> str:
    """Differences of catalogues, the first few by name."""
    return listed([_one(each) for each in differences])


def things(number: int, noun: str, none: str) -> str:
    """A number with its noun, or that there is none."""
    return counted(number, noun) if number else none


def _one(each: SchemaDifference) -> str:
    if each.kind == "password":
        return f"{each.how}: password of {each.name}"
    values = f" ({shortened(each.before)}, now {shortened(each.after)})" if each.how == "changed" else ""
    return f"{each}{values}"
