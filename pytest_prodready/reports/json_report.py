"""report.json: the verdict for machines. Its shape is described by report.schema.json beside this file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_prodready.records import Record
from pytest_prodready.reports.collect import Payload, TargetReport

SCHEMA = "prodready-report/1"
_KEPT = (
    "rule",
    "verdict",
    "level",
    "checklist",
    "summary",
    "evidence",
    "limits",
    "duration_s",
    "time",
    "reproduce",
    "nodeid",
    "limit",
    "change",
    "missing",
    "waived_by",
)


def schema() -> dict[str, Any]:
    """The JSON Schema of report.json."""
    text = (files("pytest_prodready.reports") / "report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def folder_of(report: TargetReport, run: str) -> Path:
    """The folder of this run beside the target's file."""
    return report.path.parent / ".prodready" / "runs" / run


def write(report: TargetReport, run: str, errors: Sequence[str]) -> Path:
    """Write report.json into the run's folder; returns its path."""
    record = Record(folder_of(report, run))
    return record.write_text("report.json", json.dumps(document(report, errors), indent=1) + "\n")


def document(report: TargetReport, errors: Sequence[str]) -> dict[str, Any]:
    """The report as JSON-safe data."""
    return {
        "schema": SCHEMA,
        "verdict": "ready" if report.ready and not errors else "not-ready",
        "target": report.name,
        "environment": _environment(report.environment),
        "started": report.started.isoformat(),
        "duration_s": report.duration_s,
        "time": report.time.as_json(),
        "errors": list(errors),
        "findings": [_finding(each) for each in report.findings],
    }


def _finding(payload: Payload) -> dict[str, Any]:
    return {name: payload[name] for name in _KEPT}


def _environment(facts: Mapping[str, Any]) -> dict[str, Any]:
    versions = facts["versions"]
    servers = {
        name: {"version": versions[name]} if name in versions else None
        for name in ("postgres", "redis", "faultproxy", "engine")
    }
    return {
        "backend": facts["backend"],
        "why": facts["why"],
        **servers,
        "python": platform.python_version(),
        "cpus": os.cpu_count() or 1,
    }
