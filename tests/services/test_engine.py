"""A service's own engine in a process of its own, against a real server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ConfigError
from pytest_prodready.probes.engine import EngineError, EngineProcess, service_engine
from pytest_prodready.settings import Settings
from tests.targets import SERVER

FACTORIES = """
import asyncio, os, time
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import NullPool, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

print("noise on stdout")
PLAIN = os.environ["DATABASE_URL"]
URL = PLAIN.replace("postgresql://", "postgresql+psycopg://")
SIZES = {"pool_size": 2, "max_overflow": 1, "pool_timeout": 0.3, "pool_recycle": 300}
POOLS = {"min_size": 1, "max_size": 3, "timeout": 0.3, "max_lifetime": 300, "open": False}
LIMITED = {"options": "-c statement_timeout=2s"}

def engine():
    return create_engine(URL, **SIZES, connect_args=LIMITED)

def async_engine():
    return create_async_engine(URL, **SIZES, connect_args=LIMITED)

async def awaited():
    return async_engine()

def pool():
    return ConnectionPool(PLAIN, **POOLS, kwargs=LIMITED)

def async_pool():
    return AsyncConnectionPool(PLAIN, **POOLS, kwargs=LIMITED)

def without_pool():
    return create_engine(URL, poolclass=NullPool)

def without_bound():
    return create_engine(URL, max_overflow=-1)

def patient():
    return create_engine(URL, pool_size=1, max_overflow=0, pool_timeout=60)

def never_recycling():
    return create_engine(URL, pool_size=1)

def own_loop():
    asyncio.run(asyncio.sleep(0))
    return engine()

def number():
    return 3

def secretive():
    raise ValueError(PLAIN)

def leaving():
    os._exit(3)


ready_made = engine()
"""
BOUNDED = ("engine", "async_engine", "awaited", "pool", "async_pool", "ready_made", "own_loop")

Open = Callable[[str], AbstractContextManager[EngineProcess]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    """A service whose engine is in a module beside it."""
    service = {
        "name": "small",
        "command": "{python} server.py {port}",
        "env": {"DATABASE_URL": "{postgres.url}"},
        "engine": "factories:engine",
    }
    return Settings.model_validate({"service": service})


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Iterator[Environment]:
    """A server, and the service in its folder."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "server.py").write_text(SERVER)
    (folder / "factories.py").write_text(FACTORIES)
    started = Environment.start(settings, folder=folder)
    yield started
    started.stop()


@pytest.fixture
def opened(environment: Environment, settings: Settings) -> Open:
    """Opens the engine that a factory makes."""

    def open_engine(name: str) -> AbstractContextManager[EngineProcess]:
        target = name if ":" in name else f"factories:{name}"
        service = settings.service.model_copy(update={"engine": target})
        return service_engine(environment, settings.model_copy(update={"service": service}))

    return open_engine


@pytest.mark.parametrize("name", BOUNDED)
def test_bounded_pools_refuse_and_recover(opened: Open, name: str) -> None:
    """Each kind of pool tells its size, refuses beyond it in time, and takes all connections back."""
    with opened(name) as engine:
        assert engine.connect().ok
        assert engine.figures().size == 3
        assert engine.hold(3).held == 3
        more = engine.one_more(3.0)
        assert (more.ok, more.timed_out) == (False, False)
        assert 0.2 < more.seconds < 2
        assert more.error_kind in ("TimeoutError", "PoolTimeout", "PoolTimeout from PoolTimeout")
        assert engine.release() == 0
        assert engine.connect().ok
        assert engine.setting("statement_timeout") == "2000"
        assert engine.sleep(3.0, deadline_s=5).sqlstate == "57014"


@pytest.mark.parametrize("name", BOUNDED)
def test_connections_are_taken_again_and_again(opened: Open, name: str) -> None:
    """Each kind of pool lends a connection as often as it is asked for one, and says when it has none."""
    with opened(name) as engine:
        seen = engine.checkouts(20, deadline_s=10)
        assert (seen.ok, seen.error_kind) == (True, None)
        assert engine.hold(3).held == 3
        seen = engine.checkouts(20, deadline_s=10)
        assert not seen.ok
        assert seen.error_kind in ("TimeoutError", "PoolTimeout", "PoolTimeout from PoolTimeout")
        assert engine.release() == 0


