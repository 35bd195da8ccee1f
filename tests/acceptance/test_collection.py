"""How the gate is found and chosen: by -m, by path, from anywhere, once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_prodready.catalogue import RULES
from tests.gate import run_gate
from tests.targets import LIVENESS, READINESS, SMALL, small_target

LIVE = ("-k", "test_liveness_answers")


def outcomes(output: str) -> dict[str, int]:
    """The numbers of pytest's last line."""
    last = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}


def listed(output: str) -> list[str]:
    """The node ids that --collect-only -q printed."""
    return [line for line in output.splitlines() if "::" in line]


def test_one_item_for_each_rule(tmp_path: Path) -> None:
    """`-m readiness` collects every rule once, in checklist order."""
    small_target(tmp_path)
    run = run_gate(tmp_path, "-m", "readiness", "--collect-only", "-q")
    assert len(listed(run.output)) == len(RULES)
    assert listed(run.output)[0].startswith("prodready.toml::ssl::")


def test_node_ids_run_again_as_printed(tmp_path: Path) -> None:
    """A printed node id runs just that rule, without -m."""
    small_target(tmp_path)
    run = run_gate(tmp_path, LIVENESS)
    assert run.code == 0, run.output
    assert run.verdicts == {"health.liveness-answers": "passed"}


def test_printed_command_reproduces(tmp_path: Path) -> None:
    """The command in the report runs the same rule again."""
    small_target(tmp_path)
    command = run_gate(tmp_path, LIVENESS).finding("health.liveness-answers")["reproduce"]
    assert command == f'pytest "{LIVENESS}"'


def test_from_a_subfolder(tmp_path: Path) -> None:
    """From a folder below, the nearest prodready.toml above is the target."""
    small_target(tmp_path)
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    assert "1 passed" in run_gate(below, "-m", "readiness", *LIVE).output


def test_with_testpaths_that_miss_it(tmp_path: Path) -> None:
    """Testpaths don't hide the rootdir's prodready.toml from -m readiness."""
    small_target(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    run = run_gate(tmp_path, "-m", "readiness", *LIVE)
    assert "1 passed" in run.output


def test_several_targets_in_one_session(tmp_path: Path) -> None:
    """Each service of a monorepo is judged on its own, with a report of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name in ("one", "two"):
        small_target(tmp_path / name, SMALL.replace('"small"', f'"{name}"'))
        (tmp_path / name / "pytest.ini").unlink()
    run = run_gate(tmp_path, "-m", "readiness", *LIVE)
    assert outcomes(run.output)["passed"] == 2
    assert "readiness: one" in run.output
    assert "readiness: two" in run.output
    assert (tmp_path / "one" / ".prodready").is_dir()
    assert (tmp_path / "two" / ".prodready").is_dir()


def test_by_path_from_elsewhere(tmp_path: Path) -> None:
    """A target given by path is found from any folder."""
    target = small_target(tmp_path / "service")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = run_gate(elsewhere, "-m", "readiness", *LIVE, str(target))
    assert "1 passed" in run.output


@pytest.mark.parametrize("arguments", [[], ["-m", "not readiness"], ["-m", "not slow"], ["."]])
def test_plain_runs_start_nothing(tmp_path: Path, arguments: list[str]) -> None:
    """A plain pytest, or one with another -m, neither collects nor starts the gate."""
    small_target(tmp_path)
    (tmp_path / "test_mine.py").write_text('def test_mine():\n    """Mine."""\n')
    run = run_gate(tmp_path, *arguments)
    assert outcomes(run.output) == {"passed": 1}
    assert not (tmp_path / ".prodready").exists()


def test_own_server_tests_wait_for_readiness(tmp_path: Path) -> None:
    """A user's test with our fixtures is skipped in a plain run, and part of the gate with -m readiness."""
    small_target(tmp_path)
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(prodready_service):\n"
        '    """The fixture gives the running service."""\n'
        '    assert prodready_service.base_url.startswith("http://127.0.0.1:")\n'
    )
    assert outcomes(run_gate(tmp_path).output) == {"skipped": 1}
    run = run_gate(tmp_path, "-m", "readiness", "-k", "test_mine")
    assert "1 passed" in run.output, run.output


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    """`-m readiness` without any target exits with 4 and shows the file to write."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = run_gate(tmp_path, "-m", "readiness")
    assert run.code == 4
    assert "there is nothing to check" in run.output
    assert 'name = "jobboard"' in run.output
    assert "Traceback" not in run.output


def test_nothing_to_check_is_an_error_under_xdist(tmp_path: Path) -> None:
    """The same with workers, where each sees only its own part."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = run_gate(tmp_path, "-m", "readiness", "-n", "2")
    assert run.code == 4, run.output
    assert "there is nothing to check" in run.output


