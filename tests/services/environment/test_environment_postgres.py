"""Our own PostgreSQL: its defaults, its life, and what of the user's configuration applies."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import psutil
import psycopg
import pytest

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.leftovers import SHARED_MEMORY, of_run
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import UserConfig
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError
from pytest_prodready.settings import PostgresSettings

from .conftest import PASSWORD, MakePostgres, eventually

SETTINGS = {
    "ssl": "on",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
    "pg_stat_statements.track": "all",
    "listen_addresses": "127.0.0.1",
    "server_encoding": "UTF8",
    "data_checksums": "on",
}


def sign_in(server: PostgresServer, **options: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect as the service does."""
    values = {
        "host": "127.0.0.1",
        "port": str(server.endpoint.port),
        "user": "tiny",
        "password": PASSWORD,
        "dbname": "tiny_db",
        "sslmode": "verify-full",
        "sslrootcert": str(server.folder.parent / "ca.pem"),
        "connect_timeout": "5",
    }
    return psycopg.connect(autocommit=True, **{**values, **options})  # type: ignore[arg-type]


def written(folder: Path, name: str, text: str) -> Path:
    """A file with this text."""
    (folder / name).write_text(text)
    return Path(name)


def test_defaults_are_those_of_production(make_postgres: MakePostgres) -> None:
    """TLS, scram, checksums, fsync and the preloaded extensions are on; the role owns its database only."""
    server = make_postgres()
    with server.connect("tiny_db") as admin:
        for name, value in SETTINGS.items():
            assert admin.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,), name
        assert admin.execute("SELECT count(*) >= 0 FROM pg_stat_statements").fetchone() == (True,)
    with sign_in(server) as service:
        query = (
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = 'tiny'"
        )
        assert service.execute(query).fetchone() == (False, False, False, False)
        tls = service.execute("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert tls == ("TLSv1.3",)
        service.execute("CREATE TABLE mine (id int)")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        sign_in(server, sslmode="disable")
    with pytest.raises(psycopg.OperationalError):
        sign_in(server, dbname="postgres")


def test_life(make_postgres: MakePostgres) -> None:
    """It can be stopped, killed, frozen and started again, on the same port with the same data."""
    server = make_postgres()
    port = server.endpoint.port
    with sign_in(server) as service:
        service.execute("CREATE TABLE kept AS SELECT 1 AS id")
    for end in (server.stop, server.kill):
        end()
        assert not server.alive
        assert is_free(port)
        end()
        server.start()
        assert server.endpoint.port == port
        with sign_in(server) as service:
            assert service.execute("SELECT id FROM kept").fetchone() == (1,)
    server.pause()
    with pytest.raises(psycopg.OperationalError):
        sign_in(server, connect_timeout="2")
    with pytest.raises(ServerError, match="paused"):
        server.connect("tiny_db")
    server.resume()
    sign_in(server).close()


@pytest.mark.parametrize("end", ["discard", "kill", "pause", "nothing"])
def test_nothing_is_left(run: Run, make_postgres: MakePostgres, end: str) -> None:
    """However it ended, closing the run leaves no process, file, port or shared memory."""
    server = make_postgres()
    processes = server.processes()
    if end != "nothing":
        getattr(server, end)()
    segment = (server.folder / "data" / "postmaster.pid").read_text().split()[-2:-1] if end == "kill" else []
    run.close()
    assert not run.folder.exists()
    assert is_free(server.endpoint.port)
    assert of_run(run.folder) == []
    assert eventually(lambda: not any(process.is_running() for process in processes), 2)
    assert not any(line.split()[1] in segment for line in SHARED_MEMORY.read_text().splitlines()[1:])


def test_the_users_files_apply(make_postgres: MakePostgres, tmp_path: Path) -> None:
    """The user's hba and settings count, but for what must be ours."""
    settings = PostgresSettings(
        hba=written(tmp_path, "pg_hba.conf", "# ours\nhost all all 127.0.0.1/32 trust\n"),
        settings=written(
            tmp_path,
            "postgresql.conf",
            "ssl = off\nport = 5432\nlisten_addresses = '*'\nwork_mem = 12MB\nidle_session_timeout = 1\n"
            "shared_preload_libraries = 'auto_explain, pg_prewarm'\ndefault_transaction_read_only = on\n",
        ),
    )
    server = make_postgres(UserConfig.read(settings, tmp_path))
    with server.connect("tiny_db") as admin:
        shown = {
            name: admin.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("ssl", "work_mem", "listen_addresses", "shared_preload_libraries")
        }
    assert shown == {
        "ssl": ("off",),
        "work_mem": ("12MB",),
        "listen_addresses": ("127.0.0.1",),
        "shared_preload_libraries": ("pg_stat_statements,auto_explain,pg_prewarm",),
    }
    sign_in(server, sslmode="disable", password="wrong").close()


def test_settings_as_a_table(make_postgres: MakePostgres, tmp_path: Path) -> None:
    """[postgres] settings may be a table of names and values."""
    table = PostgresSettings(settings={"max_connections": 17, "jit": False, "application_name": "it's"})
    server = make_postgres(UserConfig.read(table, tmp_path))
    with server.connect("tiny_db") as admin:
        shown = admin.execute("SELECT current_setting('max_connections'), current_setting('jit')").fetchone()
    assert shown == ("17", "off")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("settings", "ssl = on\nmax_conections = 5\n", "max_conections"),
        ("hba", "# comment\nhostssl all all nowhere/99 scram-sha-256\n", "line 2 of configuration file"),
    ],
)
def test_broken_files_are_named(
    make_postgres: MakePostgres, tmp_path: Path, name: str, text: str, said: str
) -> None:
    """A file that the server refuses is named, with the server's own words."""
    file = written(tmp_path, f"broken-{name}.conf", text)
    config = UserConfig.read(PostgresSettings.model_validate({name: file}), tmp_path)
    with pytest.raises(ServerError) as refused:
        make_postgres(config)
    assert str(tmp_path / file) in refused.value.message
    assert said in refused.value.message


def test_a_port_taken_meanwhile(
    run: Run, make_postgres: MakePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another program is faster on the chosen port, another port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, real = other.getsockname()[1], run.ports.reserve
        answers = iter([taken])
        monkeypatch.setattr(run.ports, "reserve", lambda: next(answers, 0) or real())
        server = make_postgres()
        assert server.endpoint.port != taken
        sign_in(server).close()


def test_no_password_is_told(make_postgres: MakePostgres) -> None:
    """Neither repr, log, process arguments nor pg_stat_statements hold a password."""
    server = make_postgres()
    secrets = (PASSWORD, server.admin_password)
    with server.connect("tiny_db") as admin:
        rows = admin.execute("SELECT string_agg(query, ' ') FROM pg_stat_statements").fetchone()
    arguments = ""
    for process in server.processes():
        with contextlib.suppress(psutil.Error):  # short-lived ones
            arguments += " ".join(process.cmdline())
    told = [repr(server), repr(server.account), server.log_file.read_text(), str(rows), arguments]
    assert not [text for text in told for secret in secrets if secret in text]


def test_two_at_once(run: Run, make_postgres: MakePostgres, binaries: object) -> None:
    """Two runs at the same time don't meet."""
    first = make_postgres()
    other = Run.open()
    try:
        second = PostgresServer(other, first.binary, Authority(other.folder), first.account)
        second.create()
        assert second.endpoint != first.endpoint
        assert psutil.pid_exists(second.processes()[0].pid)
    finally:
        other.close()
    sign_in(first).close()
