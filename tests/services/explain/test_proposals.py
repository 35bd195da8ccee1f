"""Indexes are proposed for statements that need them, on a real planner, and nothing of the trial is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.explain_terms import terms
from pytest_prodready.probes.explaining import with_plans
from pytest_prodready.probes.plans import Proposal, Statement
from pytest_prodready.probes.proposals import proposals
from pytest_prodready.settings import ExplainSettings

from .conftest import ROLE

ROWS = 30_000
SCHEMA = f"""
    CREATE SCHEMA shop AUTHORIZATION {ROLE};
    SET ROLE {ROLE};
    SET search_path = shop;
    CREATE TABLE users (
        id bigint PRIMARY KEY, email varchar(80) NOT NULL, name text NOT NULL,
        deleted_at timestamptz, tags text[]
    );
    INSERT INTO users SELECT n, 'User' || n || '@example.org', 'Name ' || n,
        CASE WHEN n % 10 > 0 THEN now() END, ARRAY['t' || n % 5000]
        FROM generate_series(1, {ROWS}) n;
    CREATE TABLE "Orders" (
        id bigint PRIMARY KEY, "User" bigint NOT NULL, region text NOT NULL, urgent boolean NOT NULL,
        at timestamptz NOT NULL, about jsonb NOT NULL, total int NOT NULL,
        kind int NOT NULL
    );
    INSERT INTO "Orders" SELECT n, n * 7919 % {ROWS} + 1, 'Region ' || n * 31 % 300, n % 100 = 0,
        timestamptz '2026-01-01' + n * interval '1 minute', jsonb_build_object('n', n % 3000), n * 31 % 10007,
        n % 10
        FROM generate_series(1, {ROWS}) n;
    CREATE INDEX orders_at_idx ON "Orders" (at);
    CREATE TABLE events (id bigint NOT NULL, at date NOT NULL, kind int NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
    INSERT INTO events SELECT n, date '2026-01-01' + n % 300, n % 2000 FROM generate_series(1, {ROWS}) n;
    RESET ROLE;
    RESET search_path;
"""


@pytest.fixture(scope="module")
def shop(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database with some tables, few of their indexes there."""
    with server.connect("postgres") as connection:
        connection.execute("CREATE DATABASE shop")
        connection.execute(f'ALTER ROLE {ROLE} IN DATABASE shop SET search_path = shop, "$user"')
    with server.connect("shop", timeout_s=60) as connection:
        connection.execute(SCHEMA)
        connection.execute("VACUUM (ANALYZE)")
        yield connection
    with server.connect("postgres") as connection:
        connection.execute("DROP DATABASE shop WITH (FORCE)")


def proposed(
    shop: psycopg.Connection[Any], text: str, *parameters: str, data: Any = "rows"
) -> tuple[Proposal, ...]:
    """What is proposed for a statement."""
    how = terms(shop, ROLE, {"random_page_cost": 1.1}, data=data)
    told = with_plans(shop, [Statement(text, text, parameters, prepared=bool(parameters))], how)
    assert all(not plan.error for statement in told for plan in statement.plans), told
    return proposals(shop, told, how, ExplainSettings())


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (
            """SELECT * FROM "Orders" WHERE region = 'Region 7'""",
            'CREATE INDEX CONCURRENTLY "Orders_region_idx" ON "Orders" (region)',
        ),
        (
            """SELECT * FROM "Orders" WHERE region = 'Region 7' ORDER BY total DESC LIMIT 5""",
            'CREATE INDEX CONCURRENTLY "Orders_region_total_idx" ON "Orders" (region, total DESC)',
        ),
        (
            """SELECT * FROM "Orders" WHERE region = 'Region 7' ORDER BY at DESC LIMIT 5""",
            'CREATE INDEX CONCURRENTLY "Orders_region_at_idx" ON "Orders" (region, at DESC)',
        ),
        (
            'SELECT * FROM "Orders" ORDER BY total DESC, id LIMIT 20',
            'CREATE INDEX CONCURRENTLY "Orders_total_id_idx" ON "Orders" (total DESC, id)',
        ),
        (
            """SELECT * FROM "Orders" WHERE total = 17 AND region = 'Region 7'""",
            'CREATE INDEX CONCURRENTLY "Orders_total_idx" ON "Orders" (total)',
        ),
        (
            'SELECT * FROM "Orders" WHERE total BETWEEN 5 AND 9',
            'CREATE INDEX CONCURRENTLY "Orders_total_idx" ON "Orders" (total)',
        ),
        (
            'SELECT id FROM "Orders" WHERE urgent ORDER BY total LIMIT 10',
            'CREATE INDEX CONCURRENTLY "Orders_total_idx" ON "Orders" (total) WHERE urgent',
        ),
        (
            "SELECT * FROM users WHERE lower(email) = 'user7@example.org'",
            "CREATE INDEX CONCURRENTLY users_lower_idx ON users (lower(email::text))",
        ),
        (
            "SELECT * FROM users WHERE email = 'User7@example.org'",
            "CREATE INDEX CONCURRENTLY users_email_idx ON users (email)",
        ),
        (
            "SELECT * FROM users WHERE email LIKE 'User77%' AND name IS NOT NULL",
            "CREATE INDEX CONCURRENTLY users_email_idx ON users (email text_pattern_ops)",
        ),
        (
            "SELECT * FROM users WHERE name ILIKE '%ame 777%'",
            "CREATE EXTENSION IF NOT EXISTS pg_trgm;"
            " CREATE INDEX CONCURRENTLY users_name_idx ON users USING gin (name gin_trgm_ops)",
        ),
        (
            "SELECT * FROM users WHERE to_tsvector('english', name) @@ to_tsquery('english', '777')",
            "CREATE INDEX CONCURRENTLY users_to_tsvector_idx ON users"
            " USING gin (to_tsvector('english'::regconfig, name))",
        ),
        (
            "SELECT * FROM users WHERE tags @> ARRAY['t77']",
            "CREATE INDEX CONCURRENTLY users_tags_idx ON users USING gin (tags)",
        ),
        (
            """SELECT * FROM "Orders" WHERE about ->> 'n' = '77'""",
            """CREATE INDEX CONCURRENTLY "Orders_expr_idx" ON "Orders" ((about ->> 'n'::text))""",
        ),
        (
            """SELECT * FROM "Orders" WHERE about @> '{"n": 77}'""",
            'CREATE INDEX CONCURRENTLY "Orders_about_idx" ON "Orders" USING gin (about)',
        ),
        (
            """SELECT u.name, o.id FROM users u JOIN "Orders" o ON o."User" = u.id WHERE u.id IN (7, 8)""",
            'CREATE INDEX CONCURRENTLY "Orders_User_idx" ON "Orders" ("User")',
        ),
        (
            """SELECT (SELECT count(*) FROM "Orders" o WHERE o."User" = u.id) FROM users u WHERE id < 9""",
            'CREATE INDEX CONCURRENTLY "Orders_User_idx" ON "Orders" ("User")',
        ),
        (
            """UPDATE "Orders" SET total = total + 1 WHERE "User" = 8""",
            'CREATE INDEX CONCURRENTLY "Orders_User_idx" ON "Orders" ("User")',
        ),
        (
            "SELECT * FROM events WHERE kind = 7",
            "CREATE INDEX events_kind_idx ON events (kind)",
        ),
    ],
)
def test_index_is_proposed(shop: psycopg.Connection[Any], text: str, sql: str) -> None:
    """The narrowest index that makes it much cheaper is told as a person would write it."""
    (found,) = proposed(shop, text)
    assert found.sql == sql
    assert found.cost_after <= 0.5 * found.cost_before
    assert found.text == text
    assert found.relation in found.sql
    assert "Index" in found.node_after or "Bitmap Heap Scan" in found.node_after


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*) FROM users",
        'SELECT region, sum(total) FROM "Orders" GROUP BY region',
        "SELECT * FROM users WHERE id = 7",
        "SELECT * FROM users WHERE name <> 'x'",
        "SELECT * FROM users ORDER BY id LIMIT 20 OFFSET 25000",
        """SELECT * FROM "Orders" WHERE at::date = '2026-01-05'""",
        "SELECT * FROM users WHERE id IN (SELECT 7 UNION SELECT 8)",
        "SELECT * FROM pg_class WHERE relname = 'x'",
        "SELECT * FROM generate_series(1, 20000) n WHERE n = 7",
        "VALUES (1)",
    ],
)
def test_no_index_helps(shop: psycopg.Connection[Any], text: str) -> None:
    """What reads everything, needs nothing, or can't be indexed as it is written gets no proposal."""
    assert proposed(shop, text) == ()


