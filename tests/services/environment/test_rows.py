"""Made-up rows: of every type, in order of foreign keys, and as many as were asked for."""

from __future__ import annotations

import pytest

from pytest_prodready.environment.rows import generate

from .generating import MakeDatabase, database, filled, first, rows, server

__all__ = ["database", "server"]

TYPES = """
CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TYPE place AS (street text, number int, mood mood);
CREATE TYPE spans AS RANGE (subtype = float8);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 10) NOT NULL;
CREATE TABLE every (
    a smallint, b int, c bigint, d oid, e real, f float8, g numeric, h numeric(6, 3), i numeric(3), j money,
    k text, l varchar, m varchar(5), n char(3), o "char", p name, q citext, r boolean, s date, t timestamp,
    u timestamptz(0), v time, w timetz, x interval, y uuid, z bytea, aa json, ab jsonb, ac inet, ad cidr,
    ae macaddr, af macaddr8, ag bit(5), ah varbit(9), ai bit varying, aj tsvector, ak tsquery, al xml,
    am pg_lsn, an point, ao box, ap circle, aq line, ar lseg, "as" path, at polygon, au int[], av text[],
    aw mood, ax mood[], ay place, az positive, ba small, bb int4range, bc numrange, bd daterange,
    be tsrange, bf tstzrange, bg spans, bh hstore, bi ltree, bj int[][], bk varchar(3)[], bl jsonb[]
);
"""
SHOP = """
CREATE TABLE tenants (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE users (
    tenant_id int NOT NULL REFERENCES tenants, id bigserial, boss_id bigint, PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, boss_id) REFERENCES users
);
CREATE TABLE projects (
    tenant_id int NOT NULL REFERENCES tenants, code text, PRIMARY KEY (tenant_id, code)
);
CREATE TABLE tasks (
    id uuid PRIMARY KEY, tenant_id int NOT NULL, user_id bigint NOT NULL, code text,
    parent_id uuid REFERENCES tasks,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users, FOREIGN KEY (tenant_id, code) REFERENCES projects
);
CREATE TABLE profiles (tenant_id int, user_id bigint, bio text, PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users);
CREATE TABLE watches (task_id uuid REFERENCES tasks, tenant_id int, user_id bigint,
    PRIMARY KEY (task_id, tenant_id, user_id), FOREIGN KEY (tenant_id, user_id) REFERENCES users);
"""


def test_every_type(database: MakeDatabase) -> None:
    """Built-in types, enumerations, domains, arrays, ranges and composites get values that differ."""
    connection = database(TYPES)
    assert filled(connection, every=300)["every"].rows == 300
    names = [
        name
        for (name,) in rows(
            connection, "SELECT attname FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 0"
        )
    ]
    for name in names:
        counts = f'count("{name}"), count(DISTINCT "{name}"::text)'
        ((there, different),) = rows(connection, f"SELECT {counts} FROM every")
        assert there >= 100, name
        assert different >= 2, name


def test_what_is_unique_stays_so_for_every_type(database: MakeDatabase) -> None:
    """A type that has enough values can be a key."""
    kinds = (
        "smallint",
        "bigint",
        "numeric(7, 2)",
        "text",
        "varchar(4)",
        "char(5)",
        "date",
        "timestamptz",
        "uuid",
        "bytea",
        "inet",
        "macaddr",
        "interval",
        "int[]",
        "int4range",
        "tstzrange",
        "numeric",
        "bit(12)",
    )
    connection = database(
        "".join(f"CREATE TABLE k{n} (k {kind} PRIMARY KEY);" for n, kind in enumerate(kinds))
    )
    made = filled(connection, **{f"k{n}": 1000 for n in range(len(kinds))})
    assert [made[f"k{n}"].rows for n in range(len(kinds))] == [1000] * len(kinds)


