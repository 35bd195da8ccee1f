"""The Postgres image behaves as the official one, as far as the gate relies upon it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.certificates import Authority
from tests.images.build import Images
from tests.images.containers import Container, Files, created, started

PASSWORD = "s3cret with ' and $"
INIT = "/docker-entrypoint-initdb.d"
READY = "PostgreSQL init process complete; ready for start up."
UID = 999


def connect(container: Container, **settings: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection from outside, by TCP."""
    defaults = {"user": "postgres", "dbname": "postgres", "password": PASSWORD, "connect_timeout": 5}
    return psycopg.connect(
        host="127.0.0.1", port=container.port(5432), autocommit=True, **{**defaults, **settings}
    )


def value(container: Container, sql: str, **settings: Any) -> Any:
    """The one value that a query answers."""
    with connect(container, **settings) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row
    return row[0]


@contextmanager
def postgres(
    images: Images,
    *command: str,
    env: dict[str, str] | None = None,
    files: Files | None = None,
    **ready: Any,
) -> Iterator[Container]:
    """A server that answers by TCP."""
    variables = {"POSTGRES_PASSWORD": PASSWORD} if env is None else env
    with started(images.postgres, *command, env=variables, files=files, publish=5432) as container:
        container.comes_to(lambda: value(container, "SELECT 1", **ready) == 1, "a first answer")
        yield container


@pytest.mark.parametrize(
    "env", [{}, {"POSTGRES_PASSWORD": ""}, {"POSTGRES_HOST_AUTH_METHOD": "md5"}], ids=str
)
def test_refuses_to_start_without_a_password(images: Images, env: dict[str, str]) -> None:
    """Without POSTGRES_PASSWORD, and unless everyone is trusted, nothing is initialised."""
    with started(images.postgres, env=env) as container:
        assert container.ended() == 1
        assert "superuser password is not specified" in container.logs


def test_trust_needs_no_password(images: Images) -> None:
    """POSTGRES_HOST_AUTH_METHOD=trust lets anyone in."""
    with postgres(images, env={"POSTGRES_HOST_AUTH_METHOD": "trust"}, password=None) as container:
        assert value(container, "SELECT current_user", password=None) == "postgres"


