"""A step of a migration as SQL, run by the service's role on a database with rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration_defined import defined
from pytest_prodready.probes.migration_runs import Tables, Worked, beside_traffic
from pytest_prodready.probes.migration_tables import rows_of, stand
from pytest_prodready.probes.migration_traffic import Defined

PASSWORD = "correct-horse-battery-staple"
ROLE, DATABASE = "tiny", "tiny_db"
JOBS = """
    CREATE TABLE orgs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
    CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org bigint, title text, n int);
    CREATE TABLE empty (id bigint PRIMARY KEY, title text);
    INSERT INTO orgs (name) SELECT 'o' || i FROM generate_series(1, 2000) i;
    INSERT INTO jobs (org, title, n) SELECT 1 + i % 2000, 'job ' || i, i FROM generate_series(1, {rows}) i;
    ANALYZE
"""
Step = Callable[[], Ran]


@contextmanager
def session(server: PostgresServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session of the service's role, as a migration's tool has it."""
    address = server.endpoint
    with psycopg.connect(
        host=address.host,
        port=address.port,
        user=ROLE,
        password=PASSWORD,
        dbname=DATABASE,
        sslmode="require",
        autocommit=True,
    ) as connection:
        yield connection


def sql(server: PostgresServer, *statements: str, attempts: int = 1, fails: bool = False) -> Step:
    """A step that sends these statements one by one; a failure is tried again so often.

    With `fails` its tool takes a failure for a success.
    """

    def step() -> Ran:
        began, said = time.monotonic(), ""
        for _attempt in range(attempts):
            try:
                with session(server) as connection:
                    for statement in statements:
                        connection.execute(statement.encode())
            except psycopg.Error as error:
                said = str(error)
                time.sleep(0.2)  # as a tool pauses between its attempts
                continue
            return Ran(0, time.monotonic() - began, said, len(said))
        return Ran(0 if fails else 1, time.monotonic() - began, said, len(said))

    return step


def safely(*statements: str, lock_timeout_ms: int = 200) -> Sequence[str]:
    """These statements in one transaction of a session that gives up on locks soon."""
    return (f"SET lock_timeout = {lock_timeout_ms}", "BEGIN", *statements, "COMMIT")


def worked(server: PostgresServer, step: Step, *, left_open: bool = False, rows: int = 20_000) -> Worked:
    """The step on a new database with these many jobs, beside traffic."""
    with server.connect("postgres") as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    with session(server) as connection:
        connection.execute(JOBS.format(rows=rows).encode())
    tables = tables_of(server)
    return beside_traffic(database_of(server), step, Tables(tables, tuple(tables)), left_open=left_open)


def database_of(server: PostgresServer) -> Database:
    """The database of the service, as probes see it."""
    return Database(server.endpoint, ROLE, DATABASE, PASSWORD, server.version, "gate", server=server)


def tables_of(server: PostgresServer) -> dict[int, int]:
    """The tables that have rows, with their number."""
    with server.connect(DATABASE) as admin:
        counted = {oid: rows_of(admin, table.name) for oid, table in stand(admin).tables.items()}
    return {oid: rows for oid, rows in counted.items() if rows}


def defined_by(found: Worked) -> Defined:
    """What the step has defined on tables with rows."""
    rows = {oid: 20_000 for oid, table in found.before.tables.items() if table.name in ("jobs", "orgs")}
    return defined(found.before, found.after, rows, found.told.ddl, found.under)
