"""Several processes that generate one load: their slices, their clocks, their samples and their end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment.runs import Run, sweep
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.messages import MASTER_LOST_S
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.generators import Generators
from pytest_prodready.probes import load_workers
from pytest_prodready.probes.load_generator import READY_WITHIN_S, Told, null_server, spawned
from pytest_prodready.probes.load_workers import WorkerLost, Workers, carried_out, gathered

ENDS_WITHIN_S = 40.0
ASKS = (Ask("items", "/items"), Ask("create", "/items", "POST", json={"title": "{token}"}, kind="create"))
CHILD = """
import sys, time
from pytest_prodready.environment.runs import Run
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generators import Generators
from pytest_prodready.probes.load_generator import null_server
from pytest_prodready.probes.load_workers import gathered, carried_out

run = Run.open()
with null_server(run) as url, gathered(run, Generators(workers=2), lambda _: None) as workers:
    plan = Plan((Stage("long", url, 50, 300),), (Ask("a", "/a"),), 10, 5, 1, "t")
    with carried_out(run, plan, workers) as load:
        load.began()
        print(run.folder, flush=True)
        time.sleep(300)
"""


def plan_for(*stages: Stage) -> Plan:
    """A plan with a read and a write."""
    return Plan(stages, ASKS, users=20, deadline_s=3.0, settle_s=0.2, prefix="t")


def all_of(workers: Workers, told: list[Told]) -> list[Told]:
    """Everything that is told until all are done."""
    end = time.monotonic() + ENDS_WITHIN_S
    while not any(isinstance(each, dict) and "done" in each for each in told):
        assert time.monotonic() < end
        assert workers.alive
        told += workers.news()
        time.sleep(0.01)
    return told


def samples_of(told: list[Told]) -> list[Sample]:
    """The requests in it."""
    return [each for each in told if isinstance(each, Sample)]


def test_slices_are_the_whole_schedule(run: Run) -> None:
    """Two workers send each request of the schedule once, when it is due, and no token twice."""
    said: list[str] = []
    with null_server(run) as url, gathered(run, Generators(workers=2), said.append) as workers:
        assert workers is not None
        plan = plan_for(Stage("self-test", "", 50, 1, null=True), Stage("usual", url, 100, 1))
        with carried_out(run, plan, workers):
            _, told = workers.began()
            told = all_of(workers, told)
        topology, each = workers.topology, workers.each
    samples = sorted(samples_of(told))
    assert [each.number for each in samples] == list(range(150))
    due = [*(n / 50 for n in range(50)), *(1 + n / 100 for n in range(100))]
    assert [each.intended_s for each in samples] == pytest.approx(due, abs=1e-5)
    assert all(each.started_s >= each.intended_s - 1e-3 for each in samples)
    assert {each.verdict for each in samples} == {RIGHT}
    writes = Counter(each.write for each in samples if each.write >= 0)
    assert len(writes) > 10
    assert set(writes.values()) == {1}
    assert {each["health"]["worker"] for each in told if isinstance(each, dict) and "health" in each} == {
        0,
        1,
    }
    assert (topology.workers, topology.hosts) == (2, 1)
    assert all(worker.clock_ms is not None and worker.clock_ms < 250 for worker in each)
    assert any("workers have come" in words for words in said)


def test_one_plan_after_another(run: Run) -> None:
    """The same workers carry out a second plan from its beginning, and its climb ends for all of them."""
    with null_server(run) as url, gathered(run, Generators(workers=2), lambda _: None) as workers:
        assert workers is not None
        with carried_out(run, plan_for(Stage("usual", url, 50, 0.5)), workers):
            assert len(samples_of(all_of(workers, workers.began()[1]))) == 25
        climb = Stage("climb", url, 100, 200, climb=True)
        plan = plan_for(Stage("first", url, 50, 0.5), climb, Stage("again", url, 50, 0.5))
        with carried_out(run, plan, workers):
            _, told = workers.began()
            end = time.monotonic() + ENDS_WITHIN_S
            while not any(each.stage == 1 for each in samples_of(told)):
                assert time.monotonic() < end
                told += workers.news()
                time.sleep(0.01)
            workers.end_climb()
            told = all_of(workers, told)
    again = sorted(each for each in samples_of(told) if each.stage == 2)
    assert [each.number for each in again] == list(range(20_025, 20_050))
    start = again[0].intended_s
    assert [each.intended_s - start for each in again] == pytest.approx([n / 50 for n in range(25)], abs=1e-5)
    assert start < ENDS_WITHIN_S
    writes = [each.write for each in samples_of(told) if each.write >= 0]
    assert len(writes) == len(set(writes))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_told(run: Run, number: signal.Signals) -> None:
    """One that is killed, or silent, ends the load of all within seconds."""
    with null_server(run) as url, gathered(run, Generators(workers=2), lambda _: None) as workers:
        assert workers is not None
        with carried_out(run, plan_for(Stage("long", url, 50, 300)), workers):
            workers.began()
            began = time.monotonic()
            os.kill(workers.pids[-1], number)
            with pytest.raises(WorkerLost):
                all_of(workers, [])
            assert time.monotonic() - began < 10
            with suppress(ProcessLookupError):
                os.kill(workers.pids[-1], signal.SIGCONT)


def test_a_worker_that_never_comes_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of ours that can't start isn't waited for, and what it said last is shown."""

    def started(run: Run, words: list[str], log: Path) -> subprocess.Popen[bytes]:
        return spawned(run, ["pytest_prodready.nothing", *words[1:]], log)

    monkeypatch.setattr(load_workers, "spawned", started)
    began = time.monotonic()
    with pytest.raises(ServerError, match="ended with status 1 before the load began") as told:  # noqa: SIM117
        with gathered(run, Generators(workers=2), lambda _: None):
            pass
    assert "No module named pytest_prodready.nothing" in str(told.value)
    assert time.monotonic() - began < READY_WITHIN_S


