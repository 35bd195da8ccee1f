"""Runs clean up after themselves, and the next one after those that were killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment import runs
from pytest_prodready.environment.leftovers import LABEL, of_run
from pytest_prodready.environment.ports import answers, is_free
from pytest_prodready.environment.runs import Run, base_folder, sweep
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

from .conftest import TINY, eventually

OWNER = """
    import json, sys, time
    from pathlib import Path
    from pytest_prodready.environment.environment import Environment
    from pytest_prodready.settings import Settings

    service = {"name": "tiny", "command": "{python} TINY {port} parent", "env": {"X": "{postgres.url}"}}
    settings = Settings.model_validate({"service": service, "redis": {"tls": True}})
    print(json.dumps("starting"), flush=True)
    environment = Environment.start(settings, folder=Path("FOLDER"))
    servers = [environment.database, environment.cache]
    ports = [environment.application.port, *(server.endpoint.port for server in servers)]
    ports += [server.proxied.port for server in servers]
    print(json.dumps([str(environment.run.folder), ports]), flush=True)
    if "keep" in sys.argv:
        environment.keep()
    else:
        time.sleep(600)
"""


SWEEP = "from pytest_prodready.environment.runs import sweep; sweep()"


def owner(folder: Path, *arguments: str, temporary: Path | None = None) -> subprocess.Popen[str]:
    """A process that starts an environment; in a folder where nobody else sweeps, if one is given."""
    script = textwrap.dedent(OWNER).replace("TINY", str(TINY)).replace("FOLDER", str(folder))
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", script, *arguments]
    variables = {**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=variables)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == "starting"
    return process


def test_after_kill_9(tmp_path: Path) -> None:
    """Of a killed owner's run nothing is left after a sweep: no process, folder or port."""
    process = owner(tmp_path)
    assert process.stdout is not None
    folder, ports = json.loads(process.stdout.readline())
    running = of_run(Path(folder))
    assert {"postgres"} <= {found.name() for found in running}
    process.kill()
    process.communicate()
    sweep()
    assert not Path(folder).exists()
    assert not any(is_alive(found) for found in running)
    assert of_run(Path(folder)) == []
    assert all(is_free(port) for port in ports)


def test_after_kill_9_at_any_moment(tmp_path: Path) -> None:
    """Also in the midst of a start nothing is left after a sweep."""
    for _ in range(3):
        before = {path.name for path in base_folder().iterdir()}
        process = owner(tmp_path)
        time.sleep(random.uniform(0, 0.8))  # the moment is the point
        process.kill()
        process.communicate()
        new = {path for path in base_folder().iterdir() if path.is_dir() and path.name not in before}
        sweep()
        ours = [path for path in new if not path.exists()]
        assert all(of_run(path) == [] for path in ours)
        label = f"{LABEL}="
        assert not [
            found for found in psutil.process_iter() if labelled(found, {path.name for path in ours})
        ], label


def test_what_is_kept(tmp_path: Path) -> None:
    """A kept environment outlives its owner, and ends with the next sweep."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pr-") as own:
        Path(own).chmod(0o755)
        process = owner(tmp_path, "keep", temporary=Path(own))
        assert process.stdout is not None
        folder, ports = json.loads(process.stdout.readline())
        assert process.wait(10) == 0
        process.stdout.close()
        assert all(answers(Endpoint("127.0.0.1", port)) for port in ports)
        subprocess.run([sys.executable, "-c", SWEEP], env={**os.environ, "TMPDIR": own}, check=True)
        assert not Path(folder).exists()
        assert eventually(lambda: all(is_free(port) for port in ports))


def test_a_record_of_the_engine_that_was_cut_off(run: Run) -> None:
    """A run that died while it noted its engine has made nothing there: its folder goes at the next sweep."""
    dead = Run.open()
    (dead.folder / runs.ENGINE_RECORD).touch()
    dead.abandon()
    sweep()
    assert not dead.folder.exists()
    assert run.folder.is_dir()


def test_containers_of_another_installation() -> None:
    """Without the package for containers those of a dead run wait for whoever has it, and nothing fails."""
    without = "import sys; sys.modules['docker'] = None; "
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pr-") as own:
        Path(own).chmod(0o755)
        variables = {**os.environ, "TMPDIR": own}
        script = "from pytest_prodready.environment.runs import *; run = Run.open(); print(run.folder); "
        script += "(run.folder / ENGINE_RECORD).write_text('{}'); run.abandon()"
        made = subprocess.run(
            [sys.executable, "-c", script], env=variables, check=True, capture_output=True, text=True
        )
        subprocess.run([sys.executable, "-c", without + SWEEP], env=variables, check=True)
        assert Path(made.stdout.strip()).is_dir()


def test_the_living_are_left_alone(run: Run) -> None:
    """A sweep, and many at once, touch no run whose owner lives."""
    process = run.spawn(["sleep", "600"], env={}, cwd=run.folder, log=run.folder / "sleep.log")
    with ThreadPoolExecutor(4) as threads:
        swept = [found for job in [threads.submit(sweep) for _ in range(4)] for found in job.result()]
    assert run.id not in {found.run for found in swept}
    assert process.poll() is None
    assert run.folder.is_dir()


def test_strangers_are_left_alone() -> None:
    """A process that only works in the folder of a dead run, such as a user's shell, is not ended."""
    run = Run.open()
    stranger = subprocess.Popen(["sleep", "600"], cwd=run.folder)
    try:
        run.abandon()
        sweep()
        assert not run.folder.exists()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_run_that_is_gone_meanwhile(tmp_path: Path) -> None:
    """A folder that its owner has removed since it was listed is nobody's to sweep, and no error."""
    assert runs._has_owner(tmp_path / "gone")


def test_daemons_are_found(run: Run) -> None:
    """A process that left its group and its parent is still ended with the run."""
    script = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    process = run.spawn([sys.executable, "-c", script], env={}, cwd=run.folder, log=run.folder / "daemon.log")
    process.wait()
    (daemon,) = of_run(run.folder)
    run.close()
    assert eventually(lambda: not is_alive(daemon))


def test_ports_do_not_race(run: Run) -> None:
    """Ports reserved at the same time by threads and processes all differ, and none is a client's."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    script = "from pytest_prodready.environment.runs import Run; r = Run.open(); "
    script += "print(*[r.ports.reserve() for _ in range(50)], flush=True); input(); r.close()"
    root = str(Path(__file__).parents[3])
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        for _ in range(2)
    ]
    with ThreadPoolExecutor(8) as threads:
        mine = [job.result() for job in [threads.submit(run.ports.reserve) for _ in range(50)]]
    theirs = [int(word) for other in others if other.stdout for word in other.stdout.readline().split()]
    for other in others:
        other.communicate("\n")
    for port in mine:
        run.ports.release(port)
    assert len({*mine, *theirs}) == 150
    assert max(*mine, *theirs) < lowest


def test_closing_twice_from_threads() -> None:
    """Closing is harmless when done again, also at the same time."""
    run = Run.open()
    threads = [threading.Thread(target=run.close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not run.folder.exists()


def test_a_folder_of_somebody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder for runs that others may write to is refused."""
    monkeypatch.setattr(runs, "_temporary_folder", lambda: tmp_path)
    base_folder().chmod(0o777)
    with pytest.raises(ServerError, match="isn't ours alone"):
        base_folder()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def labelled(process: psutil.Process, names: set[str]) -> bool:
    """Whether a process carries the label of one of these runs."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get(LABEL) in names
    return False
