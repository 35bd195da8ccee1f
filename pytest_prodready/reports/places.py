"""Where a run's reports and evidence lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_prodready.reports.collect import Payload, TargetReport
from pytest_prodready.reports.pictures import pictures

JSON, HTML, MARKDOWN = "report.json", "report.html", "report.md"


def folder_of(report: TargetReport, run: str) -> Path:
    """The folder of this run beside the target's file."""
    return report.path.parent / ".prodready" / "runs" / run


def measurement(name: str) -> str:
    """Where a measurement lies in the run's folder."""
    return f"measurements/{name}.json"


def picture(name: str) -> str:
    """Where the timeline of a measurement lies in the run's folder: beside it."""
    return f"measurements/{name}.svg"


def evidence(each: Payload, folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that show what was seen for a finding, with a label."""
    for name in each["evidence"]:
        yield "evidence", folder / measurement(name)
    for drawn in pictures(each["evidence"]):
        yield "timeline", folder / picture(drawn.name)
