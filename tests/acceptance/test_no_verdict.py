"""A run is called ready only when all that was chosen was tried, something checked, and all else passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate import GateRun, run_gate
from tests.targets import LIVENESS, READINESS, SMALL, small_target

BOTH = (LIVENESS, READINESS)
CTRL_C = """
def pytest_runtest_setup(item):
    if item.name == "test_readiness_answers":
        raise KeyboardInterrupt
"""
SKIPS = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "NAME" in item.name:
            item.add_marker(pytest.mark.skip)
"""
OWN = """
import pytest

@pytest.fixture
def made():
    yield
    assert AFTER

@pytest.mark.readiness
def test_own(made):
    assert DURING
"""


def not_ready(run: GateRun, code: int, *told: str) -> None:
    """Assert that terminal, report and exit code agree on it, and say why."""
    assert run.code == code, run.output
    assert run.report["verdict"] == "not-ready"
    assert "NOT READY: " in run.output
    assert " READY: " not in run.output.replace("NOT READY: ", "")
    for text in told:
        assert text in run.output
        assert any(text in error for error in run.report["errors"]), run.report["errors"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_interrupted(workers: tuple[str, ...], tmp_path: Path) -> None:
    """Rules that passed before Ctrl-C are not a service that is ready."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(CTRL_C)
    run = run_gate(tmp_path, *workers, *BOTH)
    not_ready(run, 2, "the run was interrupted")
    assert run.verdicts == {"health.liveness-answers": "passed"}


def test_what_is_left_is_counted(tmp_path: Path) -> None:
    """The report says how many rules it says nothing about."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(CTRL_C)
    not_ready(run_gate(tmp_path, *BOTH), 2, "1 of 2 rules of prodready.toml was not tried")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_skipped_by_a_conftest(workers: tuple[str, ...], tmp_path: Path) -> None:
    """A rule that something other than [bypass] skips is missed."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(SKIPS.replace("NAME", "readiness_answers"))
    run = run_gate(tmp_path, *workers, *BOTH)
    not_ready(run, 1, "1 of 2 rules of prodready.toml was not tried")


def test_all_skipped_by_a_conftest(tmp_path: Path) -> None:
    """Where no rule is left there is no report, and still no success."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(SKIPS.replace("NAME", "test"))
    run = run_gate(tmp_path, *BOTH)
    assert run.code == 1, run.output
    assert "none of the 2 rules of prodready.toml was tried" in run.output


def test_nothing_checked(tmp_path: Path) -> None:
    """Options that forgive what isn't known don't make a verdict of it."""
    small_target(tmp_path)
    run = run_gate(tmp_path, "-m", "pool", "--prodready-unverified=skip", "--prodready-inconclusive=skip")
    not_ready(run, 1, "nothing was checked: ")


def test_all_waived(tmp_path: Path) -> None:
    """Whoever bypasses a suite by its name, with a reason, has said so."""
    small_target(tmp_path, SMALL + '[bypass]\npool = "no database"\n')
    run = run_gate(tmp_path, "-m", "pool")
    assert (run.code, run.report["verdict"]) == (0, "ready"), run.output


@pytest.mark.parametrize(
    ("during", "after", "told"), [(False, True, "it failed"), (True, False, "could not be cleared up")]
)
def test_a_test_beside_fails(during: bool, after: bool, told: str, tmp_path: Path) -> None:
    """A test of the user's own that is marked readiness counts, although it is no rule."""
    small_target(tmp_path)
    text = OWN.replace("DURING", str(during)).replace("AFTER", str(after))
    (tmp_path / "test_own.py").write_text(text)
    not_ready(run_gate(tmp_path, "test_own.py", LIVENESS), 1, told, "test_own.py::test_own")


def test_stopped_at_the_first_failure(tmp_path: Path) -> None:
    """With -x the rules after the first that fails are missed, too."""
    small_target(tmp_path, SMALL.replace('"/live"', '"/500"'))
    not_ready(run_gate(tmp_path, "-x", *BOTH), 1, "1 of 2 rules of prodready.toml was not tried")


def test_what_is_only_shown(tmp_path: Path) -> None:
    """A list of what would be run misses nothing."""
    small_target(tmp_path)
    for option in ("--collect-only", "--setup-plan"):
        run = run_gate(tmp_path, option, LIVENESS)
        assert run.code == 0, run.output
        assert "tried" not in run.output


def test_an_unknown_error_at_the_start(tmp_path: Path) -> None:
    """What the gate itself did not expect is told in one message; the traceback lies in the run's folder."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(
        "from pytest_prodready.environment import environment\n"
        "def broken():\n"
        "    raise ZeroDivisionError('postgresql://app:hunter2@db/shop')\n"
        "environment.sweep = broken\n"
    )
    run = run_gate(tmp_path, *BOTH)
    assert run.code == 4, run.output
    assert "the environment could not be started" in run.output
    assert "ZeroDivisionError" in run.output
    assert "Traceback" not in run.output
    assert "hunter2" not in run.output
