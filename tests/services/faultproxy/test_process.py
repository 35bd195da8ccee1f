"""The built-in server as a process: how it starts, tells its port, and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import psutil
import pytest

from .peers import DEADLINE_S, Control, Upstream, connected, eventually

COMMAND = [sys.executable, "-m", "pytest_prodready.faultproxy", "--port", "0"]


@contextmanager
def started(*options: str, stdin: int | None = None) -> Iterator[tuple[subprocess.Popen[bytes], Control]]:
    """A server that the test itself ends."""
    process = subprocess.Popen(
        [*COMMAND, *options], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        told = json.loads(_opened(process.stdout).readline())
        yield process, Control(told["host"], told["port"], process.pid, builtin=True)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_quietly(number: signal.Signals, upstream: Upstream) -> None:
    """A signal closes everything, exits 0 and says nothing."""
    with started() as (process, control):
        listen = control.create(upstream.address)["listen"]
        with connected(listen) as client:
            upstream.accept()
            idle = socket.create_connection((control.host, control.port), timeout=5)
            process.send_signal(number)
            assert process.wait(DEADLINE_S) == 0
            assert client.ended()
            idle.close()
        assert _opened(process.stderr).read() == b""


def test_end_of_stdin_ends_it() -> None:
    """Where asked for, the server goes when its stdin does, and not before."""
    with started("--die-with-stdin", stdin=subprocess.PIPE) as (process, control):
        _opened(process.stdin).write(b"ignored\n")
        _opened(process.stdin).flush()
        assert control.ask("GET", "/version").status == 200
        _opened(process.stdin).close()
        assert process.wait(DEADLINE_S) == 0


def test_it_dies_with_a_killed_parent() -> None:
    """A parent that gets SIGKILL can't clean up; the server goes nevertheless."""
    script = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen({[*COMMAND, '--die-with-stdin']!r}, stdin=subprocess.PIPE)\n"
        "print(p.pid, flush=True)\n"
        "p.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        lines = [_opened(parent.stdout).readline() for _ in range(2)]
        pid = next(int(line) for line in lines if line.strip().isdigit())
    finally:
        parent.kill()
        parent.communicate(timeout=DEADLINE_S)
    assert eventually(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_it_listens_on_loopback_alone() -> None:
    """Nothing is offered to the network unless told so."""
    with started() as (process, control):
        assert control.host == "127.0.0.1"
        control.create("127.0.0.1:9", listen="")
        listening = [c for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_taken_port_is_an_error() -> None:
    """A port that is taken ends it with status 1 and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, timeout=DEADLINE_S, check=False
        )
    assert result.returncode == 1
    assert f"127.0.0.1:{port}".encode() in result.stderr
    assert b"Traceback" not in result.stderr


def test_it_needs_nothing_but_the_standard_library() -> None:
    """The package imports nothing of the rest and nothing installed, so that it starts fast."""
    script = (
        "import sys; before = set(sys.modules); import pytest_prodready.faultproxy.__main__;"
        "print(*sorted({n.partition('.')[0] for n in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)));"
        "print(*sorted(n for n in sys.modules if n.startswith('pytest_prodready')))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    installed, ours = told.stdout.splitlines()
    assert installed.split() == ["pytest_prodready"]
    assert all(n == "pytest_prodready" or "faultproxy" in n for n in ours.split())


def test_it_starts_fast() -> None:
    """Starting takes a fraction of a second even on a busy machine."""
    seconds = []
    for _ in range(3):
        clock = time.perf_counter()
        with started():
            seconds.append(time.perf_counter() - clock)
    assert min(seconds) < 1.0


def test_descriptors_are_allowed_for() -> None:
    """The limit of open files is raised as far as the system lets it, for each connection takes two."""
    with started() as (process, _control):
        if not hasattr(psutil.Process, "rlimit"):
            pytest.skip("limits of another process can't be read here")
        soft, hard = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft >= min(hard, 65536) or hard == -1
        assert os.getpid() != process.pid