def test_workers_die_with_their_gate() -> None:
    """Killed with SIGKILL, the gate takes master, workers and null servers along."""
    gate = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    assert gate.stdout is not None
    folder = gate.stdout.readline().strip()
    assert folder
    gone = psutil.Process(gate.pid).children(recursive=True)
    assert len(gone) >= 6
    os.kill(gate.pid, signal.SIGKILL)
    gate.wait()
    gate.stdout.close()
    assert comes_true(lambda: not any(each.is_running() for each in gone), 15)
    sweep()  # what the dead gate left in its folder


@contextmanager
def joining(port: int, before: str = "pass") -> Iterator[subprocess.Popen[str]]:
    """A worker by its command, as on another host; something may be done before it looks for its gate."""
    main = f"from pytest_prodready.generator.__main__ import main; {before}; sys.exit(main())"
    arguments = ["--worker", "--master-port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; {main}", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_no_more_come_than_are_wanted(run: Run) -> None:
    """A worker that came before the gate is waited for; a second is sent home, and told why."""
    port = run.ports.reserve()
    with joining(port) as first, ExitStack() as later:
        assert not comes_true(lambda: first.poll() is not None, MASTER_LOST_S + 1)
        with gathered(run, Generators(expected=1, port=port), lambda _: None) as workers:
            assert workers is not None
            second = later.enter_context(joining(port))
            said, _ = second.communicate(timeout=ENDS_WITHIN_S)
            assert second.returncode == 1
            assert "1 other workers have come already" in said
            plan = Plan((Stage("self-test", "", 50, 0.5, null=True),), ASKS, 20, 3.0, 0.2, "t")
            with carried_out(run, plan, workers):
                assert len(samples_of(all_of(workers, workers.began()[1]))) == 25
        said, _ = first.communicate(timeout=ENDS_WITHIN_S)
        assert first.returncode == 0
        assert "ends: the gate has ended the run" in said
    run.ports.release(port)


def test_another_version_is_refused(run: Run) -> None:
    """A worker whose plans may be others than the gate's takes no part."""
    port = run.ports.reserve()
    other = "from pytest_prodready.generator import messages; messages.ours = lambda: '0.0.1'"
    with joining(port, other) as worker:
        assert worker.stdout is not None
        assert "looks for a gate" in worker.stdout.readline()  # the time to start is none of the gate's
        with pytest.raises(ServerError, match="0 of 1 workers"):  # noqa: SIM117 (it is what raises)
            with gathered(run, Generators(expected=1, port=port, wait_s=5), lambda _: None):
                pass
        said, _ = worker.communicate(timeout=ENDS_WITHIN_S)
        assert worker.returncode == 1
        assert "this worker is of version 0.0.1" in said
    run.ports.release(port)


def test_a_worker_does_not_outlive_its_gate(run: Run) -> None:
    """Another host's worker hears nothing of a gate that was killed, and ends."""
    port = run.ports.reserve()
    with joining(port) as worker:
        with gathered(run, Generators(expected=1, port=port), lambda _: None) as workers:
            assert workers is not None
            os.kill(workers.pids[0], signal.SIGKILL)
            said, _ = worker.communicate(timeout=ENDS_WITHIN_S)
        assert worker.returncode == 1
        assert "was silent for 5 s" in said
    run.ports.release(port)


def test_a_taken_port_is_named(run: Run) -> None:
    """Where somebody else listens already, the error says where, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError) as failure:  # noqa: SIM117 (it is what raises)
            with gathered(run, Generators(expected=1, port=port), lambda _: None):
                pass
    assert f"127.0.0.1:{port}" in failure.value.message
    assert "--prodready-load-bind-port" in failure.value.message


def test_who_does_not_come_is_not_waited_for_for_ever(run: Run) -> None:
    """Workers of other hosts have a time to come in; the error says who came, and how to start them."""
    said: list[str] = []
    port = run.ports.reserve()
    with (
        pytest.raises(ServerError) as failure,
        gathered(run, Generators(expected=2, wait_s=1.5, port=port), said.append),
    ):
        pass
    assert "0 of 2 workers have come at 127.0.0.1" in failure.value.problem
    assert f"--worker --master-host 127.0.0.1 --master-port {port}" in failure.value.message
    assert any("s left" in words for words in said)
    run.ports.release(port)
