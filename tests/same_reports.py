"""Whether two runs of the gate on one state say the same; only their environments may differ.

python -m tests.same_reports .prodready/runs/ONE .prodready/runs/OTHER

Where some rules of a run were tried again, their run comes after the first one: ONE,AGAIN.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# Toxiproxy acknowledges what it receives; only the built-in fault proxy can lose packets.
BEYOND_TOXIPROXY = {"failover.dead-peer-is-noticed"}


def read(runs: str) -> dict[str, Any]:
    """The report of a run, and of those that tried some of its rules again."""
    first, *again = (json.loads((Path(run) / "report.json").read_text()) for run in runs.split(","))
    for later in again:
        tried = {each["rule"]: each for each in later["findings"]}
        first["findings"] = [tried.get(each["rule"], each) for each in first["findings"]]
        first["verdict"] = later["verdict"]
    found: dict[str, Any] = first
    return found


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """What two reports of one state must have in common: everything but environment, times and figures."""
    findings = {
        each["rule"]: {
            **{key: each[key] for key in ("verdict", "level", "checklist", "limits", "limit", "missing")},
            "keys": sorted(each),
        }
        for each in report["findings"]
        if each["rule"] not in BEYOND_TOXIPROXY
    }
    common = {key: report[key] for key in ("schema", "verdict", "target", "errors")}
    return {**common, "keys": sorted(report), "findings": findings}


def differences(one: dict[str, Any], other: dict[str, Any], path: str = "") -> list[str]:
    """Every place where they differ."""
    if one == other:
        return []
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [f"{path}: {one!r} and {other!r}"]
    return [
        difference
        for key in sorted(one.keys() | other.keys())
        for difference in differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))  # type: ignore[arg-type]
    ]


def without_open_advice(one: dict[str, Any], other: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without the advice that a busy machine left open in one of them: nothing tries that again."""
    left_open = {
        rule
        for report in (one, other)
        for rule, each in report["findings"].items()
        if (each["level"], each["verdict"]) == ("info", "inconclusive") and _passed_in_one(rule, one, other)
    }

    def known(report: dict[str, Any]) -> dict[str, Any]:
        findings = {rule: each for rule, each in report["findings"].items() if rule not in left_open}
        return {**report, "findings": findings}

    return known(one), known(other)


def _passed_in_one(rule: str, *reports: dict[str, Any]) -> bool:
    return any(report["findings"].get(rule, {}).get("verdict") == "passed" for report in reports)


def main() -> None:
    """Compare two runs; ends with status 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs=2)
    one, other = map(read, parser.parse_args().runs)
    found = differences(*without_open_advice(lasting(one), lasting(other)))
    backends = [report["environment"]["backend"] for report in (one, other)]
    print(f"{' and '.join(backends)}: {len(one['findings'])} findings, {len(found)} differences")
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