def test_replaced_index_is_told(shop: psycopg.Connection[Any]) -> None:
    """An index that the new one makes superfluous may go; what is more than its beginning stays."""
    shop.execute("""
        SET search_path = shop;
        CREATE INDEX orders_kind_idx ON "Orders" (kind);
        CREATE INDEX orders_kind_user_idx ON "Orders" (kind, "User");
        CREATE UNIQUE INDEX orders_kind_once ON "Orders" (kind, id);
        CREATE INDEX orders_kind_urgent ON "Orders" (kind) WHERE urgent;
        RESET search_path;
    """)
    try:
        (found,) = proposed(shop, 'SELECT * FROM "Orders" WHERE kind = 7 ORDER BY total DESC LIMIT 1')
        assert "(kind, total DESC)" in found.sql
        assert found.replaces == ("orders_kind_idx",)
    finally:
        for name in ("kind_idx", "kind_user_idx", "kind_once", "kind_urgent"):
            shop.execute(f"DROP INDEX shop.orders_{name}")


def test_with_parameters(shop: psycopg.Connection[Any]) -> None:
    """A prepared statement is planned for its own parameters."""
    (found,) = proposed(shop, 'SELECT * FROM "Orders" WHERE region = $1 AND total > $2', "Region 7", "9000")
    assert "Orders_region" in found.sql


