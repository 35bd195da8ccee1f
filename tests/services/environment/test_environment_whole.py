"""Everything together: started as configured, stopped whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ApplicationError, ConfigError, ServerError
from pytest_prodready.findings import Capability
from pytest_prodready.settings import Settings

from .conftest import Start, settings_of

DATABASE_URL = {"DATABASE_URL": "{postgres.url}"}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that are opened during a test."""
    runs: list[Run] = []
    real = Run.open

    def remember() -> Run:
        runs.append(real())
        return runs[-1]

    monkeypatch.setattr(Run, "open", remember)
    return runs


def test_all_of_it(environment: Environment) -> None:
    """Both servers answer through their proxies, and the versions tell what they are."""
    assert environment.database is not None
    assert environment.cache is not None
    assert environment.faults is not None
    assert environment.application is not None
    with psycopg.connect(environment.database.url()) as connection:
        assert connection.info.dbname == "tiny_one"
    with redis.Redis.from_url(environment.cache.url()) as client:
        assert client.ping()
    assert set(environment.versions) == {"postgres", "redis", "faultproxy", "python"}
    assert {Capability.DATABASE, Capability.REDIS_TLS, Capability.FAULT_PROXY, Capability.DESTRUCTIVE} <= (
        environment.capabilities
    )
    assert environment.service_env()["DATABASE_URL"] == environment.database.url()


def test_everything_is_on_loopback(environment: Environment) -> None:
    """Nothing listens beyond loopback."""
    processes = of_run(environment.run.folder)
    listening = [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 6
    assert set(listening) == {"127.0.0.1"}


def test_logs_hold_no_password(environment: Environment) -> None:
    """The logs are there, and the service's own printing of its URL is redacted."""
    logs = environment.logs()
    assert {"service", "postgres", "redis", "faultproxy"} <= set(logs)
    assert "[redacted]" in logs["service"]
    assert environment.database is not None
    assert not [name for name, text in logs.items() if environment.database.password in text]
    assert environment.database.password not in repr(environment)


def test_only_what_is_needed(start: Start) -> None:
    """Without a table or placeholder for them, no server and no proxy is started."""
    environment = start(settings_of())
    assert (environment.database, environment.cache, environment.faults) == (None, None, None)
    assert environment.capabilities >= {Capability.SERVICE, Capability.PROCESS}
    assert Capability.DATABASE not in environment.capabilities


def test_two_at_once(start: Start) -> None:
    """Two environments in one process don't meet, and stopping one leaves the other."""
    first, second = (start(settings_of(service={"env": DATABASE_URL})) for _ in range(2))
    assert first.database is not None
    assert second.database is not None
    assert first.database.endpoint != second.database.endpoint
    first.stop()
    first.stop()
    assert not first.run.folder.exists()
    psycopg.connect(second.database.url()).close()


@pytest.mark.parametrize("moment", ["starting Valkey", "starting tiny-one", "setting up"])
def test_interrupted(opened: list[Run], start: Start, moment: str) -> None:
    """Ctrl-C at any step of the start leaves nothing."""

    def interrupt(step: str) -> None:
        if step.startswith(moment):
            raise KeyboardInterrupt

    settings = settings_of(service={"env": DATABASE_URL, "setup": ["true"]}, redis={})
    with pytest.raises(KeyboardInterrupt):
        start(settings, progress=interrupt)
    (run,) = opened
    assert not run.folder.exists()
    assert of_run(run.folder) == []


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        ({"service": {"setup": ["false"]}}, ApplicationError),
        ({"postgres": {"settings": {"no_such_setting": 1}}}, ServerError),
        ({"postgres": {"hba": "missing.conf"}}, ConfigError),
        ({"postgres": {"url": "postgresql://me:hidden-word@127.0.0.1:1/x"}}, ServerError),
        ({"postgres": {"url": "postgresql://me:hidden-word@[::1/x"}}, ConfigError),
        ({"redis": {"url": "redis://:hidden-word@127.0.0.1:1/0"}}, ServerError),
        ({"redis": {"url": "redis://:hidden-word@127.0.0.1:port/0"}}, ConfigError),
        ({"service": {"command": None, "url": "http://127.0.0.1:1"}}, ApplicationError),
    ],
)
def test_a_failed_start(
    opened: list[Run], start: Start, tables: dict[str, Any], error: type[Exception]
) -> None:
    """When a part fails, the error says so without a password, and the rest is gone."""
    with pytest.raises(error) as failed:
        start(settings_of(**tables))
    assert "hidden" not in str(failed.value)
    (run,) = opened
    assert not run.folder.exists()
    assert of_run(run.folder) == []


def test_refusals_are_told(start: Start, tmp_path: Path) -> None:
    """When the server's hba refuses the service, the error of the service says so."""
    (tmp_path / "pg_hba.conf").write_text("hostssl all all all reject\n")
    with pytest.raises(ApplicationError, match=r"refused it(.|\n)*pg_hba.conf rejects connection"):
        start(signing_in(tmp_path))


def test_productions_addresses_keep_nobody_out(start: Start, tmp_path: Path) -> None:
    """Lines for production's networks alone don't keep the service out of the gate's own server."""
    (tmp_path / "pg_hba.conf").write_text("hostssl all all 10.0.0.0/8 scram-sha-256\n")
    start(signing_in(tmp_path))


def signing_in(folder: Path) -> Settings:
    """Settings with a set-up command that signs in, and with a pg_hba.conf."""
    client = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).close()"
    (folder / "client.py").write_text(client)
    return settings_of(
        service={"env": DATABASE_URL, "setup": ["{python} client.py"]}, postgres={"hba": "pg_hba.conf"}
    )


def test_external_servers(environment: Environment, start: Start) -> None:
    """Servers of the user's own are used as they are, without proxies."""
    assert environment.database is not None
    assert environment.cache is not None
    given: dict[str, Any] = {
        "postgres": {"url": environment.database.url(environment.database.endpoint)},
        "redis": {"url": environment.cache.url(environment.cache.endpoint)},
    }
    other = start(settings_of(service={"env": DATABASE_URL}, **given), backend="external")
    assert other.database is not None
    assert other.cache is not None
    assert (other.database.origin, other.cache.origin, other.faults) == ("external", "external", None)
    assert other.cache.version == environment.cache.version
    assert other.service_env() == {"DATABASE_URL": other.database.url()}
    assert not other.capabilities & {Capability.FAULT_PROXY, Capability.DESTRUCTIVE, Capability.ADMIN}
    other.stop()
    psycopg.connect(environment.database.url()).close()


def test_a_changed_port_is_free_again(start: Start) -> None:
    """After the end every port of it can be used again."""
    environment = start(settings_of(service={"env": DATABASE_URL}))
    assert environment.application is not None
    assert environment.database is not None
    assert environment.database.proxied is not None
    ports = [
        environment.application.port,
        environment.database.endpoint.port,
        environment.database.proxied.port,
    ]
    environment.stop()
    assert all(is_free(port) for port in ports)