@pytest.mark.parametrize("name", ["without_pool", "without_bound"])
def test_unbounded_pools_are_told(opened: Open, name: str) -> None:
    """A pool without a bound never refuses."""
    with opened(name) as engine:
        assert engine.figures().unbounded
        assert engine.hold(8).held == 8
        assert engine.one_more(3.0).ok


def test_patient_checkout_is_given_up(opened: Open) -> None:
    """A checkout that waits beyond the deadline is told, and its connection comes back in the end."""
    with opened("patient") as engine:
        engine.hold(1)
        assert engine.one_more(0.3).timed_out
        assert engine.release() == 0


@pytest.mark.parametrize(
    ("name", "replaced"),
    [("engine", True), ("async_engine", True), ("without_pool", True), ("never_recycling", False)],
)
def test_old_connections(opened: Open, name: str, replaced: bool) -> None:
    """A connection beyond its age is replaced where the pool recycles."""
    with opened(name) as engine:
        seen = engine.age(301)
        assert seen.aged
        assert (seen.first_pid != seen.second_pid) is replaced


@pytest.mark.parametrize(("name", "own"), [("engine", False), ("pool", False), ("without_pool", True)])
def test_fork(opened: Open, name: str, own: bool) -> None:
    """A pool that is used, forked and used again shares its connection with the child."""
    with opened(name) as engine:
        assert engine.fork().own is own


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere:make", "there is no module nowhere"),
        ("factories:engin", "did you mean engine?"),
        ("factories:number", "returned a builtins.int"),
        ("factories:secretive", "secretive() failed: ValueError"),
    ],
)
def test_unusable_engines_are_explained(opened: Open, environment: Environment, name: str, says: str) -> None:
    """Each way of not getting an engine has a message of its own, without passwords."""
    with pytest.raises(ConfigError) as failure, opened(name):
        pass
    assert says in failure.value.message
    assert environment.database is not None
    assert environment.database.password not in failure.value.message


def test_factory_that_ends_the_process(opened: Open) -> None:
    """The end of the process is told with its last words."""
    with pytest.raises(EngineError, match="exit status 3"), opened("leaving"):
        pass


def test_overrides(environment: Environment, settings: Settings) -> None:
    """Variables can be replaced, such as by another address; the outcome names classes only."""
    assert environment.database is not None
    elsewhere = environment.database.url().replace(str(environment.database.reached_at), "127.0.0.1:1")
    with service_engine(environment, settings, {"DATABASE_URL": elsewhere}) as engine:
        outcome = engine.connect(5.0)
    assert not outcome.ok
    assert outcome.error_kind == "OperationalError"


def test_process_ends_with_its_parent(opened: Open) -> None:
    """When our end of its input is closed, even in the middle of a statement, the process is gone."""
    with opened("engine") as engine:
        process = psutil.Process(engine._process.pid)
        assert engine._process.stdin is not None
        engine._process.stdin.write(b'{"do": "sleep", "sleep_s": 60, "deadline_s": 60}\n')
        engine._process.stdin.close()
        assert process.wait(5) is not None


def test_blocked_process_is_ended(opened: Open) -> None:
    """An operation that blocks beyond its deadline ends the process, with a message."""
    with opened("engine") as engine:
        os.kill(engine._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(EngineError, match="didn't finish"):
            engine.connect(0.1)
        assert time.monotonic() - began < 6


def test_module_of_ours_stands_in_nobodys_way(tmp_path: Path, environment: Environment) -> None:
    """A service may have modules named as ours: its own are imported."""
    (tmp_path / "pool.py").write_text("from factories import engine\nimport traffic\nassert traffic.MINE\n")
    (tmp_path / "traffic.py").write_text("MINE = True\n")
    (tmp_path / "factories.py").write_text(FACTORIES)
    env = {**os.environ, **environment.service_env()}
    engine = EngineProcess("pool:engine", cwd=tmp_path, env=env)
    try:
        assert engine.connect().ok
    finally:
        engine.close()
