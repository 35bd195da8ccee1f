"""A kill -9 in the middle of any step of a backup leaves the source as it was, and nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes import backup, backup_physical, backup_point_in_time, backup_rollback
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings
from tests.services.environment.conftest import settings_of
from tests.services.environment.standing import database_of, tell
from tests.services.killed import ROWS, Probe, owner_dies, server_dies

SETTINGS = settings_of(
    postgres={"settings": {"archive_mode": "on", "archive_command": "cp %p /nonexistent/%f"}},
    service={"env": {"DATABASE_URL": "{postgres.url}"}},
    requests=[{"path": "/ready", "expect": [200]}],
)


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
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One server, that is killed again and again."""
    started = Environment.start(SETTINGS, folder=tmp_path_factory.mktemp("target"))
    tell(started, ROWS)
    yield started
    started.stop()


@pytest.mark.parametrize("step", PROBES)
def test_server_killed(step: str, environment: Environment) -> None:
    """A server that dies in the middle of a step ends the measurement, and has lost nothing."""
    server_dies(environment, SETTINGS, step, PROBES)


@pytest.mark.parametrize("step", PROBES)
def test_owner_killed(step: str) -> None:
    """Of a gate that dies in the middle of a step nothing is left after the next sweep."""
    owner_dies(__name__, step)
