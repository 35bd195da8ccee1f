"""Verdicts on a run that is held against an earlier one, from literals; and the earlier one as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.checks.load_compared import no_slower_than_before
from pytest_prodready.errors import ConfigError
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.fixtures.load_file import check, read
from pytest_prodready.generators import Generators
from pytest_prodready.options import Options
from pytest_prodready.probes.load import Load, Part, Topology
from pytest_prodready.probes.load_baseline import Baseline, as_text, measured, parsed, planned, unfit
from pytest_prodready.probes.load_limits import SLOWNESS
from pytest_prodready.probes.load_plan import plan
from pytest_prodready.records import Record, replaced
from pytest_prodready.settings import Settings

from .loads import LIMITS, STARVED, ended, load, stage, times

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
UNVERIFIED = Verdict.UNVERIFIED
FILE = "prodready.load.json"
MIX = (Part("list", "GET /jobs", 0.8), Part("show", "GET /jobs/1", 0.2))
SETTINGS = Settings.model_validate(
    {
        "service": {"name": "shop", "command": "serve {port}"},
        "requests": [{"name": "list", "path": "/jobs"}],
        "load": {"expected_rps": 20, "steps": [4]},
    }
)


def run(peak: tuple[float, float] = (5, 20), null: tuple[float, float] = (0.5, 1.5), **more: Any) -> Load:
    """A run with these p50 and p95 at the peak and on the null server, in milliseconds."""
    sure = more.pop("sure", 0.1)
    return load(
        stage("self-test", 0, 0, 3, response=times(*null, 3, more.pop("null_sure", 0.1))),
        stage("10x", 10, 15, 15, response=times(*peak, 90, sure)),
        mix=MIX,
        **more,
    )


def by_itself(seen: Load, p95: float) -> Load:
    """The same run, with this p95 at the peak when all is left out that the machine may have added."""
    stages = (
        replace(each, undisturbed=times(1, p95, p95)) if each.multiple == 10 else each for each in seen.stages
    )
    return replace(seen, stages=tuple(stages))


def beside(others: float, idle: float, seen: Load) -> Load:
    """The same run, while others used so much of the machine's processors."""
    return replace(seen, seconds=tuple(replace(each, others=others, idle=idle) for each in seen.seconds))


def baseline(**more: Any) -> Baseline:
    """Such a run, as it was kept."""
    return measured(run(**more), "shop", FILE)