def test_parents_come_first(database: MakeDatabase) -> None:
    """Composite, shared, self and one-to-one references hold; parents that nobody declared are made."""
    connection = database(SHOP)
    made = filled(connection, watches=2000, tasks=500, profiles=300)
    assert [made[name].rows for name in ("watches", "tasks", "profiles", "users")] == [2000, 500, 300, 300]
    assert made["tenants"].wanted is None
    assert made["tenants"].rows >= 10
    assert first(connection, "SELECT count(*) FROM users WHERE boss_id IS NOT NULL") > 100
    assert first(connection, "SELECT count(*) FROM tasks WHERE code IS NOT NULL") > 300
    assert first(connection, "SELECT count(*) FROM tasks WHERE parent_id IS NOT NULL") > 300
    assert first(connection, "SELECT count(DISTINCT user_id) FROM tasks") > 50
    assert [
        name for (name,) in rows(connection, "SELECT conname FROM pg_constraint WHERE NOT convalidated")
    ] == []


def test_foreign_keys_are_on_again(database: MakeDatabase) -> None:
    """Many rows are checked by a join instead of one by one; afterwards every row is checked as before."""
    connection = database(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id serial, p_id int REFERENCES p)"
    )
    filled(connection, p=100, c=20_000)
    assert first(connection, "SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'") == 0
    orphans = "SELECT count(*) FROM c LEFT JOIN p ON p.id = p_id WHERE p.id IS NULL AND p_id IS NOT NULL"
    assert first(connection, orphans) == 0
    refused = "DO $$BEGIN INSERT INTO c (p_id) VALUES (-1); EXCEPTION WHEN foreign_key_violation THEN END$$"
    connection.execute(refused)
    assert first(connection, "SELECT count(*) FROM c WHERE p_id = -1") == 0


def test_circles_are_closed_at_the_end(database: MakeDatabase) -> None:
    """Two tables that refer to each other, one of which may be without."""
    connection = database(
        "CREATE TABLE teams (id int PRIMARY KEY, lead_id int);"
        "CREATE TABLE people (id int PRIMARY KEY, team_id int NOT NULL REFERENCES teams);"
        "ALTER TABLE teams ADD FOREIGN KEY (lead_id) REFERENCES people;"
    )
    filled(connection, people=5000, teams=2000)
    assert 1500 < first(connection, "SELECT count(lead_id) FROM teams") < 2000
    assert first(connection, "SELECT pg_relation_size('teams')") < 200 * 1024


def test_rows_that_refer_to_their_own_table(database: MakeDatabase) -> None:
    """A tree has roots; where each row must have a parent, the first ones are their own."""
    connection = database(
        "CREATE TABLE tree (id uuid PRIMARY KEY, parent_id uuid REFERENCES tree);"
        "CREATE TABLE strict (id int PRIMARY KEY, parent_id int NOT NULL REFERENCES strict);"
    )
    filled(connection, tree=1000, strict=1000)
    assert 800 < first(connection, "SELECT count(parent_id) FROM tree") < 1000
    assert first(connection, "SELECT count(*) FROM strict WHERE parent_id <> id") > 500


def test_values_are_skewed_and_spread(database: MakeDatabase) -> None:
    """Some statuses are common and none is missing; times of creation rise with the key; some are null."""
    connection = database(
        "CREATE TABLE t (id bigserial PRIMARY KEY,"
        " status text NOT NULL CHECK (status IN ('a', 'b', 'c', 'd')),"
        " created_at timestamptz NOT NULL DEFAULT now(), note text, n int)"
    )
    filled(connection, t=5000)
    counts = sorted(count for (count,) in rows(connection, "SELECT count(*) FROM t GROUP BY status"))
    assert len(counts) == 4
    assert counts[-1] > 2500
    assert counts[0] > 100
    assert first(connection, "SELECT corr(id, extract(epoch FROM created_at)) FROM t") > 0.9
    assert first(
        connection, "SELECT max(created_at) <= now() AND min(created_at) < now() - interval '1 year' FROM t"
    )
    assert 250 < first(connection, "SELECT count(*) FROM t WHERE note IS NULL") < 1000
    back = "SELECT count(*) FROM (SELECT id < lag(id) OVER (ORDER BY ctid) AS back FROM t) AS s WHERE back"
    assert first(connection, back) < 50


