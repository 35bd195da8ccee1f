"""The baseline of plans as a user has it: made, held, and broken by a migration that drops an index."""

from __future__ import annotations

import json
from pathlib import Path

from tests.gate import GateRun, node_ids, run_gate
from tests.specimens import Specimen

UPDATE = "--prodready-explain=update"
TITLE_INDEX = '    op.create_index("jobs_title_idx", "jobs", ["title"])\n'
FILE = "prodready.plans.json"
RULES = ("explain.plan-unchanged", "explain.buffers-within-budget")


def explained(folder: Path, *arguments: str) -> GateRun:
    """Hold the example to its baseline, or make it."""
    return run_gate(folder, *arguments, *(node_ids()[rule] for rule in RULES))


def test_a_lost_index_is_found(tmp_path: Path) -> None:
    """Without a file it is said how to make one; it holds until an index is lost or a person accepts it."""
    request = {"name": "search", "path": "/jobs?title={token}"}
    settings = {"requests": [request], "explain.rows": {"jobs": 20_000}, "explain.buffers": None}
    Specimen(name="x", breaks="", says="", settings=settings).build(tmp_path)
    none = explained(tmp_path)
    assert set(none.verdicts.values()) == {"unverified"}, none.output
    assert f"{UPDATE} makes one" in none.finding("explain.plan-unchanged")["summary"]

    made = explained(tmp_path, UPDATE)
    assert made.code == 0, made.output
    assert "baseline  added: " in made.output
    written = (tmp_path / FILE).read_text()
    plans = [plan for each in json.loads(written)["statements"] for plan in each["plans"]]
    lines = [line.strip() for plan in plans for line in plan["plan"]]
    assert "Index Scan using jobs_title_idx on jobs" in lines, written

    migration = tmp_path / "migrations" / "versions" / "0001_tables.py"
    migration.write_text(migration.read_text().replace(TITLE_INDEX, ""))
    lost = explained(tmp_path)
    assert lost.code == 1, lost.output
    assert set(lost.verdicts.values()) == {"failed"}, lost.output
    finding = lost.finding("explain.plan-unchanged")
    assert "jobs: Index Scan using jobs_title_idx → " in finding["summary"]
    assert finding["change"].startswith("CREATE INDEX CONCURRENTLY jobs_title_idx ON jobs (title)")
    (tree,) = finding["evidence"]["plans"]["trees"]
    assert any("jobs_title_idx" in line for line in tree["before"])
    assert "before" in lost.output
    assert "▸ " in lost.output
    assert (tmp_path / FILE).read_text() == written

    accepted = explained(tmp_path, UPDATE)
    assert accepted.code == 0, accepted.output
    assert "baseline  changed plan: " in accepted.output
    assert "jobs_title_idx" not in (tmp_path / FILE).read_text()
