"""Each defect fails its own rule, by name; rules of another concern still pass on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.catalogue import RULES
from tests.gate import node_ids, run_gate
from tests.proof import write_down
from tests.specimens import Specimen, all_specimens

SPECIMENS = all_specimens()
# Rules that can't tell the service's limits from those of a busy machine.
ALONE = frozenset(
    f"load.{rule}"
    for rule in (
        "requests-succeed",
        "responses-in-time",
        "rate-is-reached",
        "goodput-holds",
        "recovers",
        "pool-has-room",
        "no-slower-than-before",
        "has-headroom",
    )
)


def _tried(specimen: Specimen) -> Any:
    marks = [pytest.mark.alone] if specimen.breaks in ALONE else []
    return pytest.param(specimen, marks=marks, id=specimen.name)


@pytest.mark.parametrize("specimen", [_tried(specimen) for specimen in SPECIMENS])
def test_defect_fails_its_rule(specimen: Specimen, tmp_path: Path) -> None:
    """The gate names the defect's rule, says what is wrong, and passes what isn't."""
    specimen.build(tmp_path)
    ids = node_ids()
    rules = (ids[rule] for rule in (specimen.breaks, *specimen.still_passes))
    run = run_gate(tmp_path, *specimen.options, *rules)
    finding = run.finding(specimen.breaks)
    assert finding["verdict"] == "failed", f"{finding['summary']}\n{run.output}"
    assert specimen.says in finding["summary"], finding["summary"]
    assert specimen.changes in finding["change"], finding["change"]
    assert {rule: run.verdicts[rule] for rule in specimen.still_passes} == dict.fromkeys(
        specimen.still_passes, "passed"
    ), run.output
    informs = RULES[specimen.breaks].level == "info"
    assert run.code == (0 if informs else 1), run.output
    write_down(specimen, run)


def test_every_rule_has_a_specimen() -> None:
    """No rule is taken on trust: each has at least one defect that breaks it."""
    assert set(RULES) == {specimen.breaks for specimen in SPECIMENS}


def test_specimens_have_names_of_their_own() -> None:
    """A name stands for one specimen."""
    names = [specimen.name for specimen in SPECIMENS]
    assert len(names) == len(set(names))
