"""What probes see of the database: its connections, statements, locks and limits."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ServerError

from .conftest import eventually

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def database(environment: Environment) -> Database:
    """The environment's database."""
    assert environment.database is not None
    return environment.database


@pytest.fixture
def service(database: Database) -> Iterator[Connection]:
    """A connection as the service makes it, through the proxy."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        yield connection
    assert eventually(lambda: not database.backends())


def test_backends_are_seen(database: Database, service: Connection) -> None:
    """The service's connections are listed with their TLS, and nobody else's."""
    (backend,) = database.backends()
    assert backend.pid == service.info.backend_pid
    assert (backend.ssl, backend.tls_version) == (True, "TLSv1.3")
    assert backend.state == "idle"
    assert backend.transaction_age_s is None
    service.execute("BEGIN")
    assert eventually(lambda: database.backends()[0].transaction_age_s is not None)
    service.execute("ROLLBACK")


def test_the_proxy_stands_between(database: Database, service: Connection) -> None:
    """The URL leads through the fault proxy: what it cuts is cut."""
    assert database.proxied is not None
    assert service.info.port == database.proxied.port != database.endpoint.port
    database.proxied.cut()
    with pytest.raises(psycopg.OperationalError):
        service.execute("SELECT 1")


def test_sessions_and_statements_are_counted_exactly(database: Database) -> None:
    """Connections and statements of the service are counted, those of the superuser aren't."""
    sessions, statements = database.sessions(), database.statements()
    for _ in range(3):
        with psycopg.connect(database.url(), autocommit=True) as connection:
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")
    with database.admin() as admin:
        admin.execute("SELECT 3")
    assert database.sessions() - sessions == 3
    assert database.statements() - statements == 6


def test_statements_survive_a_dropped_schema(database: Database, service: Connection) -> None:
    """Statements are counted although the database's own view of them is gone."""
    with database.admin() as admin:
        admin.execute("DROP EXTENSION pg_stat_statements")
        try:
            before = database.statements()
            service.execute("SELECT 1")
            assert database.statements() == before + 1
        finally:
            admin.execute("CREATE EXTENSION pg_stat_statements")


def test_backends_are_terminated(database: Database) -> None:
    """All of the service's connections are ended, or the idle ones alone."""
    with psycopg.connect(database.url()) as busy, psycopg.connect(database.url()) as idle:
        busy.execute("SELECT 1")
        assert database.terminate_backends(idle_only=True) == 1
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        assert database.terminate_backends() == 1
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")


def test_tables_are_locked(database: Database, service: Connection) -> None:
    """All tables, or the named ones, are locked until the end of the with."""
    with pytest.raises(ServerError, match="no table"), database.locked():
        pass
    service.execute('CREATE TABLE "Odd name" (id int)')
    service.execute("CREATE TABLE plain (id int)")
    service.execute("SET lock_timeout = '100ms'")
    try:
        with database.locked():
            for table in ('"Odd name"', "plain"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    service.execute(f"SELECT * FROM {table}".encode())
        with database.locked("plain"):
            service.execute('SELECT * FROM "Odd name"')
        with pytest.raises(RuntimeError, match="probe"), database.locked():
            raise RuntimeError("the probe failed")
        service.execute("SELECT * FROM plain")
        with pytest.raises(ServerError, match="does not exist"), database.locked("nowhere"):
            pass
    finally:
        service.execute('DROP TABLE "Odd name", plain')


def test_connections_are_limited(database: Database, service: Connection) -> None:
    """Beyond the limit the server says too many connections (53300), and afterwards no more."""
    with database.connection_limit(1), pytest.raises(psycopg.OperationalError, match="too many connections"):
        psycopg.connect(database.url())
    psycopg.connect(database.url()).close()


def test_admin_survives_a_restart(database: Database) -> None:
    """After the server was killed and started again, the kept connection is replaced."""
    assert database.setting("fsync") == "on"
    assert database.server is not None
    database.server.kill()
    with pytest.raises(ServerError, match="not running"), database.admin():
        pass
    database.server.start()
    assert database.setting("fsync") == "on"


def test_a_statement_has_a_limit(database: Database) -> None:
    """Our own statements end in time, and the connection is good for the next."""
    with database.admin(within_s=0.1) as admin, pytest.raises(psycopg.errors.QueryCanceled):
        admin.execute("SELECT pg_sleep(5)")
    assert database.setting("fsync") == "on"


def test_without_admin(database: Database) -> None:
    """An external database without admin_url says what is missing."""
    external = Database(
        database.endpoint, "me", "mine", "secret-word", "15", "external", given_url="postgresql://x"
    )
    assert not external.has_admin
    assert external.url() == "postgresql://x"
    assert "secret-word" not in repr(external)
    with pytest.raises(ServerError, match="admin_url"), external.admin():
        pass
