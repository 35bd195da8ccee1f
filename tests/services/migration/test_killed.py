"""A kill -9 in the middle of a migration on trial leaves the service's database as it was."""

from __future__ import annotations

from pathlib import Path

from pytest_prodready.probes import migration, migration_deploys
from tests.services.killed import (
    Probe,
    environment,
    pytest_generate_tests,
    test_owner_killed,
    test_server_killed,
)

from .conftest import settings_of

FILES = Path(__file__).with_name("two_revisions")
SETTINGS = settings_of(files=str(FILES))
PROBES: dict[str, Probe] = {
    "all revisions at once": migration.round_trips,
    "revision 2": migration.round_trips,
    "failing, and run again": migration_deploys.deploys,
}

__all__ = ["environment", "pytest_generate_tests", "test_owner_killed", "test_server_killed"]
