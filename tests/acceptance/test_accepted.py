"""A statement that has to be as it is: accepted for one rule, told in its summary, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.gate import GateRun, node_ids, run_gate
from tests.specimens import all_specimens

RULE = "explain.no-spill"
SPECIMEN = next(each for each in all_specimens() if each.name == "explain-sort-goes-to-disk")
STATEMENT = "SELECT id, description FROM jobs ORDER BY description"


def gate(folder: Path, statement: str, *arguments: str) -> GateRun:
    """The gate on the specimen whose statement goes to disk, with an entry for this one."""
    entry = {"rule": RULE, "statement": statement, "reason": "the monthly report"}
    specimen = replace(SPECIMEN, settings={**SPECIMEN.settings, "explain.accepted": [entry]})
    specimen.build(folder)
    return run_gate(folder, *arguments, node_ids()[RULE])


def test_a_statement_is_accepted(tmp_path: Path) -> None:
    """The rule passes but for it; an entry that fits no statement, or several, accepts nothing."""
    run = gate(tmp_path, STATEMENT)
    finding = run.finding(RULE)
    assert (run.code, finding["verdict"]) == (0, "passed"), run.output
    assert f"but for 1 accepted: {STATEMENT} (the monthly report)" in finding["summary"]
    recorded = next((tmp_path / ".prodready" / "runs").iterdir())
    for other, says in {
        "FROM applicants": '"FROM applicants" fits no statement',
        "FROM jobs": "accepts none: give more of its text",
    }.items():
        again = gate(tmp_path, other, f"--prodready-judge={recorded}")
        finding = again.finding(RULE)
        assert (again.code, finding["verdict"]) == (1, "failed"), again.output
        assert says in finding["summary"]
