"""Of a standby nothing stays when its owner is killed; and an ordinary user can have one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.runs import sweep

from .conftest import TINY, eventually

ROOT = Path(__file__).parents[3]
NOBODY = 65534
CANNOT = 77  # the child's status where that user can't read this installation
OWNER = """
    import json, os, sys, tempfile
    from pathlib import Path
    import psycopg, redis, trustme, testcontainers, psutil, toxiproxy
    from pytest_prodready.environment import failures
    from pytest_prodready.environment.environment import Environment
    from pytest_prodready.settings import Settings

    if "nobody" in sys.argv:
        os.setgroups([]), os.setgid(NOBODY), os.setuid(NOBODY)
        if not os.access(sys.executable, os.X_OK) or not os.access("TINY", os.R_OK):
            sys.exit(CANNOT)
        os.environ["HOME"] = tempfile.mkdtemp()
    service = {"name": "tiny", "command": "{python} TINY {port}", "env": {"X": "{postgres.url}"}}
    settings = Settings.model_validate({"service": service, "redis": {"tls": True}})
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment.start(settings, folder=Path(folder))
        try:
            with environment.standby("synchronous") as standby, environment.replica() as replica:
                ports = [standby.endpoint.port, replica.endpoint.port]
                print(json.dumps([str(environment.run.folder), ports]), flush=True)
                if "wait" in sys.argv:
                    sys.stdin.readline()
                with failures.failed_over(standby), failures.redis_demoted(replica):
                    pass
            print(json.dumps("done"), flush=True)
        finally:
            environment.stop()
"""


def owner(*arguments: str) -> subprocess.Popen[str]:
    """A process that has a standby and a replica."""
    script = OWNER.replace("TINY", str(TINY)).replace("NOBODY", str(NOBODY)).replace("CANNOT", str(CANNOT))
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_after_kill_9() -> None:
    """Of a killed owner's standby and replica nothing is left after a sweep: no process, folder or port."""
    process = owner("wait")
    assert process.stdout is not None
    folder, ports = json.loads(process.stdout.readline())
    running = of_run(Path(folder))
    assert not any(is_free(port) for port in ports)
    process.kill()
    process.communicate()
    sweep()
    assert eventually(lambda: not Path(folder).exists())  # another worker may sweep it
    assert not any(each.is_running() and each.status() != "zombie" for each in running)
    assert all(is_free(port) for port in ports)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_an_ordinary_user() -> None:
    """All of it works without root."""
    process = owner("nobody")
    said, complaints = process.communicate(timeout=120)
    if process.returncode == CANNOT:
        pytest.skip("an ordinary user can't read this installation")
    assert process.returncode == 0, complaints
    assert said.splitlines()[-1] == '"done"'
