"""A kill -9 in the middle of a migration on trial leaves the service's database as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes import migration, migration_deploys
from tests.services.environment.standing import tell
from tests.services.killed import ROWS, Probe, owner_dies, server_dies

from .conftest import settings_of

FILES = Path(__file__).with_name("two_revisions")
SETTINGS = settings_of(files=str(FILES))
PROBES: dict[str, Probe] = {
    "all revisions at once": migration.round_trips,
    "revision 2": migration.round_trips,
    "failing, and run again": migration_deploys.deploys,
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