def test_user_database_password_and_locale(images: Images) -> None:
    """The superuser, its password and its database are as asked; a wrong password is refused by SCRAM."""
    env = {"POSTGRES_USER": "an-owner", "POSTGRES_DB": 'my "jobs"', "POSTGRES_PASSWORD": PASSWORD}
    settings: dict[str, Any] = {"user": "an-owner", "dbname": 'my "jobs"'}
    with postgres(images, env=env, **settings) as container:
        assert value(container, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", **settings)
        assert value(container, "SELECT datcollate FROM pg_database LIMIT 1", **settings) == "en_US.utf8"
        assert value(
            container, "SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256%'", **settings
        )
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(container, **settings, password="wrong")


def test_database_is_named_after_the_user(images: Images) -> None:
    """POSTGRES_DB is POSTGRES_USER unless it is set."""
    with postgres(
        images, env={"POSTGRES_USER": "ann", "POSTGRES_PASSWORD": PASSWORD}, user="ann", dbname="ann"
    ) as container:
        assert value(container, "SELECT current_database()", user="ann", dbname="ann") == "ann"


def test_settings_from_files(images: Images) -> None:
    """Each POSTGRES_…_FILE names a file with the value, without its last line break."""
    files = {"/run/secret": f"{PASSWORD}\n".encode(), "/run/user": b"ann\n"}
    env = {"POSTGRES_PASSWORD_FILE": "/run/secret", "POSTGRES_USER_FILE": "/run/user"}
    with postgres(images, env=env, files=files, user="ann", dbname="ann") as container:
        assert value(container, "SELECT current_user", user="ann", dbname="ann") == "ann"


def test_both_a_value_and_its_file_are_refused(images: Images) -> None:
    """Two sources of one setting are a mistake."""
    env = {"POSTGRES_PASSWORD": "a", "POSTGRES_PASSWORD_FILE": "/run/secret"}
    with started(images.postgres, env=env, files={"/run/secret": b"b"}) as container:
        assert container.ended() == 1
        assert "both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set" in container.logs


@pytest.mark.parametrize("first", [(), ("postgres",)], ids=["bare", "postgres"])
def test_arguments_are_the_servers(images: Images, first: tuple[str, ...]) -> None:
    """`-c name=value` is a setting, whether or not the server is named before it."""
    settings = ("-c", "max_connections=7", "-c", "application_name=two words")
    with postgres(images, *first, *settings) as container:
        assert value(container, "SHOW max_connections") == "7"
        assert (
            value(container, "SELECT reset_val FROM pg_settings WHERE name = 'application_name'")
            == "two words"
        )


def test_arguments_of_initdb_and_another_data_directory(images: Images) -> None:
    """POSTGRES_INITDB_ARGS may have quotes; PGDATA may be elsewhere, also below the volume."""
    env = {
        "POSTGRES_PASSWORD": PASSWORD,
        "POSTGRES_INITDB_ARGS": "--data-checksums --auth-local=scram-sha-256 --lc-monetary='C'",
        "PGDATA": "/var/lib/postgresql/data/below",
    }
    with postgres(images, env=env) as container:
        assert value(container, "SHOW data_checksums") == "on"
        assert value(container, "SHOW lc_monetary") == "C"
        assert value(container, "SHOW data_directory") == "/var/lib/postgresql/data/below"


def test_init_files_run_in_order_in_the_new_database(images: Images) -> None:
    """Scripts and SQL run once, by name, in POSTGRES_DB; other files are named and left alone."""
    files = {
        f"{INIT}/1.sql": b"CREATE TABLE step (by text); INSERT INTO step VALUES ('sql');",
        f"{INIT}/2.sh": b"psql -U $POSTGRES_USER $POSTGRES_DB -c \"INSERT INTO step SELECT 'sh'\"",
        f"{INIT}/3.txt": b"nothing",
    }
    env = {"POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "jobs"}
    with postgres(images, env=env, files=files, dbname="jobs") as container:
        assert value(container, "SELECT string_agg(by, ' ') FROM step", dbname="jobs") == "sql sh"
        assert f"ignoring {INIT}/3.txt" in container.logs
        assert READY in container.logs


def test_an_init_file_that_fails_ends_it(images: Images) -> None:
    """A container whose SQL fails doesn't pretend to be initialised."""
    files = {f"{INIT}/1.sql": b"SELECT no_such_column;"}
    with started(images.postgres, env={"POSTGRES_PASSWORD": PASSWORD}, files=files) as container:
        assert container.ended() != 0
        assert READY not in container.logs


def test_not_reachable_while_it_initialises(images: Images) -> None:
    """The server that runs init files answers on its socket alone, so TCP means ready."""
    script = b"touch /tmp/waits; until [ -e /tmp/go ]; do read -rt 0.05 <> <(:) || :; done"
    env = {"POSTGRES_PASSWORD": PASSWORD}
    files = {f"{INIT}/wait.sh": script}
    with started(images.postgres, env=env, files=files, publish=5432) as container:
        container.comes_to(lambda: container.exec("test", "-e", "/tmp/waits").code == 0, "the init script")
        assert container.exec("pg_isready").code == 0
        assert container.exec("pg_isready", "--host=127.0.0.1").code == 2
        with pytest.raises(psycopg.OperationalError):
            connect(container)
        container.exec("touch", "/tmp/go")
        container.comes_to(lambda: value(container, "SELECT 1") == 1, "an answer by TCP")


def test_runs_as_postgres_with_a_private_data_directory(images: Images) -> None:
    """It starts as root and steps down; nobody else can read the data."""
    with postgres(images) as container:
        assert container.exec("stat", "--format=%u %a", "/var/lib/postgresql/data").said == f"{UID} 700"
        assert container.exec("stat", "--format=%u", "/proc/1").said == str(UID)
        assert container.exec("psql", "-Atc", "SELECT 1", user="postgres").said == "1"


@pytest.mark.parametrize("signal", [None, "SIGINT", "SIGTERM"], ids=["stop", "SIGINT", "SIGTERM"])
def test_stops_cleanly_and_keeps_its_data(images: Images, signal: str | None) -> None:
    """Each way to stop is an orderly shutdown; started again, it has its data and initialises nothing."""
    with postgres(images) as container:
        with connect(container) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert container.stop(signal) == 0
        assert container.logs.splitlines()[-1].endswith("database system is shut down")
        container.start()
        container.comes_to(lambda: value(container, "SELECT answer FROM kept") == 42, "the data")
        assert "Skipping initialization" in container.logs


def test_contrib_is_there(images: Images) -> None:
    """The extensions that plans and statistics need can be loaded."""
    with postgres(images, "-c", "shared_preload_libraries=pg_stat_statements,auto_explain") as container:
        with connect(container) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        assert value(container, "SELECT count(*) > 0 FROM pg_stat_statements")
        assert value(container, "SHOW auto_explain.log_min_duration") == "-1"


def test_tls_with_a_key_of_the_server_user(images: Images, tmp_path: Path) -> None:
    """A certificate in the container makes verify-full work."""
    authority = Authority(tmp_path)
    certificate = authority.issue(tmp_path, "localhost", "127.0.0.1")
    files = {
        "/tls/server.pem": certificate.cert_file.read_bytes(),
        "/tls/key.pem": certificate.key_file.read_bytes(),
    }
    options = ["-c", "ssl=on", "-c", "ssl_cert_file=/tls/server.pem", "-c", "ssl_key_file=/tls/key.pem"]
    settings = {"sslmode": "verify-full", "sslrootcert": os.fspath(authority.ca_file)}
    with created(images.postgres, *options, env={"POSTGRES_PASSWORD": PASSWORD}, publish=5432) as container:
        container.put(files, owner=UID, mode=0o600)
        container.start()
        seen = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        container.comes_to(lambda: value(container, seen, **settings) == "TLSv1.3", "a verified connection")
