"""A kill -9 soon after a step of a measurement has begun: of the server, or of the process that measures.

A module with SETTINGS, and PROBES by step, imports the tests from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test kills in each step."""
    metafunc.parametrize("step", metafunc.module.PROBES)


@pytest.fixture(scope="module")
def environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """One server, that is killed again and again."""
    started = Environment.start(request.module.SETTINGS, folder=tmp_path_factory.mktemp("target"))
    tell(started, ROWS)
    yield started
    started.stop()


def test_server_killed(step: str, environment: Environment, request: pytest.FixtureRequest) -> None:
    """A server that dies in the middle of a step ends the measurement, and has lost nothing."""
    server, before, folders = server_of(environment), _held(environment), _folders(environment)
    killing: list[threading.Timer] = []

    def kill_soon(text: str) -> None:
        if step in text and not killing:
            killing.append(threading.Timer(SOON_S, server.kill))
            killing[0].start()

    with suppress(ProdreadyError, psycopg.Error):
        request.module.PROBES[step](environment, request.module.SETTINGS, kill_soon)
    assert killing, "it never came to that"
    killing[0].join()
    server.start()
    database_of(environment).close()
    assert _held(environment) == before
    assert is_as_before(environment)
    tell(environment, "DROP TABLE written")
    assert _folders(environment) == folders


def test_owner_killed(step: str, request: pytest.FixtureRequest) -> None:
    """Of a gate that dies in the middle of a step nothing is left after the next sweep."""
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), request.module.__name__, step],
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
