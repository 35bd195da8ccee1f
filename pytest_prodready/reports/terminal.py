"""What the user reads on the terminal: header, table of rules, details of what isn't passed, verdict."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections.abc import Sequence
from typing import Any

import pytest

from pytest_prodready.conclusion import PROPERTY
from pytest_prodready.printable import shown
from pytest_prodready.reports.collect import Payload, TargetReport, told
from pytest_prodready.reports.details import (
    ADD,
    MARKS,
    heading,
    lines,
    open_findings,
    unproven,
    verdict_line,
    wanted,
)
from pytest_prodready.reports.places import HTML, JSON, evidence, folder_of
from pytest_prodready.reports.trees import plan_trees, tree_lines, written
from pytest_prodready.target import Target

COLOURS: dict[str, dict[str, bool]] = {
    "passed": {"green": True},
    "failed": {"red": True},
    "advice": {"cyan": True},
    "inconclusive": {"yellow": True},
    "unverified": {"yellow": True},
    "waived": {"cyan": True},
}
WIDTH = 110
LABEL = 10
PLANS = 2  # shown of one finding
Word = tuple[str, str, tuple[str, dict[str, bool]]]


def verdict_word(report: pytest.TestReport) -> Word | None:
    """Category, letter and word of a rule's report, where they differ from pytest's own."""
    if report.when != "call":
        return None
    for name, value in report.user_properties:
        if name == PROPERTY:
            verdict = told(json.loads(str(value)))
            if verdict not in ("passed", "failed"):
                return verdict, MARKS[verdict], (verdict.upper(), COLOURS[verdict])
    return None


def header(target: Target) -> list[str]:
    """Which target, which backend and why; then every version that is known before the start."""
    choice = target.choice
    versions = [*target.preview(), f"Python {platform.python_version()}", f"{os.cpu_count()} CPUs"]
    return [
        f"prodready: {target.name} ({shown(target.path)}), backend {choice.backend}: {choice.reason}",
        f"prodready: {', '.join(versions)}",
    ]


def summary(terminal: Any, reports: Sequence[TargetReport], run: str, errors: Sequence[str]) -> None:
    """Print everything about each target, the verdict last."""
    for report in reports:
        terminal.section(f"readiness: {report.name}", sep="=", bold=True)
        _table(terminal, report)
        _written(terminal, report)
        _details(terminal, report, run)
        _unverified(terminal, report)
        _verdict(terminal, report, run, errors)
    if errors and not reports:
        terminal.section("readiness", sep="=", bold=True)
    for text in errors:
        terminal.write_line(f"prodready: {text}", red=True)


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
    terminal.write(f"   {MARKS[told(each)]} ", **COLOURS[told(each)])
    name = each["rule"].partition(".")[2]
    room = max(WIDTH, terminal._tw.fullwidth) - 45
    terminal.write_line(f"{name:<38} {textwrap.shorten(each['summary'], room, placeholder=' …')}")


def _details(terminal: Any, report: TargetReport, run: str) -> None:
    for each in open_findings(report):
        title, right = heading(each)
        gap = " " * max(2, WIDTH - len(title) - len(right) - 1)
        terminal.write_line(f" {title}{gap}{right}", **COLOURS[told(each)])
        places = [(label, shown(path)) for label, path in evidence(each, folder_of(report, run))]
        for label, text in lines(each, places):
            _line(terminal, label, text)
        _plans(terminal, each)
        terminal.write_line("")


def _plans(terminal: Any, each: Payload) -> None:
    """The first plans of a finding, before and after; report.html has all of them."""
    found = list(plan_trees(each["evidence"]))
    label = f"   {'plan':<{LABEL}}"
    for tree in found[:PLANS]:
        for line in tree_lines(tree):
            terminal.write_line(f"{label}{_cut(line)}".rstrip())
            label = " " * (LABEL + 3)
    if len(found) > PLANS:
        terminal.write_line(f"{label}{len(found) - PLANS} more in {HTML}")


def _cut(line: str) -> str:
    room = WIDTH - LABEL - 3
    return line if len(line) <= room else f"{line[: room - 2]} …"


def _written(terminal: Any, report: TargetReport) -> None:
    """What --prodready-explain=update has changed in the baseline file."""
    for each in report.findings:
        for number, line in enumerate(written(each["evidence"])):
            terminal.write_line(f" {'baseline' if number == 0 else '':<10}{_cut(line)}")


def _line(terminal: Any, label: str, text: str) -> None:
    first, later = f"   {label:<{LABEL}}", " " * (LABEL + 3)
    wrap = label not in ("again", "evidence", "timeline")
    told = textwrap.wrap(text, WIDTH - LABEL - 3, break_long_words=False) if wrap else [text]
    for number, line in enumerate(told):
        terminal.write_line(f"{later if number else first}{line}")


def _unverified(terminal: Any, report: TargetReport) -> None:
    """Say what is missing, the most wanted first, then all the lines to add; before it what else is."""
    others, missing = unproven(report), wanted(report)
    for text in others:
        told = textwrap.wrap(text, WIDTH - 3, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(told):
            terminal.write_line(f"{'   ' if number else ' ? '}{line}", yellow=True)
    if others:
        terminal.write_line("")
    if not missing.needs:
        return
    for need in missing.needs:
        terminal.write_line(f" ? {need}", yellow=True)
    terminal.write_line(f"   {ADD}")
    for line in missing.lines:
        terminal.write_line(f"       {line}".rstrip())
    terminal.write_line("")


def _verdict(terminal: Any, report: TargetReport, run: str, errors: Sequence[str]) -> None:
    ready = report.ready and not errors
    folder = folder_of(report, run)
    terminal.write_line(f" {report.time.line}")
    terminal.write_line(f" for machines: {shown(folder / JSON)}")
    terminal.write_line(
        f" {verdict_line(report, errors)} {report.duration_s:.0f} s. report: {shown(folder / HTML)}",
        bold=True,
        green=ready,
        red=not ready,
    )
