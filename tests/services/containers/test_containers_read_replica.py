"""A standby that the service reads from, as containers: the same as with local processes."""

from __future__ import annotations

from contextlib import closing

import docker
import httpx
import psycopg
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.read_replica import ReadReplica
from pytest_prodready.environment.service import Endpoint
from tests.images.build import Images
from tests.services.environment.standing import first, is_as_before, tell

from .conftest import TINY, Start, left_of
from .test_application import application_of, program, settings_of

SHOWN = {"SHOWN": "{postgres.replica_url}"}
COUNT = "SELECT count(*) FROM kept"


@pytest.mark.parametrize("inside", [True, False], ids=["a container", "a process"])
def test_a_service_reads_from_a_standby(
    start: Start, images: Images, api: docker.DockerClient, inside: bool
) -> None:
    """Twice in a row: an instance is told of a standby behind a proxy of its own; nothing of it is left."""
    image, command = (images.python, program()) if inside else (None, f"{{python}} {TINY} {{port}} well")
    environment = start(settings_of(image, env=SHOWN, command=command))
    tell(environment, "CREATE TABLE kept (id int)")
    before = len(left_of(api, environment.run.id))
    primary = httpx.get(application_of(environment).base_url).text
    for number in range(2):
        with environment.read_replica() as found:
            told = httpx.get(found.application.base_url).text
            assert told != primary
            assert httpx.get(application_of(environment).base_url).text == primary
            assert told.endswith("/etc/prodready/ca.pem") is inside
            _is_stale_while_paused(environment, found, rows=number)
        assert is_as_before(environment)
        assert len(left_of(api, environment.run.id)) == before


def _is_stale_while_paused(environment: Environment, found: ReadReplica, rows: int) -> None:
    """Through the proxy, as a reader in this process reaches it."""
    assert environment.database is not None
    url = environment.database.url(Endpoint(found.proxied.host, found.proxied.port))
    with closing(psycopg.connect(url, autocommit=True)) as reader:
        assert first(reader, "SELECT pg_is_in_recovery()") is True
        with found.standby.replay_paused():
            tell(environment, "INSERT INTO kept VALUES (1)")
            assert first(reader, COUNT) == rows
        assert found.standby.caught_up()
        assert first(reader, COUNT) == rows + 1
