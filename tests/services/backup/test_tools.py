"""PostgreSQL's own programs beside a server of ours."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_tools import conninfo
from pytest_prodready.errors import ServerError

WITHIN_S = 30.0


def test_a_dump_is_made_and_measured(server: PostgresServer) -> None:
    """A program runs to its end, its file is found, and no password is among its arguments."""
    tools = server.tools()
    path = f"{tools.folder}/a.dump"
    where = conninfo(server, "tiny_db")
    assert server.admin_password not in where
    ran = tools.run("pg_dump", "--dbname", where, "--format", "custom", "--file", path, within_s=WITHIN_S)
    assert ran.clean, ran
    assert tools.size(path) == Path(path).stat().st_size > 0
    assert tools.files(path) == (path,)
    tools.remove(path)
    assert tools.files(path) == ()
    assert tools.size(path) == 0


def test_a_folder_is_measured_and_removed(server: PostgresServer) -> None:
    """A dump in directory format is all of its files."""
    tools = server.tools()
    path = f"{tools.folder}/folder"
    where = conninfo(server, "tiny_db")
    tools.run("pg_dump", "--dbname", where, "--format", "directory", "--file", path, within_s=WITHIN_S)
    assert f"{path}/toc.dat" in tools.files(path)
    assert tools.size(path) == sum(tools.size(file) for file in tools.files(path))
    tools.remove(path)
    assert not Path(path).exists()


def test_what_it_says_is_kept(server: PostgresServer) -> None:
    """A program that fails tells its status and its last lines."""
    where = conninfo(server, "no_such_database")
    ran = server.tools().run("pg_dump", "--dbname", where, within_s=WITHIN_S)
    assert ran.status == 1
    assert not ran.clean
    assert 'database "no_such_database" does not exist' in ran.printed
    assert str(ran).startswith("pg_dump ended with status 1: ")


def test_a_limit_of_time_is_kept(server: PostgresServer) -> None:
    """A program that takes too long is ended, and so is what it asked the server for."""
    began = time.monotonic()
    where = conninfo(server, "postgres")
    ran = server.tools().run("psql", "--dbname", where, "--command", "SELECT pg_sleep(60)", within_s=0.5)
    assert ran.status is None
    assert time.monotonic() - began < 10
    assert not [each for each in psutil.process_iter(["cmdline"]) if "SELECT pg_sleep(60)" in str(each.info)]


def test_gigabytes_are_not_kept(server: PostgresServer) -> None:
    """A program that prints without end is ended before it fills the disk."""
    query = "SELECT repeat('x', 1000000) FROM generate_series(1, 100000)"
    where = conninfo(server, "postgres")
    began = time.monotonic()
    ran = server.tools().run(
        "psql", "--dbname", where, "--set", "FETCH_COUNT=1", "--command", query, within_s=60
    )
    assert ran.status is None
    assert time.monotonic() - began < 50
    assert len(ran.printed) < 100_000


def test_a_missing_program_is_told(server: PostgresServer) -> None:
    """An installation that lacks a program says which, and what to do."""
    tools = server.tools()
    assert not tools.has("pg_no_such_program")
    with pytest.raises(ServerError, match="has no pg_no_such_program") as error:
        tools.run("pg_no_such_program", within_s=WITHIN_S)
    assert "postgresql-client" in error.value.message


def test_small_files_are_read_and_written(server: PostgresServer) -> None:
    """What is written is read back, and belongs to the programs' user."""
    tools = server.tools()
    path = f"{tools.folder}/small"
    tools.write(path, b"\x00one")
    tools.write(path, b"two")
    assert tools.read(path) == b"two"
    assert Path(path).stat().st_uid == Path(tools.folder).stat().st_uid
    tools.remove(path)
