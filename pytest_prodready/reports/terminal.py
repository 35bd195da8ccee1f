"""What the user reads on the terminal: header, table of rules, details of what isn't passed, verdict."""

from __future__ import annotations

import os
import platform
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_prodready.findings import Capability
from pytest_prodready.reports.collect import Payload, TargetReport
from pytest_prodready.reports.json_report import folder_of
from pytest_prodready.target import Target
from pytest_prodready.verdicts import MISSING_LINES

MARKS = {"passed": "✓", "failed": "✗", "inconclusive": "?", "unverified": "?", "waived": "~"}
COLOURS: dict[str, dict[str, bool]] = {
    "passed": {"green": True},
    "failed": {"red": True},
    "inconclusive": {"yellow": True},
    "unverified": {"yellow": True},
    "waived": {"cyan": True},
}
WIDTH = 110
LABEL = 10


def header(target: Target) -> list[str]:
    """Which target, which backend and why; then every version that is known before the start."""
    choice = target.choice
    versions = [*target.preview(), f"Python {platform.python_version()}", f"{os.cpu_count()} CPUs"]
    return [
        f"prodready: {target.name} ({target.shown(target.path)}), backend {choice.backend}: {choice.reason}",
        f"prodready: {', '.join(versions)}",
    ]


def summary(terminal: Any, reports: Sequence[TargetReport], run: str, errors: Sequence[str]) -> None:
    """Print everything about each target, the verdict last."""
    for report in reports:
        terminal.section(f"readiness: {report.name}", sep="=", bold=True)
        _table(terminal, report)
        _details(terminal, report)
        _unverified(terminal, report)
        _verdict(terminal, report, run, errors)
    if errors and not reports:
        terminal.section("readiness", sep="=", bold=True)
    for text in errors:
        _error(terminal, text)


def _table(terminal: Any, report: TargetReport) -> None:
    for suite in report.suites:
        counts = report.counts(suite)
        shown = "   ".join(f"{counts[verdict]:>3} {verdict}" for verdict in MARKS if counts[verdict])
        terminal.write_line(f" {suite:<10}{shown}")
        for each in report.findings:
            if each["rule"].partition(".")[0] == suite:
                _row(terminal, each)
    terminal.write_line("")


def _row(terminal: Any, each: Payload) -> None:
    terminal.write(f"   {MARKS[each['verdict']]} ", **COLOURS[each["verdict"]])
    name = each["rule"].partition(".")[2]
    room = WIDTH - 45
    terminal.write_line(f"{name:<38} {textwrap.shorten(each['summary'], room, placeholder=' …')}")


def _details(terminal: Any, report: TargetReport) -> None:
    for each in report.findings:
        if each["verdict"] in ("failed", "inconclusive"):
            _detail(terminal, report, each)


def _detail(terminal: Any, report: TargetReport, each: Payload) -> None:
    title = f" {MARKS[each['verdict']]} {each['rule']}"
    right = f"{each['level']} · {each['checklist']}"
    gap = " " * max(2, WIDTH - len(title) - len(right))
    terminal.write_line(f"{title}{gap}{right}", **COLOURS[each["verdict"]])
    label = "unsure" if each["verdict"] == "inconclusive" else "seen"
    _line(terminal, label, each["summary"])
    _line(terminal, "limit", "    ".join(part for part in (each["limit"], each["limit_keys"]) if part))
    _line(terminal, "why", each["why"])
    _line(terminal, "change", each["change"])
    _line(terminal, "again", each["reproduce"])
    terminal.write_line("")


def _line(terminal: Any, label: str, text: str) -> None:
    if not text:
        return
    first, later = f"   {label:<{LABEL}}", " " * (LABEL + 3)
    wrap = label != "again"
    lines = textwrap.wrap(text, WIDTH - LABEL - 3, break_long_words=False) if wrap else [text]
    for number, line in enumerate(lines):
        terminal.write_line(f"{later if number else first}{line}")


def _unverified(terminal: Any, report: TargetReport) -> None:
    """Group what isn't configured by what is missing, with the lines to add."""
    groups: dict[tuple[str, ...], list[Payload]] = defaultdict(list)
    for each in report.findings:
        if each["verdict"] == "unverified":
            groups[tuple(each["missing"])].append(each)
    for missing, rules in sorted(groups.items(), key=lambda group: -len(group[1])):
        names = ", ".join(each["rule"] for each in rules)
        must = sum(each["level"] == "must" for each in rules)
        count = f"{len(rules)} rule{'s need' if len(rules) > 1 else ' needs'}"
        terminal.write_line(f" ? {count} {' and '.join(missing)} ({must} must). Add:", yellow=True)
        for name in missing:
            for line in MISSING_LINES[Capability(name)].splitlines():
                terminal.write_line(f"       {line}")
        for line in textwrap.wrap(f"for {names}", WIDTH - 7):
            terminal.write_line(f"     {line}")
        terminal.write_line("")


def _verdict(terminal: Any, report: TargetReport, run: str, errors: Sequence[str]) -> None:
    counts = report.counts()
    total = sum(counts.values())
    ready = report.ready and not errors
    parts = [f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict]]
    path = folder_of(report, run) / "report.json"
    terminal.write_line(
        f" {'READY' if ready else 'NOT READY'}: {total} rule{'s' * (total != 1)}: {', '.join(parts)}. "
        f"{report.duration_s:.0f} s. report: {_shown(path)}",
        bold=True,
        green=ready,
        red=not ready,
    )


def _error(terminal: Any, text: str) -> None:
    for number, line in enumerate(text.splitlines()):
        terminal.write_line(f"prodready: {line}" if number == 0 else line, red=True)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
