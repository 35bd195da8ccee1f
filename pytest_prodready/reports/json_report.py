"""report.json: the verdict for machines. Its shape is described by report.schema.json beside this file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

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


def document(report: TargetReport, errors: Sequence[str]) -> dict[str, Any]:
    """The report as JSON-safe data."""
    return {
        "schema": SCHEMA,
        "verdict": "ready" if report.ready and not errors else "not-ready",
        "target": report.name,
        "environment": environment(report.environment),
        "started": report.started.isoformat(),
        "duration_s": report.duration_s,
        "time": report.time.as_json(),
        "errors": list(errors),
        "findings": [_finding(each) for each in report.findings],
    }


def _finding(payload: Payload) -> dict[str, Any]:
    return {name: payload[name] for name in _KEPT}


def environment(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Backend, versions and machine."""
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
