"""What a run's folder tells the next run."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_prodready.records import Record


def test_how_long_each_rule_took(tmp_path: Path) -> None:
    """The newest run that knows a rule counts, without what one worker waited for another."""
    for run, seconds, queued in (("1", 9.0, 0.0), ("2", 8.0, 5.0)):
        (tmp_path / run).mkdir()
        finding = {"nodeid": "a", "duration_s": seconds, "time": {"queued_s": queued}}
        (tmp_path / run / "report.json").write_text(json.dumps({"findings": [finding]}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{")
    assert Record(tmp_path / "3").durations_before() == {"a": 3.0}
