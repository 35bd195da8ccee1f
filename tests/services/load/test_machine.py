"""Whose processor time it was: that of processes which end before anybody looks at them is counted, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_prodready.environment.runs import Run
from pytest_prodready.probes.load_machine import Machine

ENDS_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1
PARENT = """
import os, resource, sys, time

def child(seconds):
    if (pid := os.fork()) == 0:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        os._exit(0)
    return pid

early = [child(float(sys.argv[1])) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    os.waitpid(child(float(sys.argv[3])), 0)
for pid in early:
    os.waitpid(pid, 0)
own, children = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(sum((own.ru_utime, own.ru_stime, children.ru_utime, children.ru_stime)), flush=True)
sys.stdin.readline()
"""
CASES = {
    "short ones alone": ("0", "0", "0.02", "40"),
    "long ones that were there before": ("1", "2", "0", "0"),
    "both": ("0.6", "1", "0.02", "30"),
}


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_children_are_counted_once(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A process for each connection: what those have used that ended between two looks is ours."""
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    server = tmp_path / "redis-server"  # with one of its own, no other run's servers are taken for ours
    server.symlink_to(Path(sys.executable).resolve())
    process = run.spawn(
        [server, program, *words],
        env={},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        log=tmp_path / "log",
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        machine = Machine(run.folder)
        before = machine.look().serving_s
        process.stdin.write(b"\n")
        process.stdin.flush()
        end = time.monotonic() + ENDS_WITHIN_S
        os.set_blocking(process.stdout.fileno(), False)
        while not (said := process.stdout.readline()) and time.monotonic() < end:
            machine.look()
            time.sleep(LOOK_EVERY_S)
        seen = machine.look().serving_s - before
    finally:
        process.kill()
        process.communicate()
    used = float(said)
    assert used * 0.8 - 0.1 <= seen <= used + 0.1
