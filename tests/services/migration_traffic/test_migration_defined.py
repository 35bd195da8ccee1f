"""What the server tells of a step, for the ways in which it may be written."""

from __future__ import annotations

import pytest

from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.migration_ddl import Telling
from pytest_prodready.probes.migration_traffic import Defined
from tests.services.migration_traffic.stepping import database_of, defined_by, safely, sql, worked

SHARE, EXCLUSIVE, UPDATE_EXCLUSIVE = "ShareLock", "AccessExclusiveLock", "ShareUpdateExclusiveLock"


def of(server: PostgresServer, *statements: str) -> Defined:
    """What these statements define, each a transaction of its own unless they say otherwise."""
    found = worked(server, sql(server, *statements))
    assert found.run.ran, found.run.printed
    return defined_by(found)


@pytest.mark.parametrize(
    ("statements", "mode", "constraint"),
    [
        (["CREATE INDEX i ON jobs (title)"], SHARE, False),
        (["CREATE INDEX CONCURRENTLY i ON jobs (title)"], "", False),
        (["DO $$ BEGIN CREATE INDEX i ON jobs (n); END $$"], SHARE, False),
        (safely("CREATE UNIQUE INDEX i ON jobs (title)"), SHARE, False),
        (["ALTER TABLE jobs ADD CONSTRAINT i UNIQUE (title)"], EXCLUSIVE, True),
        (
            [
                "CREATE UNIQUE INDEX CONCURRENTLY i ON jobs (title)",
                "ALTER TABLE jobs ADD CONSTRAINT i UNIQUE USING INDEX i",
            ],
            "",
            False,
        ),
    ],
)
def test_built(stepped: PostgresServer, statements: list[str], mode: str, constraint: bool) -> None:
    """An index is told with the lock that its table was under while it was built."""
    (built,) = of(stepped, *statements).built
    assert (built.index, built.table, built.mode, built.constraint) == ("i", "jobs", mode, constraint)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE fresh (id int PRIMARY KEY, t text)", "CREATE INDEX i ON fresh (t)"],
        ["CREATE INDEX i ON empty (title)"],
        ["ALTER TABLE empty ALTER COLUMN title SET NOT NULL"],
        ["ALTER TABLE jobs ADD COLUMN x text"],
        ["ALTER TABLE jobs ADD COLUMN x int NOT NULL DEFAULT 7"],
        ["ALTER TABLE jobs ALTER title TYPE varchar"],
        ["TRUNCATE jobs"],
        ["ALTER TABLE jobs ADD CONSTRAINT c CHECK (n > 0) NOT VALID"],
        ["ALTER TABLE jobs ADD CONSTRAINT f FOREIGN KEY (org) REFERENCES orgs NOT VALID"],
        ["CREATE TABLE child (id int PRIMARY KEY, job bigint REFERENCES jobs)"],
        ["DROP TABLE jobs"],
    ],
)
def test_nothing_to_tell(stepped: PostgresServer, statements: list[str]) -> None:
    """New and empty tables, and what changes the catalogue alone, is no work on rows."""
    found = of(stepped, *statements)
    assert (found.built, found.validated, found.rewritten, found.invalid) == ((), (), (), ())


@pytest.mark.parametrize(
    ("statement", "rewritten"),
    [
        ("ALTER TABLE jobs ALTER COLUMN n TYPE bigint", True),
        ("ALTER TABLE jobs ADD COLUMN x text DEFAULT random()::text", True),
        ("ALTER TABLE jobs ADD COLUMN x bigint GENERATED ALWAYS AS (n * 2) STORED", True),
        ("ALTER TABLE jobs ADD COLUMN x bigserial", True),
        ("CLUSTER jobs USING jobs_pkey", True),
        ("ALTER TABLE jobs ADD COLUMN x timestamptz DEFAULT now()", False),
        ("ALTER TABLE jobs RENAME COLUMN title TO name", False),
    ],
)
def test_rewritten(stepped: PostgresServer, statement: str, rewritten: bool) -> None:
    """A table whose rows lie in another file afterwards was written anew."""
    found = of(stepped, statement).rewritten
    assert [each.table for each in found] == (["jobs"] if rewritten else [])


