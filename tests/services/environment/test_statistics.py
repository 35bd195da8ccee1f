"""Plans for production's sizes without production's data: the same as on the data itself."""

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
from pytest_prodready.environment.rows import generate
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.statistics import NotInjected, inject, unsupported
from pytest_prodready.environment.statistics_redacted import redact

SCHEMA = """
CREATE TABLE organisations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    country char(2) NOT NULL CHECK (country IN ('de', 'fr', 'it', 'pl')), created_at timestamptz NOT NULL
);
CREATE TABLE users (
    id uuid PRIMARY KEY, organisation_id bigint NOT NULL REFERENCES organisations, email text NOT NULL UNIQUE,
    active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_organisation_idx ON users (organisation_id);
CREATE TABLE jobs (
    id serial PRIMARY KEY, organisation_id bigint NOT NULL REFERENCES organisations, title text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'draft', 'closed')), salary numeric(10, 2),
    featured boolean NOT NULL DEFAULT false, posted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_organisation_idx ON jobs (organisation_id);
CREATE INDEX jobs_status_posted_idx ON jobs (status, posted_at);
CREATE INDEX jobs_featured_idx ON jobs (posted_at) WHERE featured;
CREATE INDEX jobs_lower_idx ON jobs (lower(title));
CREATE TABLE applications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job_id int NOT NULL REFERENCES jobs,
    user_id uuid NOT NULL REFERENCES users, rating smallint CHECK (rating BETWEEN 1 AND 5),
    stage text NOT NULL DEFAULT 'applied' CHECK (stage IN ('applied', 'interview', 'hired', 'rejected')),
    applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX applications_job_idx ON applications (job_id);
CREATE INDEX applications_user_idx ON applications (user_id);
CREATE INDEX applications_stage_idx ON applications (stage, applied_at);
CREATE TABLE events (
    id bigserial, at timestamptz NOT NULL, user_id uuid REFERENCES users, kind text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX events_user_idx ON events (user_id, at);
CREATE INDEX events_payload_idx ON events USING gin (payload);
"""
ROWS = {"organisations": 500, "users": 50_000, "jobs": 100_000, "applications": 1_000_000, "events": 100_000}
QUERIES = (
    "SELECT * FROM applications WHERE id = 4711",
    "SELECT * FROM jobs WHERE status = 'open' ORDER BY posted_at DESC LIMIT 20",
    "SELECT * FROM jobs WHERE status = 'closed' AND salary > 900",
    "SELECT count(*) FROM applications WHERE stage = 'hired' AND applied_at > '2026-01-01'",
    "SELECT * FROM applications WHERE job_id = 17 AND rating = 5",
    "SELECT j.title, count(*) FROM jobs j JOIN applications a ON a.job_id = j.id"
    " WHERE j.organisation_id = 7 GROUP BY j.id",
    "SELECT u.email FROM users u JOIN applications a ON a.user_id = u.id"
    " WHERE a.job_id IN (3, 5, 8) AND u.active",
    "SELECT o.country, count(*) FROM organisations o JOIN jobs j ON j.organisation_id = o.id"
    " JOIN applications a ON a.job_id = j.id GROUP BY o.country",
    "SELECT * FROM jobs WHERE featured ORDER BY posted_at LIMIT 10",
    "SELECT * FROM jobs WHERE lower(title) = 'red blue 12'",
    "SELECT * FROM users u WHERE NOT EXISTS (SELECT FROM applications a WHERE a.user_id = u.id)",
    "SELECT * FROM events WHERE at >= '2026-02-01' AND at < '2026-02-08' AND kind = 'red blue 7' ORDER BY at",
    """SELECT * FROM events WHERE payload @> '{"kind": "b"}' AND at < '2025-03-01'""",
    "SELECT status, max(salary) FROM jobs WHERE id < 30000 OR organisation_id < 5 GROUP BY status ORDER BY 2",
)
FIGURES = ("Plan Rows", "Plan Width", "Startup Cost", "Total Cost")
PINNED = ("max_parallel_workers_per_gather = 0", "jit = off")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """The embedded PostgreSQL, wherever others are installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HIDE, "1")
        run = Run.open()
        account = Account("app", "app_db", "correct-horse-battery-staple")
        started = PostgresServer(run, find_postgres(), Authority(run.folder), account)
        started.create()
        yield started
        run.close()


def made(server: PostgresServer, name: str, schema: str) -> psycopg.Connection[Any]:
    """A new database with this schema."""
    with server.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    connection = server.connect(name)
    connection.execute(schema.encode())
    return connection


def dumped(server: PostgresServer, name: str, file: Path) -> Path:
    """The statistics of a database, as its users dump them."""
    with server.connect(name) as connection:
        where = {"PGHOST": connection.info.host, "PGPORT": str(connection.info.port)}
        user, password = connection.info.user, server.admin_password
    subprocess.run(
        [server.binary.folder / "pg_dump", "--statistics-only", "--file", file, name],
        check=True,
        env={**os.environ, **server.binary.env, **where, "PGUSER": user, "PGPASSWORD": password},
    )
    return file


def planned(connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """The plans of all queries."""
    for setting in PINNED:
        connection.execute(f"SET {setting}".encode())
    explained = (
        connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchone() for query in QUERIES
    )
    return [row[0][0]["Plan"] for row in explained if row]


def shape(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan without its figures."""
    inner = [shape(child) for child in plan.get("Plans", ())]
    return {**{key: value for key, value in plan.items() if key not in (*FIGURES, "Plans")}, "Plans": inner}