def test_under_xdist(tmp_path: Path) -> None:
    """With workers every rule is run once and the report is whole."""
    small_target(tmp_path)
    run = run_gate(tmp_path, "-m", "readiness", "-n", "2", "-k", "liveness_answers or readiness_answers")
    assert run.code == 0, run.output
    assert run.verdicts == dict.fromkeys(("health.liveness-answers", "health.readiness-answers"), "passed")
    assert run.report["environment"]["backend"] == "processes"


def test_suite_file_runs_against_the_rootdir_target(tmp_path: Path) -> None:
    """A suite's own file, named with -m readiness, judges the rootdir's target; nothing runs twice."""
    small_target(tmp_path)
    (tmp_path / "suites").mkdir()
    source = Path(__file__).resolve().parents[2] / "suites" / "test_health.py"
    (tmp_path / "suites" / "test_health.py").write_text(source.read_text())
    run = run_gate(tmp_path, "-m", "readiness", *LIVE, "suites/test_health.py")
    assert "suites/test_health.py::test_liveness_answers PASSED" in run.output
    assert outcomes(run.output)["passed"] == 1
    both = run_gate(tmp_path, "-m", "readiness", *LIVE, "suites/test_health.py", "prodready.toml")
    assert outcomes(both.output)["passed"] == 1, both.output
    everything = run_gate(tmp_path, "-m", "readiness", *LIVE, ".")
    assert outcomes(everything.output)["passed"] == 1, everything.output
    plain = run_gate(tmp_path, ".")
    assert plain.code == 5, plain.output


def test_last_failed_and_exit_first(tmp_path: Path) -> None:
    """--lf runs only what failed, and -x stops at the first failure."""
    small_target(tmp_path, SMALL.replace('"/live"', '"/500"'))
    run = run_gate(tmp_path, LIVENESS, READINESS)
    assert outcomes(run.output) == {"failed": 1, "passed": 1}, run.output
    again = run_gate(tmp_path, "--lf", LIVENESS, READINESS)
    assert outcomes(again.output) == {"failed": 1, "deselected": 1} or outcomes(again.output) == {"failed": 1}
    first = run_gate(tmp_path, "-x", "-p", "no:cacheprovider", LIVENESS, READINESS)
    assert outcomes(first.output) == {"failed": 1}


def test_conftest_beside_the_target_overrides_fixtures(tmp_path: Path) -> None:
    """A fixture of the conftest.py beside prodready.toml takes the place of ours."""
    small_target(tmp_path)
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef prodready_traffic():\n"
        '    """Not to be had."""\n'
        '    raise RuntimeError("overridden here")\n'
    )
    run = run_gate(tmp_path, LIVENESS)
    assert run.code == 1
    assert run.verdicts == {"health.liveness-answers": "inconclusive"}
    assert "overridden here" in run.output


def test_rules_are_listed(tmp_path: Path) -> None:
    """`pytest --prodready-rules` prints the catalogue and runs nothing."""
    run = run_gate(tmp_path, "--prodready-rules")
    assert run.code == 0
    assert all(rule in run.output for rule in RULES)


def test_fixtures_are_listed(tmp_path: Path) -> None:
    """`pytest --fixtures` documents what a user's own tests may use."""
    run = run_gate(tmp_path, "--fixtures", "-p", "no:benchmark")
    names = ("postgres", "redis", "faults", "service", "authority", "engine", "traffic", "settings")
    for name in names:
        assert f"prodready_{name}" in run.output
