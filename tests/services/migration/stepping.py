"""A step of a migration as SQL, run by the service's role on a database with rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.migration_runs import Ended

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
Step = Callable[[Database], Ended]


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


def sql(server: PostgresServer, *statements: str, attempts: int = 1) -> Step:
    """A step that sends these statements one by one; a failure is tried again so often."""

    def step(_: Database) -> Ended:
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
            return Ended(0, time.monotonic() - began, said)
        return Ended(1, time.monotonic() - began, said)

    return step


def safely(*statements: str, lock_timeout_ms: int = 200) -> Sequence[str]:
    """These statements in one transaction of a session that gives up on locks soon."""
    return (f"SET lock_timeout = {lock_timeout_ms}", "BEGIN", *statements, "COMMIT")
