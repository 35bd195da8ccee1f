"""A standby that the service reads from: an instance is told of it, and nothing of it is left."""

from __future__ import annotations

import socket
from contextlib import closing

import httpx
import psycopg
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.errors import ServerError

from .conftest import Start, eventually, settings_of
from .standing import database_of, first, is_as_before, tell

TOLD = {"env": {"SHOWN": "{postgres.replica_url}"}}
COUNT = "SELECT count(*) FROM kept"


def told(application: ApplicationRole) -> str:
    """What the service was told of its replica."""
    return httpx.get(application.base_url).text


def service_of(environment: Environment) -> ApplicationRole:
    """The service of an environment that has one."""
    assert environment.application is not None
    return environment.application


def test_an_instance_reads_from_a_standby(start: Start) -> None:
    """Twice in a row: its replica is the standby, by a proxy of its own; the first one's is the primary."""
    environment = start(settings_of(service=TOLD))
    tell(environment, "CREATE TABLE kept (id int)")
    for number in range(2):
        with environment.read_replica() as found:
            url = told(found.application)
            assert f"@{found.proxied.host}:{found.proxied.port}/" in url
            assert told(service_of(environment)) == database_of(environment).url()
            with closing(psycopg.connect(url, autocommit=True)) as reader:
                assert first(reader, "SELECT pg_is_in_recovery()") is True
                assert first(reader, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
                with found.standby.replay_paused():
                    tell(environment, "INSERT INTO kept VALUES (1)")
                    assert first(reader, COUNT) == number
                assert eventually(lambda reader=reader, rows=number + 1: first(reader, COUNT) == rows)  # type: ignore[misc]
        assert not found.application.alive
        assert is_free(found.proxied.port)
        assert is_as_before(environment)
    assert service_of(environment).alive


def test_one_with_a_port_of_its_own_makes_room(start: Start) -> None:
    """Where there can be one instance alone, it is started anew with the replica, and again as it was."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    environment = start(settings_of(service={**TOLD, "port": port}))
    with environment.read_replica() as found:
        assert found.application.port == port
        assert f":{found.proxied.port}/" in told(found.application)
        assert not service_of(environment).alive
    assert told(service_of(environment)) == database_of(environment).url()


def test_there_is_none_without_a_primary_of_ours(start: Start) -> None:
    """It is an error that says so."""
    environment = start(settings_of())
    with pytest.raises(ServerError, match="could read from a standby"), environment.read_replica():
        pass