def judged(seen: Load, earlier: Baseline | None = None) -> Finding:
    """The finding on a run that is held against the usual one, or this one."""
    return no_slower_than_before(seen, LIMITS, earlier or baseline())


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (run(), PASSED, "at 10x, 200/s, p95 was 20.0 ms (18.0 to 22.0), 1.0 times the 20.0 ms"),
        (run((5, 30)), PASSED, "1.5 times"),
        (run((14, 20)), PASSED, ""),  # more than half as much again, but nobody notices 9 ms
        (run((5, 60)), FAILED, "p95 was 60.0 ms (54.0 to 66.0), 3.0 times the 20.0 ms (18.0 to 22.0)"),
        (run((40, 50)), FAILED, "p50 was 40.0 ms"),
        (run((5, 60)), FAILED, "a server that does nothing took 1.5 ms, and 1.5 ms then"),
        (run((5, 60), sure=0.7), INCONCLUSIVE, "too close to tell it from chance"),
        (run((5, 60), generator=STARVED), INCONCLUSIVE, "it waited for a processor 65%"),
        (run((5, 30), generator=STARVED), PASSED, ""),
        (beside(0.7, 0.1, run((5, 60))), INCONCLUSIVE, "others used 70% of this machine's processors at 10x"),
        (by_itself(beside(0.7, 0.1, run((5, 60))), 25), INCONCLUSIVE, "others used 70%"),
        (by_itself(beside(0.7, 0.1, run((5, 90))), 60), FAILED, "p95 was 90.0 ms"),
        (by_itself(run((5, 90), generator=STARVED), 60), FAILED, "but p95 at 10x is 60.0 ms without all"),
        (by_itself(run((5, 90), generator=STARVED), 25), INCONCLUSIVE, "65%"),
        (beside(0.7, 0.1, run((5, 30))), PASSED, ""),
        (beside(0.3, 0.6, run((5, 60))), FAILED, ""),  # a large machine, with room for all
        (beside(0.1, 0.0, run((5, 60))), FAILED, ""),  # it was the service that used it up
        (run(unfinished=3), INCONCLUSIVE, "3 requests were still under way"),
        (replace(run(), doubt="the service was not steady"), INCONCLUSIVE, "not steady"),
        (replace(run(), lacking="Locust isn't installed"), UNVERIFIED, "Locust"),
    ],
)
def test_on_one_machine(seen: Load, verdict: Verdict, says: str) -> None:
    """Slower is what took longer than chance, the limit and the machine's other work explain."""
    finding = judged(seen)
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary
    assert verdict is UNVERIFIED or finding.limit or seen.doubt


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (run((15, 60), null=(1.5, 4.5)), PASSED, "took 4.5 ms, and 1.5 ms then"),
        (run((15, 200), null=(1.5, 4.5)), FAILED, "10.0 times"),
        (run((5, 100), null=(1.5, 4.5)), INCONCLUSIVE, "how much slower this machine is"),
        (run((5, 60), null=(0.5, 4.5), null_sure=0.5), INCONCLUSIVE, "how much slower this machine is"),
        (run((1.5, 6), null=(0.15, 0.45)), PASSED, ""),
        (run((5, 16), null=(0.15, 0.45)), PASSED, ""),  # within what nobody notices
        (run((5, 60), null=(0.15, 0.45)), FAILED, ""),
        (run((5, 20), null=(0.5, 0.45)), PASSED, ""),  # the median is the same: others were busy then
    ],
)
def test_on_another_machine(seen: Load, verdict: Verdict, says: str) -> None:
    """A slower machine, by the null server, explains as much; one that is known no better leaves it open."""
    finding = judged(seen)
    assert (finding.verdict, says in finding.summary) == (verdict, True), finding.summary


def test_as_slow_on_a_quicker_machine_is_open() -> None:
    """What computes should be quicker there, what waits need not: nobody can tell which it is."""
    finding = judged(run((50, 200), null=(0.15, 0.45)), baseline(peak=(50, 200)))
    assert finding.verdict is INCONCLUSIVE
    assert "this machine is the quicker one" in finding.summary


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (run(topology=Topology(workers=2)), "workers 2, hosts 1, not workers 1, hosts 1"),
        (replace(run(), mix=MIX[:1]), "request show is not there, not GET /jobs/1 in 20.0%"),
        (
            replace(run(), mix=(Part("list", "GET /all", 0.8), MIX[1])),
            "list is GET /all in 80.0%, not GET /jobs in",
        ),
        (load(stage("10x", 10, 15, 5), mix=MIX), "stage 10x is 1000 at 200/s, not 3000 at 200/s"),
        (
            replace(run(), stages=(*run().stages[:2], *run().stages[3:])),
            "stage 4x is not there, not 320 at 80/s",
        ),
    ],
)
def test_another_load_is_open(seen: Load, says: str) -> None:
    """A run that turned out to be another load than the earlier one can't be held against it."""
    finding = judged(seen)
    assert (finding.verdict, says in finding.summary) == (INCONCLUSIVE, True), finding.summary


def test_an_ended_climb_is_compared_as_far_as_it_went() -> None:
    """What got slower before the end failed; where nothing did, the rest isn't known."""
    lost = stage("4x", 4, 11, 4, response=times(200, 900, 2000))
    seen = replace(ended(lost, "40 of 320 had taken longer", SLOWNESS), mix=MIX)
    assert judged(_with_null(seen)).verdict is FAILED
    seen = replace(ended(stage("4x", 4, 11, 4), "40 of 320 had failed", SLOWNESS), mix=MIX)
    finding = judged(_with_null(seen))
    assert (finding.verdict, "ended in stage 4x" in finding.summary) == (INCONCLUSIVE, True)