def heights(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The levels of each B-tree, which the server finds in order."""
    connection.execute("CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect")
    indexes = (
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_am m ON m.oid = relam"
        " WHERE relkind = 'i' AND amname = 'btree' AND relnamespace = 'public'::regnamespace"
    )
    found = {}
    for (name,) in connection.execute(indexes).fetchall():
        connection.execute("SELECT bt_index_parent_check(%s::regclass)", (name,))
        row = connection.execute("SELECT fastlevel FROM bt_metap(%s)", (name,)).fetchone()
        assert row is not None
        found[name] = int(row[0])
    return found


def on_disk(server: PostgresServer) -> int:
    """The bytes that the server's data directory takes."""
    files = (server.folder / "data" / "base").rglob("*")
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


def test_same_plans_as_on_the_data(server: PostgresServer, tmp_path: Path) -> None:
    """14 queries over five tables with up to a million rows have the same plans without any row."""
    made(server, "bare", SCHEMA).close()
    with made(server, "filled", SCHEMA) as filled:
        generate(filled, ROWS)
        filled.execute("SET statement_timeout = 0")
        filled.execute("VACUUM (ANALYZE)")
        real = planned(filled)
        levels = heights(filled)
    dump = dumped(server, "filled", tmp_path / "stats.sql")
    with inject(server, dump, like="bare", name="injected") as injected:
        with server.connect(injected.database) as connection:
            ours, our_levels = planned(connection), heights(connection)
        assert (injected.missing, injected.unknown, injected.notes) == ((), (), ())
    redacted = redact(dump, "test").file
    with inject(server, redacted, like="bare", name="same"), server.connect("same") as connection:
        without = planned(connection)
    assert len(QUERIES) == 14
    for query, expected, found in zip(QUERIES, real, ours, strict=True):
        assert shape(found) == shape(expected), query
        assert found["Plan Rows"] == expected["Plan Rows"], query
    # Without values those plans change that hang on how common one is.
    assert sum(shape(a) == shape(b) for a, b in zip(real, without, strict=True)) >= 11
    costs = [abs(b["Total Cost"] / a["Total Cost"] - 1) for a, b in zip(real, ours, strict=True)]
    assert sum(cost < 0.02 for cost in costs) >= 12, costs
    assert max(costs) < 0.2, costs
    assert sum(levels[name] == our_levels[name] for name in levels) >= len(levels) - 3, (levels, our_levels)


LARGE = """
CREATE TABLE large (id bigint PRIMARY KEY, note text, kind text);
CREATE MATERIALIZED VIEW kinds AS SELECT kind, count(*) FROM large GROUP BY kind;
CREATE VIEW shown AS SELECT * FROM large;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON large EXECUTE FUNCTION refuse();
"""
PAGES = 5 * 1024 * 1024 // 8  # 5 GiB
RELATION = """
SELECT * FROM pg_catalog.pg_restore_relation_stats(
\t'version', '180001'::integer,
\t'schemaname', 'public',
\t'relname', '{name}',
\t'relpages', '{pages}'::integer,
\t'reltuples', '{rows}'::real,
\t'relallvisible', '0'::integer
);
"""


def test_holes_take_no_room(server: PostgresServer, tmp_path: Path) -> None:
    """A table of 5 GiB is planned as one and takes nothing; rows that were there are gone; all of it ends."""
    with made(server, "holes", LARGE) as connection:
        connection.execute("INSERT INTO large SELECT n, 'note', 'a' FROM generate_series(1, 1000) AS n")
    dump = tmp_path / "stats.sql"
    parts = (("large", PAGES, 40_000_000), ("large_pkey", PAGES // 8, 40_000_000), ("gone", 10, 100))
    dump.write_text(
        "".join(RELATION.format(name=name, pages=pages, rows=rows) for name, pages, rows in parts)
    )
    before = on_disk(server)
    with inject(server, dump, like="holes", name="sparse") as injected:
        assert (injected.tables, injected.pages) == (1, PAGES + PAGES // 8)
        assert (injected.missing, injected.unknown) == (("public.kinds",), ("public.gone",))
        with server.connect("sparse") as connection:
            size = connection.execute("SELECT pg_relation_size('large')").fetchone()
            assert size == (PAGES * 8192,)
            explained = connection.execute("EXPLAIN (FORMAT JSON) SELECT * FROM large").fetchone()
            assert explained is not None
            assert explained[0][0]["Plan"]["Plan Rows"] == 40_000_000
            assert connection.execute("SELECT FROM large WHERE id = 1").fetchone() is None
            connection.execute("EXPLAIN SELECT * FROM kinds")  # it has no rows to be read, but a plan
        assert on_disk(server) - before < 50 * 1024 * 1024
    with server.connect("postgres") as admin:
        assert admin.execute("SELECT count(*) FROM pg_database WHERE datname = 'sparse'").fetchone() == (0,)
    with server.connect("holes") as connection:
        assert connection.execute("SELECT count(*) FROM large").fetchone() == (1000,)


def test_what_has_no_statistics_is_told(server: PostgresServer, tmp_path: Path) -> None:
    """Columns that are gone, extended statistics and settings of the database are not passed over."""
    schema = (
        "CREATE TABLE t (a int, b int); INSERT INTO t SELECT n, n FROM generate_series(1, 500) n;"
        " CREATE STATISTICS t_ab ON a, b FROM t;"
        ' ALTER DATABASE partly SET search_path = other, "$user", public;'
        " CREATE TABLE fresh (a int); ANALYZE t"
    )
    made(server, "partly", schema).close()
    dump = dumped(server, "partly", tmp_path / "stats.sql")
    with server.connect("partly") as connection:
        connection.execute("ALTER TABLE public.t DROP COLUMN b CASCADE")
        connection.execute("CREATE STATISTICS public.t_again ON a, (a + 1) FROM public.t")
    with (
        inject(server, dump, like="partly", name="partly_statistics") as injected,
        server.connect("partly_statistics") as connection,
    ):
        assert connection.execute("SHOW search_path").fetchone() == ('other, "$user", public',)
    assert any("public.t.b" in note for note in injected.notes)
    assert any("public.t_again" in note for note in injected.notes)


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("DROP TABLE jobs;\n", "DROP TABLE jobs;", 1),
        ("SET x = 'y';\n\nSELECT 1;\n", "SELECT 1;", 3),
        ("\\! rm -rf /\n", "rm -rf", 1),
        (
            RELATION.format(name="t", pages=1, rows=1).replace("'1'::real", "(SELECT 1)::real"),
            "SELECT * FROM",
            2,
        ),
        ("SELECT * FROM pg_catalog.pg_restore_relation_stats('a', 'b'::regclass);", "pg_restore", 1),
    ],
)
def test_only_statistics_are_taken(
    server: PostgresServer, tmp_path: Path, text: str, says: str, line: int
) -> None:
    """Anything else in the file is refused with its line, before anything is made."""
    dump = tmp_path / "stats.sql"
    dump.write_text(text)
    with pytest.raises(NotInjected) as refused, inject(server, dump, like="postgres", name="never"):
        pass
    assert says in str(refused.value)
    assert f"{dump}:{line}" in str(refused.value)
    with server.connect("postgres") as admin:
        assert admin.execute("SELECT count(*) FROM pg_database WHERE datname = 'never'").fetchone() == (0,)


def test_a_dump_of_something_else_is_told(server: PostgresServer, tmp_path: Path) -> None:
    """An archive, a dump without statistics, one of another database, none at all: each has its words."""
    made(server, "other", "CREATE TABLE t (a int)").close()
    dump = tmp_path / "stats.sql"
    cases = {
        b"PGDMP\x01": "an archive",
        b"-- nothing\n": "no statistics",
        b"\xff": "not in UTF-8",
        RELATION.format(name="unknown", pages=1, rows=1).encode(): "any table that is here",
    }
    for content, says in cases.items():
        dump.write_bytes(content)
        with pytest.raises(NotInjected, match=says), inject(server, dump, like="other", name="never"):
            pass
    dump.unlink()
    with pytest.raises(NotInjected, match="can't be read"), inject(server, dump, like="other", name="never"):
        pass


def test_an_older_server_is_told(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before PostgreSQL 18 there is no way to set statistics."""
    assert unsupported("18.1") is None
    assert unsupported("19beta1") is None
    why = "statistics need PostgreSQL 18; this one is 15.3: set [postgres] image or bin"
    assert unsupported("15.3") == why
    monkeypatch.setattr(PostgresServer, "version", "15.3")
    with (
        pytest.raises(NotInjected, match="set \\[postgres\\] image or bin"),
        inject(server, Path("stats.sql"), like="postgres", name="never"),
    ):
        pass
