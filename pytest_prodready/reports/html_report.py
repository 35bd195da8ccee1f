"""report.html: the verdict for people, in one file that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.reports import details
from pytest_prodready.reports import html_parts as parts
from pytest_prodready.reports.collect import TargetReport
from pytest_prodready.reports.json_report import environment
from pytest_prodready.reports.styles import style

# Nothing is loaded and no script runs, whatever a service or a server has said.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: TargetReport, errors: Sequence[str]) -> str:
    """The whole page."""
    ready = report.ready and not errors
    title = f"{report.name}: {'ready' if ready else 'not ready'} for production"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"{parts.words('title', title)}<style>{style('timeline')}{style('report')}</style>"
    )
    verdict = f"{details.verdict_line(report, errors)} {report.duration_s:.0f} s."
    body = [
        parts.words("h1", title),
        parts.words("p", verdict, "verdict ready" if ready else "verdict"),
        *(parts.tag("pre", parts.words("code", text)) for text in errors),
        parts.about(environment(report.environment), report),
        parts.suite_counts(report),
        *_findings(report),
        parts.accepted(report),
        parts.words("h2", "Where the time went"),
        parts.time(report.time, report),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n'
        f"<body><main>{''.join(each + chr(10) for each in body if each)}</main></body></html>\n"
    )


def _findings(report: TargetReport) -> list[str]:
    """What isn't passed, at length; then every rule."""
    drawn = parts.Drawn()
    found = [parts.finding(each, drawn) for each in details.open_findings(report)]
    missing = parts.missing(report)
    head = [parts.words("h2", "Not passed")] if found or missing else []
    rules = [parts.suite(name, report, drawn) for name in report.suites]
    return [*head, *found, missing, parts.words("h2", "All rules"), *rules]
