"""Indexes are proposed where there are no rows: with production's statistics and holes for pages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.binaries import HIDE, find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.statistics import inject
from pytest_prodready.probes.explain_terms import terms
from pytest_prodready.probes.explaining import with_plans
from pytest_prodready.probes.plans import Proposal, Statement
from pytest_prodready.probes.proposals import proposals
from pytest_prodready.settings import ExplainSettings

ROLE = "app"
SCHEMA = f"""
    CREATE TABLE jobs (
        id bigint PRIMARY KEY, region text NOT NULL, title text NOT NULL, posted_at timestamptz NOT NULL
    );
    GRANT SELECT ON jobs TO {ROLE};
"""
ROWS = """
    INSERT INTO jobs
    SELECT n, 'Region ' || n * 31 % 300, 'Title ' || n, timestamptz '2026-01-01' + n * interval '1 min'
    FROM generate_series(1, 100000) n
"""
QUERIES = (
    "SELECT * FROM jobs WHERE region = 'Region 7'",
    "SELECT * FROM jobs WHERE region = 'Region 7' ORDER BY posted_at DESC LIMIT 20",
    "SELECT * FROM jobs WHERE title = 'Title 77' AND region = 'Region 5'",
    "SELECT * FROM jobs WHERE posted_at > '2026-03-10'",
    "SELECT count(*) FROM jobs",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """The embedded PostgreSQL, which takes statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HIDE, "1")
        binaries = find_postgres()
    run = Run.open()
    started = PostgresServer(run, binaries, Authority(run.folder), Account(ROLE, "app_db", "a-word"))
    started.create()
    yield started
    run.close()


def proposed(connection: psycopg.Connection[Any], data: Any) -> list[Proposal]:
    """What is proposed for all queries."""
    how = terms(connection, ROLE, {}, data=data)
    return list(proposals(connection, with_plans(connection, _statements(), how), how, ExplainSettings()))


def _statements() -> list[Statement]:
    return [Statement(query, query) for query in QUERIES]


def dumped(server: PostgresServer, file: Path) -> Path:
    """The statistics of the database with rows."""
    with server.connect("filled") as connection:
        where = {"PGHOST": connection.info.host, "PGPORT": str(connection.info.port)}
        who = {"PGUSER": connection.info.user, "PGPASSWORD": server.admin_password}
    subprocess.run(
        [server.binary.folder / "pg_dump", "--statistics-only", "--file", file, "filled"],
        check=True,
        env={**os.environ, **server.binary.env, **where, **who},
    )
    return file


def test_same_indexes_as_on_the_rows(server: PostgresServer, tmp_path: Path) -> None:
    """What is proposed by statistics is what is proposed on the rows, and the sizes stay as injected."""
    with server.connect("postgres") as admin:
        admin.execute("CREATE DATABASE filled")
        admin.execute("CREATE DATABASE bare")
    with server.connect("bare") as connection:
        connection.execute(SCHEMA)
    with server.connect("filled") as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)
        connection.execute("VACUUM (ANALYZE)")
        expected = proposed(connection, "rows")
    dump = dumped(server, tmp_path / "stats.sql")
    with (
        inject(server, dump, like="bare", name="injected") as injected,
        server.connect(injected.database) as connection,
    ):
        before = connection.execute("SELECT relpages, reltuples FROM pg_class ORDER BY oid").fetchall()
        found = proposed(connection, "statistics")
        after = connection.execute("SELECT relpages, reltuples FROM pg_class ORDER BY oid").fetchall()
    assert [(each.text, each.sql) for each in found] == [(each.text, each.sql) for each in expected]
    assert len(found) == len(QUERIES) - 1
    assert before == after
