"""Load from other hosts: a gate with its service on one, a worker on each of two more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.names import FILE_NAME

from .hosts import NEEDS_HOSTS, Host, hosts

pytestmark = NEEDS_HOSTS
ENDS_WITHIN_S = 120.0
SEEN_WITHIN_S = 60.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 (of a host that is linked to nothing else)
SERVICE = Path(__file__).with_name("loaded.py")
TARGET = """
[service]
name = "loaded"
command = "{python} {service} {{port}} well {listens}"

[[requests]]
name = "items"
path = "/items"
contains = "items"

[writes]
create = {{ method = "POST", path = "/items", json = {{ title = "{{token}}" }}, expect = 201 }}
read_back = {{ path = "/items?title={{token}}" }}

[load]
expected_rps = 20
multiplier = 4
steps = []
self_test_s = 1
warm_up_s = 1
usual_s = 3
peak_s = 6
again_s = 3
settle_s = 0.2
"""


@contextmanager
def gate(host: Host, folder: Path, listens: str) -> Iterator[subprocess.Popen[str]]:
    """The load suite on this host, which waits for two workers."""
    text = TARGET.format(python=sys.executable, service=SERVICE, listens=listens)
    (folder / FILE_NAME).write_text(text)
    options = ["--prodready-load-expect-workers=2", f"--prodready-load-bind-host={EVERYWHERE}"]
    command = [sys.executable, "-m", "pytest", "-m", "load", "-p", "no:cacheprovider", *options]
    with (folder / "gate.log").open("w") as log:
        process = host.run([*command, "--prodready-backend=processes"], folder, log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SEEN_WITHIN_S)


@contextmanager
def worker(host: Host, log: Path) -> Iterator[subprocess.Popen[str]]:
    """The one command that a worker's host runs."""
    command = [sys.executable, "-m", "pytest_prodready.generator", "--worker", "--master-host", host.gate]
    with log.open("w") as file:
        process = host.run(command, log.parent, file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def judged(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The findings by rule, and the measurement."""
    (run,) = (folder / ".prodready" / "runs").iterdir()
    findings = json.loads((run / "report.json").read_text())["findings"]
    measured = json.loads((run / "measurements" / "load.json").read_text())
    return {each["rule"]: each for each in findings}, measured


def loaded(
    folder: Path, listens: str, during: Callable[[Sequence[Host], Sequence[subprocess.Popen[str]]], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the gate finds; something happens meanwhile."""
    with hosts(2) as (first, *others), ExitStack() as running:
        process = running.enter_context(gate(first, folder, listens))
        workers = [
            running.enter_context(worker(each, folder / f"worker-{number}.log"))
            for number, each in enumerate(others)
        ]
        during(others, workers)
        process.wait(ENDS_WITHIN_S)
        assert comes_true(lambda: all(each.poll() is not None for each in workers), 15.0)
    return judged(folder)


def test_two_hosts_generate_one_load(tmp_path: Path) -> None:
    """Each sends its half, all writes are accounted for, and the clocks' agreement is known."""
    findings, seen = loaded(tmp_path, EVERYWHERE, lambda *_: None)
    assert {each["verdict"] for each in findings.values()} <= {"passed", "inconclusive", "unverified"}
    assert findings["load.no-write-lost"]["verdict"] == "passed", findings["load.no-write-lost"]["summary"]
    assert findings["load.answers-are-right"]["verdict"] == "passed"
    assert seen["topology"] == {"workers": 2, "hosts": 2}
    assert [each["clock_ms"] < 250 for each in seen["workers"]] == [True, True]
    for number in range(2):
        log = (tmp_path / f"worker-{number}.log").read_text()
        assert "1x again: 10/s" in log
        assert "ends: the gate has ended the run" in log


@pytest.mark.parametrize("how", ["cut off", "killed"])
def test_a_lost_host_leaves_no_verdict(tmp_path: Path, how: str) -> None:
    """A host that is lost at the peak makes every rule inconclusive, with what was known by then."""

    def lose(others: Sequence[Host], workers: Sequence[subprocess.Popen[str]]) -> None:
        log = tmp_path / "worker-0.log"
        assert comes_true(lambda: "4x: 40/s" in log.read_text(), SEEN_WITHIN_S)
        if how == "cut off":
            others[0].cut_off()
        else:
            workers[0].kill()

    findings, seen = loaded(tmp_path, EVERYWHERE, lose)
    tried = {each["verdict"] for each in findings.values() if each["verdict"] != "unverified"}
    assert tried == {"inconclusive"}
    told = findings["load.stays-up"]["summary"]
    assert "10.209.1.2" in told
    assert "was silent for 2 s" in told
    assert "in stage 4x" in told
    assert sum(each["good"] for each in seen["stages"] if each["name"] == "1x") > 50


def test_a_service_on_loopback_is_out_of_reach(tmp_path: Path) -> None:
    """Workers that can't reach the service say where they looked, and what to change."""
    findings, _ = loaded(tmp_path, "127.0.0.1", lambda *_: None)
    told = findings["load.stays-up"]
    assert told["verdict"] == "inconclusive"
    assert "http://10.209." in told["summary"]
    assert "--host 0.0.0.0" in told["summary"]