def test_silence_is_open() -> None:
    """Without an answer in either run, on the service or on the null server, there is nothing to compare."""
    silent = load(stage("10x", 10, 15, 15, response=None), mix=MIX)
    assert "nothing was answered in stage 10x in this run" in judged(silent).summary
    finding = judged(run(), measured(silent, "shop", FILE))
    assert (finding.verdict, f"stage 10x in {FILE}" in finding.summary) == (INCONCLUSIVE, True)
    bare = replace(
        run(), stages=tuple(replace(s, response=None) if not s.multiple else s for s in run().stages)
    )
    assert "stage self-test in this run" in judged(bare).summary


def test_nothing_to_compare_with() -> None:
    """Without an earlier run it is said how to keep one; a run that is kept says where, or why it isn't."""
    none = Baseline(found=False)
    finding = judged(run(), none)
    assert (finding.verdict, "--prodready-load-save=" in finding.summary) == (UNVERIFIED, True)
    finding = judged(run(), replace(none, kept="a.json"))
    assert finding.verdict is UNVERIFIED
    assert "this run is kept in a.json" in finding.summary
    assert "--prodready-load-compare=a.json" in finding.summary
    finding = judged(run(), replace(none, unkept="the machine was busy"))
    assert (finding.verdict, "not kept: the machine was busy" in finding.summary) == (INCONCLUSIVE, True)
    assert judged(run((5, 60)), replace(baseline(), unkept="x")).verdict is FAILED
    assert judged(run(), replace(baseline(), kept="a.json")).verdict is PASSED


def test_only_a_sound_run_is_kept() -> None:
    """A run of a busy machine, or one that never came to its peak, would excuse whatever comes later."""
    assert unfit(run()) == ""
    assert "65%" in unfit(run(generator=STARVED))
    assert "others used 70%" in unfit(beside(0.7, 0.1, run()))
    assert "ended in stage 4x" in unfit(ended(stage("4x", 4, 11, 4), "80 failed", SLOWNESS))
    assert "how quick the machine was" in unfit(replace(run(), stages=run().stages[1:]))
    assert unfit(Load(20, 10, doubt="not steady")) == "not steady"
    assert unfit(Load(20, 10))


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A line for each stage and each request, and nothing is lost on the way."""
    path = tmp_path / FILE
    replaced(path, as_text(baseline()))
    found = read(path, "--prodready-load-compare")
    assert replace(found, path=FILE) == baseline()
    lines = path.read_text().splitlines()
    assert sum('"stage": ' in line for line in lines) == len(run().stages)
    assert any('"stage": "10x"' in line and '"p95_ms": [20, 18.0, 22.0]' in line for line in lines)


def test_a_runs_folder_is_as_good_as_a_file(tmp_path: Path) -> None:
    """What a run has recorded can be compared with, when the run was sound."""
    record = Record(tmp_path / "run")
    record.write_run({"target": "shop"})
    record.write_measurement("load", run())
    assert read(record.folder, "x") == replace(baseline(), path=str(record.folder))
    record.write_measurement("load", run(generator=STARVED))
    with pytest.raises(ConfigError, match="65%"):
        read(record.folder, "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "prodready-load/2"}',
        as_text(baseline()).replace("per_s", "rate"),
        as_text(baseline()).replace("[20, ", "[NaN, "),  # no time is beyond that
        as_text(baseline()).replace("[20, ", "["),
        as_text(baseline()).replace("p50_ms", "p51_ms"),  # all that is judged, or nothing was answered
        as_text(baseline()).replace('"share": 0.8', '"share": "most"'),
    ],
)
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    """Whatever isn't such a file is an error that says what to name."""
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(ConfigError, match="--prodready-load-save"):
        read(path, "--prodready-load-compare")
    with pytest.raises(ConfigError, match="no run of the load suite"):
        read(tmp_path / "missing.json", "--prodready-load-compare")
    with pytest.raises(ConfigError, match="no run of the load suite"):
        read(tmp_path, "--prodready-load-compare")


def kept(tmp_path: Path, settings: Settings = SETTINGS, **changes: object) -> Path:
    """A file with a run of such settings."""
    whole = json.loads(as_text(planned(plan(settings, "", "", {}), settings.service.name, Topology())))
    return replaced(tmp_path / FILE, json.dumps({**whole, **changes}))