CHECK = "ALTER TABLE jobs ADD CONSTRAINT c CHECK (title IS NOT NULL)"
KEY = "ALTER TABLE jobs ADD CONSTRAINT f FOREIGN KEY (org) REFERENCES orgs"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([CHECK], [("constraint c", EXCLUSIVE)]),
        ([KEY], [("constraint f", "ShareRowExclusiveLock")]),
        (["ALTER TABLE jobs ALTER title SET NOT NULL"], [("NOT NULL of title", EXCLUSIVE)]),
        (
            [f"{CHECK} NOT VALID", "ALTER TABLE jobs VALIDATE CONSTRAINT c"],
            [("constraint c", UPDATE_EXCLUSIVE)],
        ),
        (
            [f"{KEY} NOT VALID", "ALTER TABLE jobs VALIDATE CONSTRAINT f"],
            [("constraint f", UPDATE_EXCLUSIVE)],
        ),
        (
            [
                f"{CHECK} NOT VALID",
                "ALTER TABLE jobs VALIDATE CONSTRAINT c",
                "ALTER TABLE jobs ALTER title SET NOT NULL",
                "ALTER TABLE jobs DROP CONSTRAINT c",
            ],
            [("constraint c", UPDATE_EXCLUSIVE)],
        ),
        # In one transaction the lock of the first statement is held through the second one.
        (
            safely(f"{CHECK} NOT VALID", "ALTER TABLE jobs VALIDATE CONSTRAINT c"),
            [("constraint c", EXCLUSIVE)],
        ),
    ],
)
def test_validated(stepped: PostgresServer, statements: list[str], expected: list[tuple[str, str]]) -> None:
    """A constraint is told with the lock that the table was under while its rows were searched."""
    found = of(stepped, *statements).validated
    assert [(each.what, each.mode) for each in found] == expected


def test_not_null_declared_first(stepped: PostgresServer) -> None:
    """Since PostgreSQL 18 a NOT NULL may be declared, and looked for later."""
    if int(stepped.version.partition(".")[0]) < 18:
        pytest.skip("this server has no NOT NULL that isn't valid")
    found = of(
        stepped,
        "ALTER TABLE jobs ADD CONSTRAINT nn NOT NULL title NOT VALID",
        "ALTER TABLE jobs VALIDATE CONSTRAINT nn",
    ).validated
    assert [(each.what, each.mode) for each in found] == [("NOT NULL of title", UPDATE_EXCLUSIVE)]


def test_invalid_index_left(stepped: PostgresServer) -> None:
    """What a concurrent build leaves behind that fails, and whose failure the tool swallows."""
    found = worked(
        stepped,
        sql(stepped, "CREATE UNIQUE INDEX CONCURRENTLY i ON jobs ((n % 10))", fails=True),
    )
    assert found.run.ran
    assert defined_by(found).invalid == ("i",)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (safely("ALTER TABLE jobs ADD COLUMN x text", "SELECT pg_sleep(0.3)"), ["SELECT pg_sleep(0.3)"]),
        (safely("LOCK TABLE jobs", "SELECT pg_sleep(0.3)"), ["SELECT pg_sleep(0.3)"]),
        (["ALTER TABLE jobs ADD COLUMN x text", "SELECT pg_sleep(0.3)"], []),
    ],
)
def test_meanwhile(stepped: PostgresServer, statements: list[str], expected: list[str]) -> None:
    """What runs after the statement that took the lock, in the same transaction, runs under it."""
    found = of(stepped, *statements)
    assert [each.statement for each in found.meanwhile if each.seconds > 0.2] == expected


def test_a_log_that_tells_nothing(stepped: PostgresServer) -> None:
    """Where its beginning isn't in the log, that is a doubt, and not a step that does nothing."""
    assert "beginning and end" in Telling(database_of(stepped)).told().doubt