def test_planned_by_statistics_alone(shop: psycopg.Connection[Any]) -> None:
    """Where nothing may be run, the same index is found by cost, and the sizes stay as they were."""
    before = shop.execute("SELECT reltuples, relpages FROM pg_class WHERE relname = 'Orders'").fetchone()
    (found,) = proposed(shop, """SELECT * FROM "Orders" WHERE region = 'Region 7'""", data="statistics")
    assert "(region)" in found.sql
    assert (
        before == shop.execute("SELECT reltuples, relpages FROM pg_class WHERE relname = 'Orders'").fetchone()
    )


def test_nothing_is_left(shop: psycopg.Connection[Any]) -> None:
    """Indexes, extensions, rows and prepared statements are as before, and so is the connection."""
    kept = """
        SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_extension),
               (SELECT count(*) FROM pg_prepared_statements), current_setting('search_path'), current_user
    """
    before = shop.execute(kept).fetchone()
    assert proposed(shop, "SELECT * FROM users WHERE name LIKE '%me 777%'")
    assert shop.execute(kept).fetchone() == before
    assert shop.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_changed_rows_don_t_hide_an_index(shop: psycopg.Connection[Any]) -> None:
    """Rows that were changed since the last VACUUM don't keep an index from being tried."""
    shop.execute('UPDATE shop."Orders" SET urgent = NOT urgent WHERE id % 50 = 0')
    assert proposed(shop, """SELECT * FROM "Orders" WHERE region = 'Region 7'""")


def test_statement_without_a_plan(shop: psycopg.Connection[Any]) -> None:
    """What could not be explained, or wasn't on this data, is passed over."""
    how = terms(shop, ROLE, {})
    bare = Statement("SELECT 1", "SELECT 1")
    (planned,) = with_plans(shop, [replace(bare, example="SELECT * FROM shop.users WHERE name = 'x'")], how)
    assert proposals(shop, [bare], how, ExplainSettings()) == ()
    assert proposals(shop, [planned], replace(how, data="statistics"), ExplainSettings()) == ()
