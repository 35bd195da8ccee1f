"""Reports, judging a recorded run again, waivers and bypasses; mostly on a target that needs no server."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pytest_prodready.reports.json_report import schema
from tests.gate import run_gate
from tests.specimens import Specimen
from tests.targets import LIVENESS, READINESS, SMALL, small_target

BROKEN = SMALL.replace('"/live"', '"/500"')


def test_report_follows_its_schema(tmp_path: Path) -> None:
    """A report with every kind of verdict at hand is valid by the schema that we ship."""
    small_target(tmp_path, BROKEN + '[bypass]\npool = "no database"\n')
    run = run_gate(tmp_path, "-m", "readiness")
    jsonschema.validate(run.report, schema(), format_checker=jsonschema.FormatChecker())
    assert run.report["verdict"] == "not-ready"
    assert {"passed", "failed", "unverified", "waived"} <= set(run.verdicts.values())


def test_schema_is_a_schema() -> None:
    """What we ship as a JSON Schema is one."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_ready_report(tmp_path: Path) -> None:
    """Where everything that ran has passed, the verdict is ready and the exit code 0."""
    small_target(tmp_path)
    run = run_gate(tmp_path, LIVENESS, READINESS)
    assert (run.code, run.report["verdict"]) == (0, "ready")
    assert run.report["environment"]["postgres"] is None


def test_last_line_leads_to_the_reports(tmp_path: Path) -> None:
    """The verdict names report.html; above it stand report.json and where the time went."""
    small_target(tmp_path)
    run = run_gate(tmp_path, LIVENESS)
    *_, spent, machines, verdict = (line for line in run.output.splitlines() if line.startswith(" "))
    assert spent.startswith(" time: ")
    assert "start-up" in spent
    paths = [tmp_path / line.rpartition(": ")[2] for line in (verdict, machines)]
    assert [path.name for path in paths] == ["report.html", "report.json"]
    assert all(path.is_file() for path in paths)
    time = run.report["time"]
    kinds = [seconds for name, seconds in time.items() if name not in ("wall_s", "work_s", "workers")]
    assert sum(kinds) == pytest.approx(time["work_s"], abs=0.01)


def test_workers_times_are_summed(tmp_path: Path) -> None:
    """Two workers' work is more than the clock's time, and is said to be that of two."""
    small_target(tmp_path)
    run = run_gate(tmp_path, "-n", "2", LIVENESS, READINESS)
    assert run.report["time"]["workers"] == 2, run.output
    assert " in 2 workers (" in run.output


def test_drill_leaves_its_timeline(tmp_path: Path) -> None:
    """A drill is drawn in report.html and beside its measurement; judged again, it is drawn again."""
    Specimen(name="healthy", breaks="", says="").build(tmp_path)
    rule = "prodready.toml::failover::test_crash_loses_no_write"
    run = run_gate(tmp_path, "--prodready-backend=processes", rule)
    # A second before and after, and the fault's own.
    assert run.report["findings"][0]["time"]["waiting_s"] > 2, run.output
    recorded = max((tmp_path / ".prodready" / "runs").iterdir())
    again = run_gate(tmp_path, f"--prodready-judge={recorded}", rule)
    assert (run.code, again.code) == (0, 0), run.output + again.output
    for folder in (tmp_path / ".prodready" / "runs").iterdir():
        page = (folder / "report.html").read_text()
        assert "Timeline of the drill crash: PostgreSQL killed and started again; restored after" in page
        assert (folder / "measurements" / "drill_crash.json").is_file()
        assert (folder / "measurements" / "drill_crash.svg").read_text().startswith("<svg ")


