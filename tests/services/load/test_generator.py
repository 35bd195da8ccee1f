"""The generator alone: its schedule, its clock, its percentiles and its end."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment.ports import answers
from pytest_prodready.environment.runs import Run, sweep
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_generator import generating, null_server
from pytest_prodready.probes.load_stats import Digest

ENDS_WITHIN_S = 30.0
CHILD = """
import sys, time
from pytest_prodready.environment.runs import Run
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.probes.load_generator import GeneratorProcess, null_server

run = Run.open()
with null_server(run) as url:
    generator = GeneratorProcess(run, Plan((Stage("long", url, 50, 300),), (Ask("a", "/a"),), 10, 5, 1, "t"))
    generator.began()
    print(generator.pid, flush=True)
    time.sleep(300)
"""


def sent(run: Run, plan: Plan) -> tuple[list[Sample], Digest]:
    """All samples of a plan, when it is over."""
    samples: list[Sample] = []
    digest = Digest(plan, {}, 0.1)
    end = time.monotonic() + ENDS_WITHIN_S
    with generating(run, plan) as generator:
        done = False
        while not done and time.monotonic() < end:
            running = generator.alive
            for each in generator.news():
                if isinstance(each, Sample):
                    samples.append(each)
                    digest.add(each)
                elif "error" in each:
                    digest.errors.append(each["error"])
                done = done or (isinstance(each, dict) and "done" in each)
            assert running or done
            time.sleep(0.01)
    return samples, digest


@contextmanager
def service(how: str, run: Run) -> Iterator[str]:
    """The small service at its address."""
    port = run.ports.reserve()
    program = Path(__file__).with_name("loaded.py")
    process = subprocess.Popen([sys.executable, str(program), str(port), how])
    try:
        assert comes_true(lambda: answers(Endpoint("127.0.0.1", port)), ENDS_WITHIN_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        run.ports.release(port)


def plan_for(*stages: Stage, users: int = 200, deadline_s: float = 3.0) -> Plan:
    """A plan with one kind of request."""
    asks = (Ask("items", "/items", contains="items"),)
    return Plan(stages, asks, users=users, deadline_s=deadline_s, settle_s=0.2, prefix="t")


def test_schedule_is_kept(run: Run) -> None:
    """Each request of the schedule is there once, due when it has to be."""
    with null_server(run) as url:
        samples, _ = sent(
            run, plan_for(Stage("a", url, 50, 1, null=True), Stage("b", url, 100, 1, null=True))
        )
    assert sorted(each.number for each in samples) == list(range(150))
    by_number = sorted(samples, key=lambda each: each.number)
    due = [*(n / 50 for n in range(50)), *(1 + n / 100 for n in range(100))]
    assert [each.intended_s for each in by_number] == pytest.approx(due, abs=1e-5)
    assert all(each.started_s >= each.intended_s - 1e-3 for each in samples)
    assert {each.verdict for each in samples} == {RIGHT}


def test_percentiles_are_those_of_the_samples(run: Run) -> None:
    """What is reported is within 1 % of the raw samples' own percentiles."""
    with service("stalls", run) as url:
        samples, digest = sent(run, plan_for(Stage("a", url, 100, 4)))
    raw = sorted(1000 * (each.ended_s - each.intended_s) for each in samples)
    times = digest.stage(0).response
    assert times is not None
    for share, seen in ((0.5, times.p50.ms), (0.95, times.p95.ms), (0.99, times.p99.ms)):
        assert seen == pytest.approx(raw[math.ceil(share * len(raw)) - 1], rel=0.01)
        below = sum(value <= seen for value in raw) / len(raw)
        assert below == pytest.approx(share, abs=0.01)


def test_stalls_are_not_omitted(run: Run) -> None:
    """A stall of half a second counts for everybody who was due in it, and not for one request alone."""
    with service("stalls", run) as url:
        samples, digest = sent(run, plan_for(Stage("a", url, 100, 8), users=2))
    times = digest.stage(0).response
    own = digest.stage(0).service
    assert times is not None
    assert own is not None
    waited = [each for each in samples if each.ended_s - each.intended_s > 0.05]
    assert len(waited) > 60  # three stalls at least, most of 50 requests in each
    assert times.p95.ms > 250
    # With two users alone, as a closed loop has them, the time of each request by itself shows none of it.
    assert own.p95.ms < 100 < times.p95.ms


def test_deadline_counts_from_when_it_was_due(run: Run) -> None:
    """Where all users are held, each request has failed by its own deadline, and none is forgotten."""
    with service("hangs", run) as url:
        samples, digest = sent(run, plan_for(Stage("a", url, 100, 4), users=5, deadline_s=1.0))
    assert len(samples) == 400
    assert digest.stage(0).busy > 200
    assert digest.stage(0).failures + digest.stage(0).good == 400
    late = [each.ended_s - each.intended_s - 1.0 for each in samples if each.verdict != RIGHT]
    assert len(late) > 200
    assert max(late) < 0.5


@pytest.mark.alone
def test_capacity_is_seen_in_what_is_answered(run: Run) -> None:
    """Of 100/s a service that can do 60/s is seen to do 60, in the stage and in each second of it."""
    with service("capped", run) as url:
        _, digest = sent(run, plan_for(Stage("a", url, 50, 3), Stage("b", url, 100, 4), deadline_s=10.0))
    usual, above = digest.stages()
    assert usual.goodput == pytest.approx(50, rel=0.1)
    assert above.goodput == pytest.approx(60, rel=0.1)
    assert max(each.good for each in digest.seconds() if each.at_s >= 3) <= 70


def test_climb_is_left_out(run: Run) -> None:
    """When the climb is ended, what comes after it begins at once."""
    with null_server(run) as url:
        plan = plan_for(
            Stage("first", url, 50, 0.5),
            Stage("climb", url, 100, 200, climb=True),
            Stage("again", url, 50, 0.5),
        )
        began = time.monotonic()
        samples: list[Sample] = []
        with generating(run, plan) as generator:
            while generator.alive and time.monotonic() < began + ENDS_WITHIN_S:
                samples += [each for each in generator.news() if isinstance(each, Sample)]
                if any(each.stage == 1 for each in samples):
                    generator.end_climb()
                time.sleep(0.01)
            assert not generator.alive
            samples += [each for each in generator.news() if isinstance(each, Sample)]
    assert sum(each.stage == 2 for each in samples) == 25
    assert max(each.started_s for each in samples) < 30


def test_it_dies_with_its_parent() -> None:
    """Killed with SIGKILL, whoever started it takes it along: nobody is loaded for ever."""
    parent = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    generator = psutil.Process(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    generator.wait(10)
    sweep()  # what the dead parent left in its folder


def test_a_plan_survives_its_way() -> None:
    """What the generator reads is what was written."""
    plan = plan_for(Stage("a", "http://x", 1, 2))
    assert Plan.parsed(plan.as_json()) == plan
    assert json.loads(plan.as_json())["users"] == 200
