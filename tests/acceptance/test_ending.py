"""However a run ends, nothing of it is left: at once, or after a kill by the next run's sweep."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.gate import NO_ENGINE, run_gate
from tests.specimens import Specimen
from tests.targets import LIVENESS, small_target

WITHIN_S = 60
SLOW = "prodready.toml::health::test_readiness_follows_database"
EXAMPLE = Specimen(name="healthy", breaks="", says="")


def remains(folder: Path) -> list[str]:
    """Every process that has this folder in its command line, working folder or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in told):
            found.append(f"{process.pid} {process.cmdline()}")
    return found


def started(folder: Path, base: Path, *nodes: str) -> subprocess.Popen[str]:
    """The gate, running in the background with its temporary files in `base`."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", *nodes],
        cwd=folder,
        env={**variables, **NO_ENGINE, "TMPDIR": str(base)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - this process has no threads that hold locks
    )


def heed_interrupts() -> None:
    """Take SIGINT as a shell's foreground process does: a background job inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def runs_in(base: Path) -> list[Path]:
    """The folders of runs under this base."""
    return [path for path in base.glob("prodready-*/*") if path.is_dir()]


def wait_for(condition: object, within_s: float = WITHIN_S) -> None:
    """Wait until the condition holds; fail when it doesn't in time."""
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def clean(folder: Path, base: Path) -> None:
    """Assert that nothing is left of any run."""
    wait_for(lambda: not remains(base), within_s=10)
    assert not runs_in(base)


@pytest.mark.parametrize("chosen", [(SLOW,), ("-n", "2", "-m", "health")], ids=["alone", "workers"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_signal_ends_everything(
    number: signal.Signals, chosen: tuple[str, ...], tmp_path: Path, base: Path
) -> None:
    """A run that is told to end takes its servers and its service with it."""
    EXAMPLE.build(tmp_path)
    run = started(tmp_path, base, *chosen)
    wait_for(lambda: any((path / "service.log").exists() for path in runs_in(base)))
    run.send_signal(number)
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 2, output
    assert "the run was interrupted" in output
    assert " READY" not in output.replace("NOT READY", "")
    clean(tmp_path, base)


def test_normal_end_leaves_nothing(tmp_path: Path, base: Path) -> None:
    """After a run that passes there is no process and no folder of it."""
    EXAMPLE.build(tmp_path)
    run = started(tmp_path, base, LIVENESS)
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 0, output
    clean(tmp_path, base)


def test_killed_runs_are_swept_by_the_next(tmp_path: Path, base: Path) -> None:
    """Whenever kill -9 hits, the next run removes all that it left."""
    EXAMPLE.build(tmp_path)
    chance = random.Random(7)
    for _ in range(4):
        run = started(tmp_path, base, SLOW)
        moment = time.monotonic() + chance.uniform(1.0, 6.0)
        wait_for(lambda: time.monotonic() > moment or run.poll() is not None)  # noqa: B023
        run.kill()
        run.communicate(timeout=WITHIN_S)
    run = started(tmp_path, base, LIVENESS)
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 0, output
    clean(tmp_path, base)


@pytest.mark.parametrize(
    ("folder", "rule"),
    [
        ("restored", "base_backup_verified"),
        ("restored/data/recovery.signal", "point_in_time"),
        ("empty", "rows_equal"),
        ("rollback", "rollback_plan"),
    ],
)
def test_killed_amid_backups(folder: str, rule: str, tmp_path: Path, base: Path) -> None:
    """Of a gate that is killed while a backup is made or restored, the next run removes every server."""
    EXAMPLE.build(tmp_path)
    run = started(tmp_path, base, f"prodready.toml::backup::test_{rule}")
    wait_for(lambda: any((path / folder).exists() for path in runs_in(base)))
    run.kill()
    run.communicate(timeout=WITHIN_S)
    assert remains(base)
    run = started(tmp_path, base, LIVENESS)
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 0, output
    clean(tmp_path, base)


def test_exit_first_leaves_nothing(tmp_path: Path) -> None:
    """-x stops the environment as well."""
    small_target(
        tmp_path,
        "[service]\nname = 'x'\ncommand = '{python} server.py {port}'\n[health]\nliveness = '/500'\n",
    )
    run = run_gate(tmp_path, "-x", LIVENESS)
    assert run.code == 1
    assert not remains(tmp_path / "server.py")
