"""Capture on real servers: whatever a client sends is told rightly, or told to be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.capture import Capture, Window
from pytest_prodready.probes.statements import statements
from tests.services.environment.conftest import (  # noqa: F401 (fixtures)
    PASSWORD,
    MakePostgres,
    binaries,
    make_postgres,
    run,
)

Session = psycopg.Connection[Any]
Sent = Callable[[Session], object]
TABLES = """
    CREATE TABLE parents (id int PRIMARY KEY, name text);
    CREATE TABLE children (id int PRIMARY KEY, parent_id int REFERENCES parents);
    CREATE FUNCTION children_of(wanted int) RETURNS bigint LANGUAGE plpgsql AS
      $$ BEGIN RETURN (SELECT count(*) FROM children WHERE parent_id = wanted); END $$;
    INSERT INTO parents SELECT n, 'parent ' || n FROM generate_series(1, 100) n;
"""


@pytest.fixture
def server(make_postgres: MakePostgres) -> PostgresServer:  # noqa: F811
    """A PostgreSQL with two tables and a function."""
    made = make_postgres()
    with made.connect(made.account.database) as admin:
        admin.execute(f'SET ROLE "{made.account.user}"'.encode())
        admin.execute(TABLES.encode())
    return made


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Database]:
    """Its database, as probes see it."""
    account = server.account
    found = Database(
        endpoint=server.endpoint,
        user=account.user,
        name=account.database,
        password=account.password,
        version=server.version,
        origin="gate",
        server=server,
    )
    yield found
    found.close()


def session(database: Database, name: str | None = None) -> Session:
    """A connection of the service, in clear or not as the server likes it."""
    return psycopg.connect(
        host=database.endpoint.host,
        port=database.endpoint.port,
        user=database.user,
        password=PASSWORD,
        dbname=name or database.name,
        sslmode="require",
        autocommit=True,
    )


def captured(database: Database, send: Sent) -> Window:
    """What is captured of these statements of the service."""
    capture = Capture(database)
    capture.switch_on()
    with closing(session(database)) as own:
        with capture.window("sent"):
            send(own)
        (window,) = capture.windows()
    return window


def test_parameters_and_normalised_text_are_told(database: Database) -> None:
    """A statement with parameters is told with their values, and without them in its text."""
    window = captured(database, lambda own: own.execute("SELECT name FROM parents WHERE id = %s", (7,)))
    (found,) = statements([window])
    assert found.text == "SELECT name FROM parents WHERE id = $1"
    assert found.parameters == ("7",)
    assert not window.missed


def test_constants_are_left_out_of_the_text(database: Database) -> None:
    """Two statements that differ in their constants alone are one, with an example that can be run."""

    def send(own: Session) -> None:
        for number in (1, 2):
            own.execute(f"SELECT name FROM parents WHERE id = {number}".encode())

    (found,) = statements([captured(database, send)])
    assert found.text == "SELECT name FROM parents WHERE id = $1"
    assert found.example in ("SELECT name FROM parents WHERE id = 1", "SELECT name FROM parents WHERE id = 2")
    assert [source.calls for source in found.sources] == [2]


def test_types_of_parameters_make_no_difference(database: Database) -> None:
    """The same text with an int2 and an int4 parameter is one statement, though the server counts two."""

    def send(own: Session) -> None:
        for number in (1, 100_000):
            own.execute("SELECT name FROM parents WHERE id = %s", (number,))

    (found,) = statements([captured(database, send)])
    assert [source.calls for source in found.sources] == [2]


def test_quotes_newlines_and_lookalikes_survive(database: Database) -> None:
    """A value with quotes, line ends, tabs and what looks like a line of the log comes back as it was."""
    line = "2026-11-23 07:45:24.163 UTC [1] 0 a@b c LOG:  duration: 1 ms  statement: x"
    value = f"it's\n\t{line}\n{line}\n$2 = 'y', $3 = NULL"
    window = captured(
        database,
        lambda own: own.execute("SELECT\n  name\nFROM parents\nWHERE name = %s OR name = %s", (value, None)),
    )
    (found,) = statements([window])
    assert found.parameters == (value, None)
    assert found.text.startswith("SELECT\n  name\nFROM parents")
    assert not window.missed


def test_a_megabyte_is_told_whole(database: Database) -> None:
    """A statement of a megabyte is captured to its last byte, and so is one with such a parameter."""
    values = ", ".join(str(number) for number in range(150_000))

    def send(own: Session) -> None:
        own.execute(f"SELECT count(*) FROM parents WHERE id IN ({values})".encode())
        own.execute("SELECT length(%s::text)", ("x" * 1_000_000,))

    window = captured(database, send)
    assert not window.missed
    long, parametrised = window.runs
    assert long.text == f"SELECT count(*) FROM parents WHERE id IN ({values})"
    assert parametrised.parameters == ("x" * 1_000_000,)


def test_prepared_statements_are_known_as_such(database: Database) -> None:
    """A driver that prepares by name is found out, and each run is told."""

    def send(own: Session) -> None:
        for number in range(8):
            own.execute("SELECT name FROM parents WHERE id = %s", (number,), prepare=True)

    window = captured(database, send)
    (found,) = statements([window])
    assert found.prepared
    assert [source.calls for source in found.sources] == [8]
    assert not window.missed


def test_what_another_connection_prepared_is_known_as_such(database: Database) -> None:
    """A pool takes one connection after another: what one of them has prepared, the others will."""
    capture = Capture(database)
    capture.switch_on()
    with closing(session(database)) as rehearsing, closing(session(database)) as own:
        assert capture.connections() == 2
        rehearsing.execute("SELECT name FROM parents WHERE id = %s", (1,), prepare=True)
        with capture.window("sent"):
            own.execute("SELECT name FROM parents WHERE id = %s", (2,), prepare=False)
            own.execute("SELECT count(*) FROM parents")
        (window,) = capture.windows()
    known = {found.text: found.prepared for found in statements([window])}
    assert known == {"SELECT name FROM parents WHERE id = $1": True, "SELECT count(*) FROM parents": False}


def test_prepare_in_sql_is_told_as_what_it_runs(database: Database) -> None:
    """PREPARE and EXECUTE in SQL are told as the statement that they run, with its values."""

    def send(own: Session) -> None:
        own.execute("PREPARE byid (int) AS SELECT name FROM parents WHERE id = $1")
        own.execute("EXECUTE byid (3)")

    window = captured(database, send)
    (found,) = statements([window])
    assert "SELECT name FROM parents WHERE id = $1" in found.text
    assert found.prepared
    assert found.parameters == ("3",)
    assert not window.missed


def test_cursors_are_told_with_their_query(database: Database) -> None:
    """A cursor of the server is told as its DECLARE, whatever is fetched from it."""

    def send(own: Session) -> None:
        with own.transaction(), own.cursor("some") as cursor:
            cursor.execute("SELECT id, name FROM parents ORDER BY id")
            cursor.fetchmany(10)
            cursor.fetchmany(10)

    window = captured(database, send)
    assert any("SELECT id, name FROM parents ORDER BY id" in found.text for found in statements([window]))
    assert not window.missed


def test_copy_is_told(database: Database) -> None:
    """COPY in both directions is told."""

    def send(own: Session) -> None:
        with own.cursor() as cursor, cursor.copy("COPY parents (id, name) FROM STDIN") as copy:
            copy.write_row((1000, "copied"))
        with own.cursor() as cursor, cursor.copy("COPY (SELECT name FROM parents) TO STDOUT") as copy:
            list(copy)

    window = captured(database, send)
    texts = [found.text for found in statements([window])]
    assert any(text.startswith("COPY parents") for text in texts)
    assert any(text.startswith("COPY (SELECT") for text in texts)
    assert not window.missed


def test_what_functions_run_is_told_as_nested(database: Database) -> None:
    """A statement inside a function is told with its plan, and so is the check of a foreign key."""

    def send(own: Session) -> None:
        own.execute("SELECT children_of(5)")
        own.execute("INSERT INTO children VALUES (1, 5)")

    window = captured(database, send)
    nested = [found for found in statements([window]) if found.nested]
    assert any("count(*)" in found.text for found in nested)
    assert any("KEY SHARE" in found.text for found in nested)
    assert all(found.plans and found.plans[0].analyzed for found in nested)
    assert not window.missed


def test_ctes_that_write_are_told(database: Database) -> None:
    """A WITH that writes is one statement."""
    text = "WITH gone AS (DELETE FROM parents WHERE id = 99 RETURNING id) SELECT count(*) FROM gone"
    window = captured(database, lambda own: own.execute(text))
    assert [found.example for found in statements([window]) if not found.nested] == [text]
    assert not window.missed


def test_transactions_are_no_statements(database: Database) -> None:
    """BEGIN, SET, SHOW, savepoints and empty pings are not judged."""

    def send(own: Session) -> None:
        with own.transaction(), own.transaction():
            own.execute("SET LOCAL work_mem = '8MB'")
            own.execute("SHOW work_mem")
            own.execute("")

    window = captured(database, send)
    assert statements([window]) == ()
    assert not window.missed


def test_planner_settings_of_the_session_are_told(database: Database) -> None:
    """What the service's session set for the planner comes with its statements."""

    def send(own: Session) -> None:
        own.execute("SET work_mem = '1MB'")
        own.execute("SELECT count(*) FROM parents")

    (found,) = statements([captured(database, send)])
    assert found.settings["work_mem"] == "1MB"


