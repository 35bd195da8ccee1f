"""A kill -9 soon after a step of a measurement has begun: of the server, or of the process that measures."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run, runs
from pytest_prodready.environment.runs import sweep
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.backup_physical import held
from pytest_prodready.probes.contents import Contents
from pytest_prodready.settings import Settings
from tests.services.environment.conftest import eventually
from tests.services.environment.standing import database_of, is_as_before, server_of, tell

ROOT = Path(__file__).parents[2]
SOON_S = 0.05
ROWS = "CREATE TABLE kept AS SELECT n AS id, 'word ' || n AS word FROM generate_series(1, 50000) n"

Probe = Callable[[Environment, Settings, Callable[[str], None]], object]

# A module with SETTINGS, and PROBES by step.
OWNER = """
    import importlib, json, sys, tempfile
    from pathlib import Path
    from pytest_prodready.environment.environment import Environment
    from tests.services.killed import ROWS
    from tests.services.environment.standing import tell

    what = importlib.import_module(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment.start(what.SETTINGS, folder=Path(folder))
        try:
            tell(environment, ROWS)
            print(json.dumps(str(environment.run.folder)), flush=True)
            told = lambda text: print(json.dumps(text), flush=True)
            what.PROBES[sys.argv[2]](environment, what.SETTINGS, told)
        finally:
            environment.stop()
"""


def server_dies(environment: Environment, settings: Settings, step: str, probes: Mapping[str, Probe]) -> None:
    """Kill the server in the middle of a step; started again it holds what it held, and nothing is left."""
    server, before, folders = server_of(environment), _held(environment), _folders(environment)
    killing: list[threading.Timer] = []

    def kill_soon(text: str) -> None:
        if step in text and not killing:
            killing.append(threading.Timer(SOON_S, server.kill))
            killing[0].start()

    with suppress(ProdreadyError, psycopg.Error):
        probes[step](environment, settings, kill_soon)
    assert killing, "it never came to that"
    killing[0].join()
    server.start()
    database_of(environment).close()
    assert _held(environment) == before
    assert is_as_before(environment)
    tell(environment, "DROP TABLE written")
    assert _folders(environment) == folders


def owner_dies(module: str, step: str) -> None:
    """Kill the process that measures in the middle of a step; the next sweep leaves nothing of its run."""
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), module, step],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert owner.stdout is not None
    folder = Path(json.loads(owner.stdout.readline()))
    assert any(step in json.loads(line) for line in owner.stdout), "it never came to that"
    running = of_run(folder)
    owner.kill()
    owner.communicate()
    sweep()
    assert eventually(lambda: not folder.exists())  # another worker may sweep it
    assert running
    assert eventually(lambda: not any(runs(each) for each in running))


def _held(environment: Environment) -> Contents:
    return held(database_of(environment))


def _folders(environment: Environment) -> set[str]:
    """What the run has folders for: each server and each room for backups has one."""
    return {path.name for path in environment.run.folder.iterdir() if path.is_dir()}
