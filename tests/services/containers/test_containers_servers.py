"""Postgres, Redis and Toxiproxy as containers: the same abilities as local processes have."""

from __future__ import annotations

import socket
import time

import docker
import psycopg
import pytest
import redis

from pytest_prodready.environment.containers.leftovers import LABEL
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ServerError
from pytest_prodready.findings import Capability

from .conftest import Start, eventually, left_of, settings_of

SILENT_S = 1.0


def signed_in(environment: Environment) -> psycopg.Connection[tuple[object, ...]]:
    """The service's own connection, through the proxy, with the certificate verified."""
    assert environment.database is not None
    return psycopg.connect(environment.database.url(), connect_timeout=5)


def test_all_of_it(start: Start, api: docker.DockerClient) -> None:
    """One environment: verified TLS, faults, kill, freeze and restart, and nothing left of it."""
    environment = start()
    run = environment.run.id
    database, cache = environment.database, environment.cache
    assert database is not None
    assert cache is not None
    assert Capability.FAULT_PROXY in environment.capabilities
    assert {"postgres", "redis", "faultproxy", "engine"} <= environment.versions.keys()
    _everything_is_on_loopback(api, run)
    _sessions_are_exact(environment)
    _faults_are_felt(environment)
    _killed_and_started_again(environment)
    _frozen_and_thawed(environment)
    environment.stop()
    assert left_of(api, run) == []


def _everything_is_on_loopback(api: docker.DockerClient, run: str) -> None:
    for container in api.containers.list(filters={"label": f"{LABEL}={run}"}):
        for published in container.attrs["NetworkSettings"]["Ports"].values():
            assert {each["HostIp"] for each in published or ()} <= {"127.0.0.1"}


def _sessions_are_exact(environment: Environment) -> None:
    assert environment.database is not None
    before = environment.database.sessions()
    for _ in range(5):
        signed_in(environment).close()
    assert environment.database.sessions() == before + 5


def _faults_are_felt(environment: Environment) -> None:
    database = environment.database
    assert database is not None
    assert database.proxied is not None
    with database.proxied.down(), pytest.raises(psycopg.OperationalError):
        signed_in(environment)
    way = environment.way_back()
    with socket.create_server((way.listen_at, 0)) as listener:
        listener.settimeout(5)
        upstream = f"{way.known_as}:{listener.getsockname()[1]}"
        with (
            database.proxied.upstream_switched(upstream),
            socket.create_connection((database.proxied.host, database.proxied.port), 5),
        ):
            listener.accept()[0].close()
    signed_in(environment).close()


def _killed_and_started_again(environment: Environment) -> None:
    database, cache = environment.database, environment.cache
    assert database is not None
    assert database.server is not None
    assert cache is not None
    assert cache.server is not None
    with signed_in(environment) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    database.server.kill()
    cache.server.kill()
    with pytest.raises(ServerError, match="not running"), database.admin():
        pass
    database.server.start()
    cache.server.start()
    with signed_in(environment) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert cache.client().ping()
    database.server.stop()
    assert "database system is shut down" in database.log_tail()
    database.server.start()


def _frozen_and_thawed(environment: Environment) -> None:
    database, cache = environment.database, environment.cache
    assert database is not None
    assert database.server is not None
    assert cache is not None
    assert cache.server is not None
    with redis.Redis.from_url(cache.url(), socket_timeout=SILENT_S) as client:
        assert client.ping()
        cache.server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        cache.server.resume()
        assert eventually(lambda: bool(cache.client().ping()))
    database.server.pause()
    with pytest.raises(ServerError, match="paused"), database.admin():
        pass
    database.server.kill()  # also a frozen one
    database.server.start()
    signed_in(environment).close()


def test_configuration_is_the_users_own(start: Start) -> None:
    """Settings and pg_hba.conf of the user count in the container as well."""
    settings = settings_of(postgres={"settings": {"max_connections": 37, "work_mem": "5MB"}}, redis=None)
    environment = start(settings)
    assert environment.database is not None
    assert environment.database.setting("max_connections") == "37"
    assert environment.database.setting("work_mem") == "5MB"
    assert "pg_stat_statements" in environment.database.setting("shared_preload_libraries")


def test_a_server_that_refuses_its_settings(start: Start) -> None:
    """The error has the server's own last words, and says which settings."""
    settings = settings_of(postgres={"settings": {"max_connections": "many"}}, redis=None)
    began = time.monotonic()
    with pytest.raises(ServerError) as caught:
        start(settings)
    assert "max_connections" in caught.value.message
    assert "[postgres] settings" in caught.value.message
    assert time.monotonic() - began < 60


def test_logs_are_kept_without_passwords(start: Start) -> None:
    """The logs of all containers are there, and no password is in them."""
    environment = start()
    logs = environment.logs()
    assert {"postgres", "redis", "faultproxy"} <= logs.keys()
    assert "ready to accept connections" in logs["postgres"]
    assert environment.database is not None
    assert environment.database.password not in "".join(logs.values())
