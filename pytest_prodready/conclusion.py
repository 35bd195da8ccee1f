"""The end of a rule's test: record the finding, then pass, fail or skip by its verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.records import as_data
from pytest_prodready.stopwatch import KINDS, Lap
from pytest_prodready.target import Target
from pytest_prodready.verdicts import Outcome, outcome, waived

CONCLUDED = pytest.StashKey[Finding]()
STARTED = pytest.StashKey[Lap]()
PROPERTY = "prodready"


def conclusion(item: pytest.Item, target: Target, finding: Finding) -> None:
    """Record a finding with its test and end the test by the finding's verdict."""
    finding = waived(finding, target.settings.waivers, date.today())
    finding = replace(finding, summary=target.redacted(finding.summary))
    item.stash[CONCLUDED] = finding
    item.user_properties.append((PROPERTY, json.dumps(payload(item, target, finding))))
    result = outcome(finding, target.options)
    if result is Outcome.PASS:
        return
    text = finding.summary if finding.verdict is not Verdict.WAIVED else finding.waived_by
    if result is Outcome.SKIP:
        pytest.skip(text)
    target.failed = True
    pytest.fail(f"{finding.rule.id} {finding.verdict}: {text}", pytrace=False)


def payload(item: pytest.Item, target: Target, finding: Finding) -> dict[str, Any]:
    """The finding as it travels to the reports: JSON-safe, without secrets."""
    rule = finding.rule
    lap = item.stash.get(STARTED, None) or Lap()
    return {
        "rule": rule.id,
        "claim": rule.claim,
        "verdict": str(finding.verdict),
        "level": str(rule.level),
        "checklist": rule.checklist,
        "summary": finding.summary,
        "limit": finding.limit,
        "limits": as_data(dict(finding.limits)),
        "limit_keys": rule.limits,
        "why": rule.why,
        "change": "" if finding.verdict is Verdict.PASSED else finding.remedy,
        "evidence": _redacted(target, as_data(dict(finding.evidence))),
        "missing": [str(each) for each in finding.missing],
        "waived_by": finding.waived_by,
        "fails": outcome(finding, target.options) is Outcome.FAIL,
        "duration_s": round(lap.seconds, 3),
        "time": in_kinds(lap),
        "reproduce": reproduce(item, target, rule.id),
        "nodeid": item.nodeid,
        "target": str(target.path),
        "name": target.name,
        "environment": facts(target),
    }


def reproduce(item: pytest.Item, target: Target, rule: str) -> str:
    """The command that runs this test of a rule again, from the rootdir."""
    return target.redacted(" ".join(["pytest", *target.options.as_arguments(rule), f'"{item.nodeid}"']))


def facts(target: Target) -> dict[str, Any]:
    """Backend and versions, as far as they are known by now."""
    return {
        "backend": target.choice.backend,
        "why": target.choice.reason,
        "versions": dict(target.versions()),
    }


def in_kinds(lap: Lap) -> dict[str, float]:
    """The seconds of a lap by kind, as JSON."""
    by_kind = lap.by_kind()
    return {f"{kind}_s": round(by_kind.get(kind, 0.0), 3) for kind in KINDS}


def _redacted(target: Target, evidence: Any) -> Any:
    return json.loads(target.redacted(json.dumps(evidence)))
