"""One server, and a fresh database on it for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run

ROLE = "tiny"
NUMBERS = itertools.count()


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    """A running PostgreSQL with the service's role."""
    run = Run.open()
    started = PostgresServer(
        run, find_postgres(), Authority(run.folder), Account(ROLE, "tiny_db", "correct-horse-battery-staple")
    )
    started.create()
    yield started
    run.close()


@pytest.fixture
def admin(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to an empty database, whose public schema the service's role may use."""
    name = f"fresh_{next(NUMBERS)}"
    with server.connect("postgres") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with server.connect(name) as connection:
        connection.execute(f"GRANT ALL ON SCHEMA public TO {ROLE}")
        connection.execute(
            f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {ROLE}"
        )
        yield connection
    with server.connect("postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
