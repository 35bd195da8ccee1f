"""A run of the load as a user keeps it, and holds later ones against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.gate import GateRun, node_ids, run_gate
from tests.specimens import Specimen

FILE = "prodready.load.json"
SAVE, COMPARE = f"--prodready-load-save={FILE}", f"--prodready-load-compare={FILE}"
RULE, CHECKED = "load.no-slower-than-before", "load.stays-up"
QUICK = {f"load.{name}_s": 1 for name in ("self_test", "warm_up", "step", "again")} | {
    "load.usual_s": 2,
    "load.peak_s": 2,
    "load.multiplier": 2,
    "load.steps": [],
}


def loaded(folder: Path, *arguments: str) -> GateRun:
    """Load the example for some seconds, or judge again how it was loaded."""
    return run_gate(folder, *arguments, node_ids()[RULE])


def test_a_run_is_kept_and_held_against(tmp_path: Path) -> None:
    """What a run took is written down; itself is no slower than that, and another load is refused at once."""
    Specimen(name="x", breaks="", says="", settings=QUICK).build(tmp_path)
    first = loaded(tmp_path, SAVE).finding(RULE)
    busy = "this run is not kept: " in first["summary"]  # nothing may be held against a busy machine's
    assert (first["verdict"], (tmp_path / FILE).exists()) in (("unverified", True), ("inconclusive", False))
    assert busy or f"this run is kept in {FILE}" in first["summary"]

    (recorded,) = (tmp_path / ".prodready" / "runs").iterdir()
    _without_others(recorded)
    judge = f"--prodready-judge={recorded}"
    saved = loaded(tmp_path, judge, SAVE, node_ids()[CHECKED])  # a run that checks nothing is no success
    assert (saved.code, saved.verdicts[RULE]) == (0, "unverified"), saved.output
    written: dict[str, Any] = json.loads((tmp_path / FILE).read_text())
    assert [each["stage"] for each in written["stages"]] == ["self-test", "warm-up", "1x", "2x", "1x again"]

    same = loaded(tmp_path, judge, COMPARE)
    assert same.verdicts[RULE] == "passed", same.output
    assert "1.0 times the " in same.finding(RULE)["summary"]
    assert COMPARE in same.finding(RULE)["reproduce"]
    assert loaded(tmp_path, judge, f"--prodready-load-compare={recorded}").verdicts[RULE] == "passed"

    for stage in written["stages"][2:]:
        stage |= {name: [ms / 20 for ms in stage[name]] for name in ("p50_ms", "p95_ms", "p99_ms")}
    (tmp_path / FILE).write_text(json.dumps(written))
    slower = loaded(tmp_path, judge, COMPARE, "--prodready-set=load.slower_ms=0")
    assert slower.verdicts[RULE] == "failed", slower.output
    assert "20.0 times the " in slower.finding(RULE)["summary"]

    other = loaded(tmp_path, COMPARE, "--prodready-set=load.peak_s=3")
    assert other.code == 4, other.output
    assert "stage 2x is 120 at 40/s, not 80 at 40/s" in other.output
    assert "Traceback" not in other.output


def _without_others(recorded: Path) -> None:
    """Leave out of a record what others did on this machine meanwhile."""
    path = recorded / "measurements" / "load.json"
    seen = json.loads(path.read_text())
    seconds = [{**each, "others": 0.0} for each in seen["seconds"]]
    path.write_text(json.dumps({**seen, "generator": {}, "seconds": seconds}))
