"""The files of a report, in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pytest_prodready.records import Record
from pytest_prodready.reports import places
from pytest_prodready.reports.collect import TargetReport
from pytest_prodready.reports.html_report import html
from pytest_prodready.reports.json_report import document
from pytest_prodready.reports.markdown_report import markdown
from pytest_prodready.reports.pictures import pictures


def write(report: TargetReport, run: str, errors: Sequence[str]) -> None:
    """Write report.json, report.md, report.html, and the pictures of measurements beside them."""
    record = Record(places.folder_of(report, run))
    record.write_text(places.JSON, json.dumps(document(report, errors), indent=1) + "\n")
    record.write_text(places.MARKDOWN, markdown(report, errors))
    record.write_text(places.HTML, html(report, errors))
    found = {each.name: each for finding in report.findings for each in pictures(finding["evidence"])}
    for name, picture in found.items():
        record.write_text(places.picture(name), picture.draw(alone=True))