def test_the_same_load_is_accepted(tmp_path: Path) -> None:
    """A run like the earlier one may begin, and take the place of one of its own service."""
    check(Options(load_compare=kept(tmp_path)), SETTINGS)
    check(Options(load_save=kept(tmp_path)), SETTINGS)
    check(Options(load_save=tmp_path / "new" / FILE), SETTINGS)
    check(Options(), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"load": {"expected_rps": 30, "steps": [4]}}, "stage self-test is 1350 at 450/s, not 900 at 300/s"),
        ({"load": {"expected_rps": 20, "steps": [4], "multiplier": 5}}, "stage 5x"),
        ({"load": {"expected_rps": 20, "steps": [4], "peak_s": 5}}, "stage 10x is 1000 at 200/s, not 3000"),
        (
            {"requests": [{"name": "list", "path": "/all"}]},
            "request list is GET /all in 100.0%, not GET /jobs",
        ),
        ({"requests": [{"name": "all", "path": "/jobs"}]}, "request list is not there"),
        ({"service": {"name": "other", "command": "serve {port}"}}, "service other, not shop"),
    ],
)
def test_another_load_is_refused_before_it_begins(
    changes: Mapping[str, Any], says: str, tmp_path: Path
) -> None:
    """Other stages, rates, requests or services can't be compared: that is known without a minute of load."""
    path = kept(tmp_path)
    settings = Settings.model_validate({**SETTINGS.model_dump(exclude_unset=True, by_alias=True), **changes})
    with pytest.raises(ConfigError) as refused:
        check(Options(load_compare=path), settings)
    assert says in refused.value.message
    assert f"--prodready-load-save={path}" in refused.value.message
    check(Options(load_compare=path, judge=tmp_path), settings)  # what was recorded, its own mix tells


def test_other_workers_are_refused_before_they_begin(tmp_path: Path) -> None:
    """So is another number of processes or hosts."""
    with pytest.raises(ConfigError, match="workers 1, hosts 1, not workers 2, hosts 1"):
        check(Options(load_compare=kept(tmp_path, workers=2)), SETTINGS)
    with pytest.raises(ConfigError, match="workers 2, hosts 1, not workers 2, hosts 2"):
        check(Options(load_compare=kept(tmp_path, workers=2, hosts=2), generators=Generators(2)), SETTINGS)
    check(Options(load_compare=kept(tmp_path, workers=2), generators=Generators(2)), SETTINGS)
    remote = Generators(expected=2)  # on how many hosts, only the run itself can tell
    check(Options(load_compare=kept(tmp_path, workers=2, hosts=2), generators=remote), SETTINGS)


def test_no_other_file_is_overwritten(tmp_path: Path) -> None:
    """A run never takes the place of something else, nor of the run that it is held against."""
    path = kept(tmp_path)
    other = SETTINGS.model_copy(update={"service": SETTINGS.service.model_copy(update={"name": "other"})})
    with pytest.raises(ConfigError, match="another service, shop"):
        check(Options(load_save=path), other)
    with pytest.raises(ConfigError, match="held against"):
        check(Options(load_save=path, load_compare=path), SETTINGS)
    path.write_text("[service]\n")
    with pytest.raises(ConfigError, match="no run of the load suite"):
        check(Options(load_save=path), SETTINGS)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A place that no run can be kept in is known before there is one."""
    with pytest.raises(ConfigError, match="no file can be written there") as refused:
        check(Options(load_save=kept(tmp_path) / "run" / FILE), SETTINGS)
    assert f"a new file in {tmp_path / FILE}" in refused.value.message


def test_it_judges_what_it_has_read() -> None:
    """The file's own text is enough to judge by."""
    assert judged(run((5, 60)), parsed(as_text(baseline()), FILE)).verdict is FAILED


def _with_null(seen: Load) -> Load:
    """The same run with the usual times on the null server."""
    return replace(seen, stages=(run().stages[0], *seen.stages[1:]))
