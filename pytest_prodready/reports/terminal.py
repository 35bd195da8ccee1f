"""What the user reads on the terminal: header, table of rules, details of what isn't passed, verdict."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.conclusion import PROPERTY
from pytest_prodready.findings import Capability
from pytest_prodready.reports.collect import Payload, TargetReport, told
from pytest_prodready.reports.json_report import folder_of
from pytest_prodready.target import Target
from pytest_prodready.verdicts import lines_to_add

MARKS = {"passed": "✓", "failed": "✗", "advice": "i", "inconclusive": "?", "unverified": "?", "waived": "~"}
COLOURS: dict[str, dict[str, bool]] = {
    "passed": {"green": True},
    "failed": {"red": True},
    "advice": {"cyan": True},
    "inconclusive": {"yellow": True},
    "unverified": {"yellow": True},
    "waived": {"cyan": True},
}
OF_A_DATABASE = {
    Capability.ADMIN,
    Capability.FAULT_PROXY,
    Capability.DESTRUCTIVE,
    Capability.SERVER_HBA,
    Capability.SERVER_SETTINGS,
}
OF_A_REDIS = {
    Capability.FAULT_PROXY,
    Capability.REDIS_OPTIONAL,
    Capability.REDIS_DISPENSABLE,
    Capability.REDIS_TLS,
    Capability.DESTRUCTIVE,
}
WIDTH = 110
LABEL = 10
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
        f"prodready: {target.name} ({target.shown(target.path)}), backend {choice.backend}: {choice.reason}",
        f"prodready: {', '.join(versions)}",
    ]


def summary(terminal: Any, reports: Sequence[TargetReport], run: str, errors: Sequence[str]) -> None:
    """Print everything about each target, the verdict last."""
    for report in reports:
        terminal.section(f"readiness: {report.name}", sep="=", bold=True)
        _table(terminal, report)
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
    for each in report.findings:
        if each["verdict"] in ("failed", "inconclusive"):
            _detail(terminal, each, folder_of(report, run))


def _detail(terminal: Any, each: Payload, folder: Path) -> None:
    title = f" {MARKS[told(each)]} {each['rule']}"
    right = f"{each['level']} · {each['checklist']}"
    gap = " " * max(2, WIDTH - len(title) - len(right))
    terminal.write_line(f"{title}{gap}{right}", **COLOURS[told(each)])
    label = "unsure" if each["verdict"] == "inconclusive" else "seen"
    _line(terminal, label, each["summary"])
    _line(terminal, "limit", "    ".join(part for part in (each["limit"], each["limit_keys"]) if part))
    _line(terminal, "why", each["why"])
    _line(terminal, "change", each["change"])
    for name in each["evidence"]:
        _line(terminal, "evidence", _shown(folder / "measurements" / f"{name}.json"))
    _line(terminal, "again", each["reproduce"])
    terminal.write_line("")


def _line(terminal: Any, label: str, text: str) -> None:
    if not text:
        return
    first, later = f"   {label:<{LABEL}}", " " * (LABEL + 3)
    wrap = label not in ("again", "evidence")
    lines = textwrap.wrap(text, WIDTH - LABEL - 3, break_long_words=False) if wrap else [text]
    for number, line in enumerate(lines):
        terminal.write_line(f"{later if number else first}{line}")


def _unverified(terminal: Any, report: TargetReport) -> None:
    """Say what is missing, the most wanted first, then all the lines to add."""
    wanted: dict[Capability, list[Payload]] = defaultdict(list)
    for each in report.findings:
        if each["verdict"] == "unverified":
            for capability in really_missing(each["missing"]):
                wanted[capability].append(each)
    if not wanted:
        return
    for capability, rules in sorted(wanted.items(), key=lambda pair: -len(pair[1])):
        must = sum(each["level"] == "must" for each in rules)
        count = f"{len(rules)} rules need" if len(rules) > 1 else "1 rule needs"
        terminal.write_line(f" ? {count} {capability} ({must} must)", yellow=True)
    terminal.write_line("   Add to prodready.toml, with the values of your service:")
    for line in lines_to_add(wanted):
        terminal.write_line(f"       {line}".rstrip())
    terminal.write_line("")


def really_missing(names: Sequence[str]) -> tuple[Capability, ...]:
    """What to add: without what only follows from something else that is missing too."""
    missing = {Capability(name) for name in names}
    if Capability.DATABASE in missing:
        missing -= OF_A_DATABASE
    if Capability.REDIS in missing:
        missing -= OF_A_REDIS
    return tuple(sorted(missing))


def _verdict(terminal: Any, report: TargetReport, run: str, errors: Sequence[str]) -> None:
    counts = report.counts()
    total = sum(counts.values())
    ready = report.ready and not errors
    parts = [f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict]]
    folder = folder_of(report, run)
    terminal.write_line(f" {report.time.line}")
    terminal.write_line(
        f" {'READY' if ready else 'NOT READY'}: {total} rule{'s' * (total != 1)}: {', '.join(parts)}. "
        f"{report.duration_s:.0f} s. report: {_shown(folder / 'report.json')}",
        bold=True,
        green=ready,
        red=not ready,
    )


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