def test_several_statements_in_one_message_are_missing(database: Database) -> None:
    """What the log doesn't tell one by one is told to be missing."""
    window = captured(
        database, lambda own: own.execute("SELECT count(*) FROM parents; SELECT max(id) FROM parents")
    )
    assert window.missed
    assert "several statements" in window.missed[0].why


def test_another_role_is_told(database: Database, server: PostgresServer) -> None:
    """Statements under SET ROLE are told like all others."""
    with server.connect(database.name) as admin:
        admin.execute("CREATE ROLE reader")
        admin.execute(f'GRANT reader TO "{database.user}"'.encode())
        admin.execute("GRANT SELECT ON parents TO reader")

    def send(own: Session) -> None:
        own.execute("SET ROLE reader")
        own.execute("SELECT count(*) FROM parents")

    window = captured(database, send)
    assert [found.text for found in statements([window])] == ["SELECT count(*) FROM parents"]
    assert not window.missed


def test_another_database_is_told_to_be_missing(database: Database, server: PostgresServer) -> None:
    """Statements in another database of the server aren't captured, and that is said."""
    with server.connect("postgres") as admin:
        admin.execute("CREATE DATABASE elsewhere")
        admin.execute(f'GRANT CONNECT ON DATABASE elsewhere TO "{database.user}"'.encode())

    def send(_: Session) -> None:
        with server.connect("elsewhere") as other:
            other.execute(f'SET ROLE "{database.user}"'.encode())
            other.execute("SELECT 42 AS answer")

    window = captured(database, send)
    assert any("elsewhere" in missed.why and "answer" in missed.text for missed in window.missed)


def test_a_log_that_was_rotated_away_is_told(database: Database, server: PostgresServer) -> None:
    """Where the log no longer holds the window, everything is told to be missing."""

    def send(own: Session) -> None:
        own.execute("SELECT count(*) FROM parents")
        server.log_file.write_text("")

    window = captured(database, send)
    assert window.runs == ()
    assert "log" in window.missed[0].why
