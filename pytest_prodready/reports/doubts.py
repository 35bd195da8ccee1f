"""Why a run is no verdict, whatever its findings say: rules left untried, nothing checked, other failures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pytest_prodready.printable import shown
from pytest_prodready.reports.collect import TargetReport

NAMED = 3
NEVER = "the run ended before, or a mark or a hook other than [bypass] skipped"
Chosen = Mapping[Path, Collection[str]]  # node ids of the rules to try, by target


def doubts(
    reports: Sequence[TargetReport], chosen: Chosen, failures: Sequence[str], *, interrupted: bool
) -> list[str]:
    """What each kind of doubt says, in a line; empty for a run that tried all that it was to try."""
    found = {report.path: report for report in reports}
    untried = [text for path, ids in chosen.items() if (text := _untried(path, ids, found.get(path)))]
    unchecked = [text for report in reports if (text := _unchecked(report))]
    ended = ["the run was interrupted"] if interrupted else []
    return [*ended, *untried, *unchecked, *_shortened(failures)]


def _untried(path: Path, ids: Collection[str], report: TargetReport | None) -> str:
    tried = {each["nodeid"] for each in report.findings} if report is not None else set()
    left = sorted(set(ids) - tried)
    if not left:
        return ""
    if not tried:
        return f"none of the {len(ids)} rules of {shown(path)} was tried"
    were, them = ("was", "it") if len(left) == 1 else ("were", "them")
    return f"{len(left)} of {len(ids)} rules of {shown(path)} {were} not tried: {NEVER} {them}"


def _unchecked(report: TargetReport) -> str:
    """A rule that somebody waives by its name is their word; one that is left open is nobody's."""
    verdicts = report.counts()
    if not report.ready or report.checked or set(verdicts) == {"waived"}:
        return ""
    return f"nothing was checked: {' and '.join(f'{n} {verdict}' for verdict, n in verdicts.items())}"


def _shortened(failures: Sequence[str]) -> list[str]:
    more = len(failures) - NAMED
    return [*failures[:NAMED], *([f"and {more} more that failed"] if more > 0 else [])]
