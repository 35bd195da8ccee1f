"""The load suite by a user's own locustfile: on the healthy example, and on one with a defect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.gate import GateRun, node_ids, run_gate
from tests.specimens import Specimen, all_specimens
from tests.specimens.load import SHORT

HEALTHY = Specimen(name="load-by-a-locustfile", breaks="", says="", settings=SHORT)
DEFECT = next(each for each in all_specimens() if each.name == "load-fails-now-and-then")
FIRM = ("stays-up", "requests-succeed", "connections-are-given-back", "memory-is-bounded")
TIMED = ("responses-in-time", "rate-is-reached", "goodput-holds", "recovers", "pool-has-room", "has-headroom")
UNKNOWN = ("no-write-lost", "answers-are-right", "no-hidden-errors")


def gate(specimen: Specimen, folder: Path, *rules: str) -> GateRun:
    """The load suite on this specimen, by its locustfile."""
    specimen.build(folder)
    ids = node_ids()
    return run_gate(folder, "--prodready-profile=users", *(ids[f"load.{rule}"] for rule in rules))


@pytest.mark.alone
def test_healthy_example_passes(tmp_path: Path) -> None:
    """What a closed model can tell is passed, or open on a busy machine; the rest is unverified."""
    run = gate(HEALTHY, tmp_path, *FIRM, *TIMED, *UNKNOWN)
    verdicts = {rule.removeprefix("load."): verdict for rule, verdict in run.verdicts.items()}
    open_ = {"inconclusive"} if "the climb was ended" in run.output else set()  # by a busy machine
    assert {verdicts[rule] for rule in FIRM} <= {"passed", *open_}, run.output
    assert {verdicts[rule] for rule in TIMED} <= {"passed", "inconclusive"}, run.output
    assert {verdicts[rule] for rule in UNKNOWN} == {"unverified"}, run.output
    assert "closed model: your locustfile" in run.finding("load.requests-succeed")["summary"]
    page = next((tmp_path / ".prodready" / "runs").glob("*/report.html")).read_text()
    assert "closed model: your locustfile (locustfile.py)" in page
    assert "since it was sent" in page


def test_defect_fails_its_rule(tmp_path: Path) -> None:
    """What is broken fails by a locustfile as by the declared requests."""
    run = gate(replace(DEFECT, settings=SHORT), tmp_path, "requests-succeed")
    finding = run.finding("load.requests-succeed")
    assert (run.code, finding["verdict"]) == (1, "failed"), run.output
    assert "x 500 (GET /jobs?region)" in finding["summary"]