def test_same_again(database: MakeDatabase) -> None:
    """The same schema and numbers give the same rows."""
    found = []
    for _ in range(2):
        connection = database(
            SHOP + "CREATE TABLE e (a int, b text, c jsonb, d timestamptz, f numeric(9, 2))"
        )
        filled(connection, watches=500, e=500)
        tables = ("tenants", "users", "projects", "tasks", "watches", "e")
        found.append(
            [
                first(connection, f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t")
                for name in tables
            ]
        )
    assert found[0] == found[1]


def test_only_what_is_missing_is_added(database: MakeDatabase) -> None:
    """Existing rows stay, count, and are a model; sequences go on behind the last value."""
    connection = database(
        "CREATE TABLE cities (id serial PRIMARY KEY, name text NOT NULL, country text NOT NULL);"
        "INSERT INTO cities (name, country) SELECT 'city ' || n, CASE WHEN n < 15 THEN 'de' ELSE 'fr' END"
        " FROM generate_series(1, 20) n;"
        "CREATE TABLE full_already (id int); INSERT INTO full_already VALUES (1), (2), (3);"
    )
    made = filled(connection, cities=1000, full_already=2)
    assert (made["cities"].rows, made["cities"].existing, made["full_already"].rows) == (980, 20, 0)
    assert rows(connection, "SELECT DISTINCT country FROM cities ORDER BY 1") == [("de",), ("fr",)]
    assert first(connection, "INSERT INTO cities (name, country) VALUES ('x', 'de') RETURNING id") == 1001
    assert filled(connection, cities=1000)["cities"].rows == 0
    assert filled(connection, cities=1500)["cities"].rows == 499
    assert first(connection, "SELECT count(*) FROM cities WHERE name LIKE 'city %'") == 20


def test_what_the_server_computes_is_left_to_it(database: MakeDatabase) -> None:
    """Identity and generated columns, triggers, and a session's limits."""
    connection = database(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY, name text NOT NULL,"
        " length int GENERATED ALWAYS AS (length(name)) STORED, changed_by text);"
        "CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.changed_by = ''trigger''; RETURN NEW; END';"
        "CREATE TRIGGER sign BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sign();"
        "SET statement_timeout = '7s'"
    )
    filled(connection, t=200)
    assert first(connection, "SELECT bool_and(length = length(name) AND changed_by = 'trigger') FROM t")
    assert rows(connection, "SELECT min(id), max(id) FROM t") == [(100, 299)]
    assert first(connection, "INSERT INTO t (name) VALUES ('x') RETURNING id") == 300
    assert first(connection, "SHOW statement_timeout") == "7s"


@pytest.mark.parametrize(
    "partitions",
    [
        "PARTITION BY RANGE (at);"
        "CREATE TABLE a PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');"
        "CREATE TABLE b PARTITION OF t FOR VALUES FROM ('2024-06-01') TO ('2024-07-01')",
        "PARTITION BY LIST (kind); CREATE TABLE a PARTITION OF t FOR VALUES IN ('x', 'y');"
        "CREATE TABLE b PARTITION OF t FOR VALUES IN ('z')",
        "PARTITION BY HASH (id); CREATE TABLE a PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE b PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        "PARTITION BY RANGE (n); CREATE TABLE a PARTITION OF t FOR VALUES FROM (5) TO (20);"
        "CREATE TABLE b PARTITION OF t DEFAULT",
        "PARTITION BY LIST (kind); CREATE TABLE a PARTITION OF t FOR VALUES IN ('x') PARTITION BY RANGE (n);"
        "CREATE TABLE aa PARTITION OF a FOR VALUES FROM (0) TO (1000);"
        "CREATE TABLE b PARTITION OF t FOR VALUES IN ('y')",
    ],
    ids=["range", "list", "hash", "default", "nested"],
)
def test_partitions(database: MakeDatabase, partitions: str) -> None:
    """A partitioned table is filled by its root, and each partition gets some, but for a default one."""
    connection = database(
        f"CREATE TABLE t (id bigserial, at timestamptz NOT NULL, kind text, n int) {partitions}"
    )
    assert filled(connection, t=2000)["t"].rows == 2000
    assert first(connection, "SELECT count(*) FROM a") > 50
    assert first(connection, "SELECT count(*) FROM b") > 50 or "DEFAULT" in partitions


def test_progress_is_told(database: MakeDatabase) -> None:
    """Each batch says how far it got."""
    connection = database("CREATE TABLE t (id int)")
    told: list[str] = []
    generate(connection, {"public.t": 1234}, told.append)
    assert told == ["1,234 of 1,234 rows of public.t"]