def test_recorded_run_is_judged_again_without_servers(tmp_path: Path) -> None:
    """--prodready-judge gives the same verdicts from the record, and other limits give others."""
    small_target(tmp_path)
    first = run_gate(tmp_path, LIVENESS, READINESS)
    recorded = max((tmp_path / ".prodready" / "runs").iterdir())
    (tmp_path / "server.py").unlink()
    again = run_gate(tmp_path, f"--prodready-judge={recorded}", LIVENESS, READINESS)
    assert again.verdicts == first.verdicts, again.output
    strict = run_gate(
        tmp_path,
        f"--prodready-judge={recorded}",
        "--prodready-set=health.liveness_within_s=0.000001",
        LIVENESS,
    )
    assert strict.verdicts["health.liveness-answers"] == "failed", strict.output


def test_unrecorded_measurement_is_inconclusive(tmp_path: Path) -> None:
    """What an earlier run did not record can't be judged from it; where it has said why, that is told."""
    small_target(tmp_path)
    run_gate(tmp_path, LIVENESS)
    recorded = max((tmp_path / ".prodready" / "runs").iterdir())
    for measurement in (recorded / "measurements").iterdir():
        measurement.unlink()
    run = run_gate(tmp_path, f"--prodready-judge={recorded}", LIVENESS)
    assert run.verdicts["health.liveness-answers"] == "inconclusive"
    (recorded / "measurements" / "health_answers.failed.txt").write_text("the measurement failed: no luck")
    run = run_gate(tmp_path, f"--prodready-judge={recorded}", LIVENESS)
    finding = run.finding("health.liveness-answers")
    assert (finding["verdict"], finding["summary"]) == ("inconclusive", "the measurement failed: no luck")


@pytest.mark.parametrize(
    ("expires", "verdict", "code"), [("2999-01-01", "waived", 0), ("2020-01-01", "failed", 1)]
)
def test_waiver(expires: str, verdict: str, code: int, tmp_path: Path) -> None:
    """A live waiver accepts a failure, an expired one doesn't; the report keeps who signed it."""
    waiver = '[[waivers]]\nrule = "health.liveness-answers"\nreason = "until the rewrite"\napprover = "Ada"\n'
    small_target(tmp_path, f"{BROKEN}{waiver}expires = {expires}\n")
    run = run_gate(tmp_path, LIVENESS)
    assert (run.verdicts["health.liveness-answers"], run.code) == (verdict, code), run.output


def test_softened_verdicts(tmp_path: Path) -> None:
    """Unverified musts fail the run, unless it is told to skip them."""
    small_target(tmp_path)
    unverified = "prodready.toml::pool::test_bounded"
    assert run_gate(tmp_path, unverified, LIVENESS).code == 1
    assert run_gate(tmp_path, "--prodready-unverified=skip", unverified, LIVENESS).code == 0
    assert run_gate(tmp_path, unverified, LIVENESS, variables={"PRODREADY_UNVERIFIED": "skip"}).code == 0


def test_junit_carries_the_finding(tmp_path: Path) -> None:
    """The finding travels in JUnit's properties too."""
    small_target(tmp_path)
    run_gate(tmp_path, "--junitxml=junit.xml", LIVENESS)
    assert "health.liveness-answers" in (tmp_path / "junit.xml").read_text()


def test_old_runs_are_forgotten(tmp_path: Path) -> None:
    """Only the newest runs are kept."""
    small_target(tmp_path)
    for number in range(30):
        (tmp_path / ".prodready" / "runs" / f"20200101-0000{number:02}-aaaa").mkdir(parents=True)
    run_gate(tmp_path, LIVENESS)
    assert len(list((tmp_path / ".prodready" / "runs").iterdir())) == 20


def test_summary_shows_what_to_add(tmp_path: Path) -> None:
    """What isn't configured is grouped by what is missing, with the lines to add."""
    small_target(tmp_path)
    run = run_gate(tmp_path, "-m", "readiness")
    assert 'DATABASE_URL = "{postgres.url}"' in run.output
    assert "rules need requests" in run.output
    assert run.output.count("[[requests]]") == 4
    assert json.dumps(run.report)
