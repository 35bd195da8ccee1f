"""A kill -9 in the middle of any step of a backup leaves the source as it was, and nothing behind."""

from __future__ import annotations

from collections.abc import Callable

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes import backup, backup_physical, backup_point_in_time, backup_rollback
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings
from tests.services.environment.conftest import settings_of
from tests.services.environment.standing import database_of
from tests.services.killed import (
    Probe,
    environment,
    pytest_generate_tests,
    test_owner_killed,
    test_server_killed,
)

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

__all__ = ["environment", "pytest_generate_tests", "test_owner_killed", "test_server_killed"]
