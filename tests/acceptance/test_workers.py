"""Several workers of one session: a measurement is made by one of them, and read back by the others."""

from __future__ import annotations

from pathlib import Path

from tests.gate import GateRun, run_gate
from tests.targets import small_target

TESTS = """
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.fixtures.measured import measured

MADE, ASKED = Path("made.txt"), Path("asked.txt")
WORKER = os.environ["PYTEST_XDIST_WORKER"]

@dataclass(frozen=True)
class Seen:
    by: str
    numbers: tuple[int, ...]

def probe(environment: Environment) -> Seen:
    first = not MADE.exists()
    with MADE.open("a") as file:
        file.write(f"{WORKER}\\n")
    WHAT
    return Seen(WORKER, (1, 2))

seen = measured(probe)

@pytest.mark.readiness
@pytest.mark.parametrize("number", range(6))
def test_it(number, seen):
    with ASKED.open("a") as file:
        file.write(f"{WORKER} {seen.by} {seen.numbers}\\n")
"""


def run_in_two(folder: Path, what: str) -> tuple[GateRun, list[str], list[str]]:
    """Six tests of one measurement in two workers: the run, who has made it, and what each test has got."""
    small_target(folder)
    (folder / "test_own.py").write_text(TESTS.replace("WHAT", what))
    run = run_gate(folder, "-m", "readiness", "-n", "2", "test_own.py")
    asked = folder / "asked.txt"
    made = (folder / "made.txt").read_text().splitlines()
    return run, made, asked.read_text().splitlines() if asked.exists() else []


def test_a_measurement_is_made_once(tmp_path: Path) -> None:
    """Both workers ask for it, one makes it, and both have the same."""
    run, made, asked = run_in_two(tmp_path, "pass")
    assert run.code == 0, run.output
    assert len(made) == 1, made
    assert {line.partition(" ")[2] for line in asked} == {f"{made[0]} (1, 2)"}
    assert {line.split()[0] for line in asked} == {"gw0", "gw1"}


def test_nothing_is_ready_where_something_is_not_collected(tmp_path: Path) -> None:
    """Workers go on without a file that can't be imported; what it would have checked is missing."""
    small_target(tmp_path)
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name\n")
    run = run_gate(tmp_path, "-m", "readiness", "-n", "2", "-k", "test_liveness_answers", ".")
    assert run.verdicts == {"health.liveness-answers": "passed"}
    assert (run.code, run.report["verdict"]) == (4, "not-ready"), run.output
    told = "test_broken.py can't be collected: ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert run.report["errors"] == [told]


def test_what_has_failed_is_not_tried_again(tmp_path: Path) -> None:
    """A measurement that ends in an error does so for every worker, with the same words."""
    run, made, asked = run_in_two(tmp_path, 'raise ValueError(f"no luck in {WORKER}")')
    assert (len(made), asked) == (1, []), run.output
    assert run.output.count(f"the measurement failed: ValueError: no luck in {made[0]}") >= 6, run.output


def test_another_worker_measures_where_one_has_died(tmp_path: Path) -> None:
    """A worker that is killed in the middle of it leaves the measurement to the next."""
    run, made, asked = run_in_two(tmp_path, "first and os.kill(os.getpid(), 9)")
    assert len(made) == 2, run.output
    assert len(asked) == 5, run.output
    assert {line.split()[1] for line in asked} == {made[1]}
