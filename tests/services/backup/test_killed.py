"""A kill -9 in the middle of any step leaves the source as it was, and nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run, runs
from pytest_prodready.environment.runs import sweep
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes import backup, backup_physical, backup_point_in_time, backup_rollback
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings
from tests.services.environment.conftest import eventually, settings_of
from tests.services.environment.standing import database_of, is_as_before, server_of, tell

ROOT = Path(__file__).parents[3]
TABLES: dict[str, Any] = {
    "postgres": {"settings": {"archive_mode": "on", "archive_command": "cp %p /nonexistent/%f"}},
    "redis": None,
    "service": {"env": {"DATABASE_URL": "{postgres.url}"}},
    "requests": [{"path": "/ready", "expect": [200]}],
}
ROWS = "CREATE TABLE kept AS SELECT n AS id, 'word ' || n AS word FROM generate_series(1, 50000) n"
SOON_S = 0.05  # after a step has begun

Probe = Callable[[Environment, Settings, Callable[[str], None]], object]


def physical(environment: Environment, settings: Settings, progress: Callable[[str], None]) -> object:
    """A base backup, verified and started."""
    return backup_physical.physical_backup(environment, progress)


def moment(environment: Environment, settings: Settings, progress: Callable[[str], None]) -> object:
    """A recovery to a moment."""
    return backup_point_in_time.point_in_time(environment, progress)


def dumped(environment: Environment, settings: Settings, progress: Callable[[str], None]) -> object:
    """A dump, restored and compared."""
    assert environment.application is not None
    traffic = Traffic(environment.application.base_url, settings.requests)
    try:
        return backup.backup_made(environment, database_of(environment), traffic, settings, progress)
    finally:
        traffic.close()


PROBES: dict[str, Probe] = {
    "taking a base backup": physical,
    "starting a server from the backup": physical,
    "archiving WAL": moment,
    "recovering to": moment,
    "rollback plan: asking": backup_rollback.rollback_plan,
    "rollback plan: backing up": backup_rollback.rollback_plan,
    "rollback plan: restoring": backup_rollback.rollback_plan,
    "dumping": dumped,
    "restoring": dumped,
    "comparing": dumped,
}


@pytest.fixture(scope="module")
def settings() -> Settings:
    """A service with a database whose WAL is archived."""
    return settings_of(**TABLES)


@pytest.fixture(scope="module")
def environment(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One server, that is killed again and again."""
    started = Environment.start(settings, folder=tmp_path_factory.mktemp("target"))
    tell(started, ROWS)
    yield started
    started.stop()


@pytest.mark.parametrize("step", PROBES)
def test_server_killed(step: str, environment: Environment, settings: Settings) -> None:
    """A server that dies in the middle of a step ends the measurement, and has lost nothing."""
    server, before = server_of(environment), backup_physical.held(database_of(environment))
    folders = folders_of(environment)
    killing: list[threading.Timer] = []

    def kill_soon(text: str) -> None:
        if step in text and not killing:
            killing.append(threading.Timer(SOON_S, server.kill))
            killing[0].start()

    with suppress(ProdreadyError, psycopg.Error):
        PROBES[step](environment, settings, kill_soon)
    assert killing, "it never came to that"
    killing[0].join()
    server.start()
    database_of(environment).close()
    assert backup_physical.held(database_of(environment)) == before
    assert is_as_before(environment)
    tell(environment, "DROP TABLE written")
    assert folders_of(environment) == folders


def folders_of(environment: Environment) -> set[str]:
    """What the run has folders for: each server and each room for backups has one."""
    return {path.name for path in environment.run.folder.iterdir() if path.is_dir()}


OWNER = """
    import json, sys, tempfile
    from pathlib import Path
    from pytest_prodready.environment.environment import Environment
    from tests.services.backup.test_killed import PROBES, ROWS, TABLES
    from tests.services.environment.conftest import settings_of
    from tests.services.environment.standing import tell

    settings = settings_of(**TABLES)
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment.start(settings, folder=Path(folder))
        try:
            tell(environment, ROWS)
            print(json.dumps(str(environment.run.folder)), flush=True)
            PROBES[sys.argv[1]](environment, settings, lambda text: print(json.dumps(text), flush=True))
        finally:
            environment.stop()
"""


@pytest.mark.parametrize("step", PROBES)
def test_owner_killed(step: str) -> None:
    """Of a gate that dies in the middle of a step nothing is left after the next sweep."""
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), step], stdout=subprocess.PIPE, text=True, cwd=ROOT
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
