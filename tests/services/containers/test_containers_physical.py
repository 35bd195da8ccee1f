"""Physical backups of a server in a container: the same as with local processes, and nothing of it stays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import docker

from pytest_prodready.environment.containers.leftovers import LABEL
from pytest_prodready.environment.containers.postgres_tools import FOLDER
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.runs import sweep
from pytest_prodready.probes.backup_physical import physical_backup
from pytest_prodready.probes.backup_point_in_time import point_in_time
from tests.services.environment.standing import is_as_before, tell

from .conftest import Child, Start, left_of, settings_of

SETTINGS = {"archive_mode": "on", "archive_command": "cp %p /nonexistent/%f", "summarize_wal": "on"}


def unheard(_: str) -> None:
    """Progress that nobody listens to."""


def containers_of(api: docker.DockerClient, environment: Environment) -> dict[str, str]:
    """The run's containers by name, with their ids."""
    wanted = {"label": f"{LABEL}={environment.run.id}"}
    return {
        str(one.name): str(one.id)
        for one in api.containers.list(all=True, filters=wanted, ignore_removed=True)
    }


def test_backed_up_and_recovered(start: Start, api: docker.DockerClient) -> None:
    """It is verified, starts as the same database, also incrementally, and is recovered to a moment."""
    environment = start(settings_of(postgres={"settings": SETTINGS}, redis=None))
    tell(environment, "CREATE TABLE kept AS SELECT n AS id FROM generate_series(1, 2000) n")
    before = containers_of(api, environment)
    seen = physical_backup(environment, unheard)
    assert (seen.not_started, seen.differences, seen.changed, seen.rows) == ("", (), (), 2000)
    assert seen.incremental.verified is not None
    assert seen.incremental.failure is None
    assert seen.soundness is not None
    assert seen.soundness.status == 0, seen.soundness
    assert seen.control is not None
    assert seen.control.status == 1
    recovered = point_in_time(environment, unheard)
    assert recovered.not_recovered == ""
    assert recovered.recovered == recovered.written
    assert containers_of(api, environment) == before
    primary = api.containers.get(next(one for name, one in before.items() if name.endswith("-postgres")))
    assert primary.exec_run(["ls", FOLDER]).output == b""
    assert "starting point-in-time recovery" in environment.logs()["restored"]
    assert is_as_before(environment)


def test_a_killed_owner_leaves_nothing(child: Callable[..., Child], api: docker.DockerClient) -> None:
    """SIGKILL while a server runs on a restored backup: a sweep removes all of it."""
    dead = child(None, sys.executable, str(Path(__file__).with_name("child_physical.py")))
    run = dead.hear("run")["run"]
    assert len(left_of(api, run)) == 4  # two servers, the proxy, the network
    dead.kill()
    sweep()
    assert left_of(api, run) == []
