"""Commands with the service's variables end in bounded time, whatever they do."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import runs
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.errors import ConfigError

MIB = 1024 * 1024


def tried(environment: Environment, script: str, within_s: float = 20.0) -> Ran:
    """How a Python script ends."""
    command = Command("tried", f'{{python}} -c "{script}"', "[migration] upgrade")
    assert environment.application is not None
    return environment.try_command(environment.application, command, within_s, lambda _: None)


def test_ends_well(environment: Environment) -> None:
    """Its status, what it printed on both streams, and the service's variables."""
    ran = tried(
        environment, "import os, sys; print('out', file=sys.stderr); print('DATABASE_URL' in os.environ)"
    )
    assert (ran.status, ran.succeeded, ran.left) == (0, True, 0)
    assert ran.printed.split() == ["out", "True"]
    assert ran.printed_bytes == 9


def test_fails(environment: Environment) -> None:
    """A status that isn't 0, or a signal, is told as it is."""
    assert tried(environment, "raise SystemExit(3)").ended == "ended with status 3"
    killed = tried(environment, "import os; os.kill(os.getpid(), 9)")
    assert (killed.status, killed.ended) == (-9, "was ended by signal 9")


def test_hangs(environment: Environment) -> None:
    """One that doesn't end is ended, with its children; what it had printed is kept."""
    script = "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '99'])"
    began = time.monotonic()
    ran = tried(environment, script, within_s=1.5)
    assert time.monotonic() - began < 8
    assert (ran.status, ran.printed, ran.left) == (None, "begun", 0)
    assert ran.ended == "did not end within 2 s"


def test_asks_for_input(environment: Environment) -> None:
    """There is nothing to read, neither on standard input nor on a terminal."""
    ran = tried(environment, "input('sure? ')")
    assert ran.status == 1
    assert "EOFError" in ran.printed
    assert tried(environment, "open('/dev/tty')").status == 1


def test_prints_without_end(environment: Environment) -> None:
    """Only the end of what is printed is kept, in memory and on disk."""
    before = psutil.Process().memory_info().rss
    ran = tried(environment, "while True: print('x' * 100000)", within_s=1.5)
    assert ran.status is None
    assert ran.printed_bytes > 20 * MIB
    assert psutil.Process().memory_info().rss - before < 20 * MIB
    assert sum(file.stat().st_size for file in environment.run.folder.glob("tried*")) < MIB


def test_leaves_processes_behind(environment: Environment, tmp_path: Path) -> None:
    """What it starts in the background is ended and counted, even when it turned its back on it."""
    file = tmp_path / "pid"
    daemon = f"os.setsid(); open('{file}', 'w').write(str(os.getpid())); time.sleep(99)"
    forked = "os.fork() and os._exit(0)"
    ran = tried(environment, f"import os, time; {forked}; {daemon}")
    assert (ran.status, ran.left) == (0, 1)
    pid = int(file.read_text()) if file.exists() and file.read_text() else None  # or ended before it wrote
    assert pid is None or not psutil.pid_exists(pid) or not runs(psutil.Process(pid))


def test_unknown_program(environment: Environment) -> None:
    """A program that isn't there is the configuration's fault."""
    assert environment.application is not None
    command = Command("tried", "nonexistent-tool upgrade", "[migration] upgrade")
    with pytest.raises(ConfigError, match="nonexistent-tool"):
        environment.try_command(environment.application, command, 5, lambda _: None)


def test_passwords_are_hidden(environment: Environment) -> None:
    """What a command prints may hold the password; what is told doesn't."""
    assert environment.database is not None
    ran = tried(environment, "import os; print(os.environ['DATABASE_URL'])")
    assert "postgresql://" in ran.printed
    assert environment.database.password not in ran.printed


def test_blank_database(environment: Environment) -> None:
    """It is empty, the service's own, with the database's settings, reached by its way; then it is gone."""
    database = environment.database
    assert database is not None
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} SET work_mem = '7MB'")
    with environment.blank("migration") as beside:
        command = Command(
            "blank", "{python} -c \"import os; print(os.environ['DATABASE_URL'])\"", "[migration]"
        )
        ran = environment.try_command(beside.application, command, 20, lambda _: None)
        assert f"/{database.name}_migration?" in ran.printed
        with beside.database.admin() as admin:
            row = admin.execute(
                "SELECT current_setting('work_mem'), pg_get_userbyid(datdba),"
                " (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
                " FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert row == ("7MB", database.user, 0)
        name = beside.database.name
    with database.admin() as admin:
        assert admin.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is None
        admin.execute(f"ALTER DATABASE {database.name} RESET work_mem")
