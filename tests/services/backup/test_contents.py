"""What the hashes of a database's contents tell apart, and what they don't."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pytest_prodready.probes.contents import Contents, TableContents, contents, one_snapshot
from pytest_prodready.probes.contents_differences import content_differences

Admin = psycopg.Connection[Any]
# A table with each kind of column: those that have a hash of their own, and those that are hashed as text.
EVERYTHING = """
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE EXTENSION IF NOT EXISTS hstore;
    CREATE TYPE mood AS ENUM ('calm', 'tense');
    CREATE TYPE pair AS (first int, second xml);
    CREATE DOMAIN positive AS numeric(8, 2) CHECK (value > 0);
    CREATE DOMAIN very_positive AS positive CHECK (value > 1);
    CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE everything (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        i2 smallint, i4 integer, f4 real, f8 double precision, n numeric, n2 numeric(10, 2), m money,
        t text, v varchar(40), c char(10), ci citext, un text COLLATE caseless, b bytea, bo boolean,
        d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval,
        j json, jb jsonb, x xml, u uuid, ip inet, ci2 cidr, mac macaddr,
        p point, po polygon, tv tsvector, tq tsquery, bits bit(4), r int4range, rc regclass, hs hstore,
        mo mood, moods mood[], pa pair, pairs pair[], vp very_positive, words text[], grid int[][],
        twice integer GENERATED ALWAYS AS (i4 * 2) STORED, "Wéird, name" text
    );
    INSERT INTO everything (i2, i4, f4, f8, n, n2, m, t, v, c, ci, un, b, bo, d, ti, tz, ts, tstz, iv, j,
        jb, x, u, ip, ci2, mac, p, po, tv, tq, bits, r, rc, hs, mo, moods, pa, pairs, vp, words, grid,
        "Wéird, name")
    VALUES (1, 2, 'NaN', '-Infinity', 1.50, 1.5, 3.25, 'ä', 'b', 'c', 'Ab', 'Ab', '\\x0001', true,
        '2026-01-01', '12:00', '12:00+02', '2026-01-01 12:00', '2026-01-01 12:00+02', '1 day', '{"a": 1}',
        '{"a": 1}', '<a/>', '00000000-0000-0000-0000-000000000001', '10.0.0.1', '10.0.0.0/8',
        '08:00:2b:01:02:03',
        '(1,2)', '((0,0),(1,1),(1,0))', 'a b', 'a & b', '1010', '[1,5)', 'everything', 'a=>1',
        'calm', '{calm,tense}', ROW(1, '<b/>'::xml)::pair, ARRAY[ROW(1, '<b/>'::xml)::pair], 2.5,
        '{a,NULL}', '{{1,2},{3,4}}', 'z');
    INSERT INTO everything (t) VALUES (NULL);
"""
NUMBERED = """
    INSERT INTO everything (id, i4) OVERRIDING SYSTEM VALUE
    SELECT n + 2, n FROM generate_series(1, 100) n ORDER BY {}
"""


@pytest.fixture
def changes(admin: Admin) -> Callable[[str], list[str]]:
    """Runs a statement; gives what it has changed of the contents."""

    def run(statement: str) -> list[str]:
        before = contents(admin)
        admin.execute(statement.encode())
        return [str(each) for each in content_differences(before, contents(admin))]

    return run


@pytest.mark.parametrize(
    "change",
    [
        "i2 = 3",
        "f4 = 1.0",
        "n = 1.500",
        "t = 'a'",
        "ci = 'aB'",
        "un = 'aB'",
        "b = '\\x0002'",
        "iv = '24 hours'",
        "tstz = '2026-01-01 12:00:00.000001+02'",
        "j = '{\"a\":1}'",
        "x = '<a></a>'",
        "p = '(1,3)'",
        "tv = 'a c'",
        "mo = 'tense'",
        "moods = '{tense,calm}'",
        "pa = ROW(1, '<c/>'::xml)::pair",
        "pairs = NULL",
        "vp = 2.75",
        "words = '{a,NULL,b}'",
        "grid = '{1,2,3,4}'",
        "hs = 'a=>2'",
        "rc = 'pg_class'",
        "i4 = 3",
        "\"Wéird, name\" = 'y'",
    ],
)
def test_each_type_counts(admin: Admin, changes: Callable[[str], list[str]], change: str) -> None:
    """A change of one value is a difference, whatever its type."""
    admin.execute(EVERYTHING.encode())
    found = changes(f"UPDATE everything SET {change} WHERE t IS NOT NULL")
    assert found == ["everything: 2 rows before, as many, but not the same after"]


def test_same_data_elsewhere_is_the_same(server: Any, admin: Admin) -> None:
    """The same rows in another order, with other OIDs and other settings of the session, hash the same."""
    admin.execute(EVERYTHING.encode())
    admin.execute(NUMBERED.format("n").encode())
    with server.connect("postgres") as other:
        other.execute("CREATE DATABASE elsewhere TEMPLATE template0")
    try:
        with server.connect("elsewhere") as second:
            second.execute("CREATE TYPE earlier AS ENUM ('moves', 'the', 'numbers')")
            second.execute(EVERYTHING.encode())
            second.execute(NUMBERED.format("n DESC").encode())
            second.execute(
                "SET extra_float_digits = -10; SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'"
            )
            assert contents(second).tables == contents(admin).tables
            assert contents(second).rows == 102
    finally:
        with server.connect("postgres") as other:
            other.execute("DROP DATABASE elsewhere WITH (FORCE)")


def test_rows_are_counted(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """Rows that are missing, and a row that is there twice, are told by their number."""
    admin.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n")
    assert changes("DELETE FROM t WHERE n = 5") == ["t: 1,000 rows before, 999 after"]
    assert changes("INSERT INTO t VALUES (6)") == ["t: 999 rows before, 1,000 after"]
    assert changes("CREATE TABLE u (n int)") == ["u was not there before (0 rows)"]
    assert changes("DROP TABLE t") == ["t is missing (1,000 rows)"]


def test_no_columns_and_dropped_ones(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """A table without columns has rows; a column that was dropped counts no more."""
    admin.execute("CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES")
    admin.execute("CREATE TABLE t (a int, b text, c json); INSERT INTO t VALUES (1, 'x', '{}')")
    assert changes("INSERT INTO nothing DEFAULT VALUES") == ["nothing: 1 row before, 2 after"]
    admin.execute("ALTER TABLE t DROP b")
    before = contents(admin).tables
    admin.execute("DROP TABLE t; CREATE TABLE t (c json, a int); INSERT INTO t VALUES ('{}', 1)")
    assert contents(admin).tables == before


def test_partitions_are_one_table(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """Rows of partitions are those of their root, in whichever they lie; heirs are tables of their own."""
    admin.execute("""
        CREATE SCHEMA s;
        CREATE TABLE s.p (k int, t text) PARTITION BY RANGE (k);
        CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (k);
        CREATE TABLE s.p11 PARTITION OF s.p1 FOR VALUES FROM (0) TO (100);
        CREATE TABLE s.rest PARTITION OF s.p DEFAULT;
        INSERT INTO s.p SELECT n, n FROM generate_series(1, 200) n;
        CREATE TABLE parent (n int); CREATE TABLE heir () INHERITS (parent);
        INSERT INTO heir VALUES (1), (2)
    """)
    found = {table.table: table.rows for table in contents(admin).tables}
    assert found == {"s.p": 200, "parent": 0, "heir": 2}
    assert (
        changes("""
        CREATE TABLE s.p2 (LIKE s.p); INSERT INTO s.p2 SELECT * FROM s.rest WHERE k BETWEEN 100 AND 150;
        DELETE FROM s.rest WHERE k BETWEEN 100 AND 150;
        ALTER TABLE s.p ATTACH PARTITION s.p2 FOR VALUES FROM (100) TO (151)
    """)
        == []
    )
    assert changes("UPDATE s.p SET t = 'other' WHERE k = 120") == [
        "s.p: 200 rows before, as many, but not the same after"
    ]


def test_what_no_dump_has_is_left_out(admin: Admin) -> None:
    """Temporary tables, and those of extensions, are nobody's loss."""
    admin.execute("CREATE TEMPORARY TABLE t (n int)")
    admin.execute("CREATE UNLOGGED TABLE u (n int)")
    admin.execute("CREATE VIEW v AS SELECT 1 AS n")
    assert contents(admin).tables == (TableContents("u", 0, "0"),)


def test_sequences(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """One that is behind is a difference, or behind its column; one that is further isn't."""
    admin.execute("CREATE TABLE t (id serial PRIMARY KEY, down int)")
    admin.execute("CREATE SEQUENCE free; CREATE SEQUENCE down INCREMENT -1")
    admin.execute("ALTER TABLE t ALTER down SET DEFAULT nextval('down')")
    admin.execute("INSERT INTO t SELECT FROM generate_series(1, 10)")
    admin.execute("SELECT setval('free', 7)")
    assert changes("SELECT setval('free', 7, false)") == ["free: next 8 before, next 7 after"]
    assert changes("SELECT setval('free', 70)") == []
    assert changes("SELECT setval('t_id_seq', 9)") == [
        "t_id_seq: next 11 before, next 10, which its column has already (up to 10) after"
    ]
    assert changes("SELECT setval('down', -4)") == [
        "down: next -11 before, next -5, which its column has already (up to -10) after"
    ]
    assert changes("DROP SEQUENCE free") == ["free is missing (next 71)"]


def test_materialized_views(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """One that can't be read any more is a difference; one that was refreshed meanwhile isn't."""
    admin.execute("CREATE TABLE t AS SELECT 1 AS n; CREATE MATERIALIZED VIEW m AS SELECT n FROM t")
    admin.execute("CREATE MATERIALIZED VIEW never AS SELECT 1 AS n WITH NO DATA; INSERT INTO t VALUES (2)")
    assert changes("REFRESH MATERIALIZED VIEW m") == []
    assert changes("REFRESH MATERIALIZED VIEW m WITH NO DATA") == ["m: 2 rows before, not populated after"]
    assert changes("REFRESH MATERIALIZED VIEW never") == []


def test_large_objects(admin: Admin, changes: Callable[[str], list[str]]) -> None:
    """Bytes count, wherever they lie in an object; zeros that nobody wrote are as good as written ones."""
    admin.execute("SELECT lo_create(70001); SELECT lo_put(70001, 100000, 'end')")
    admin.execute("SELECT lo_from_bytea(70002, 'whole')")
    assert changes("SELECT lo_put(70001, 0, decode(repeat('00', 5000), 'hex'))") == []
    assert changes("SELECT lo_put(70001, 4096, 'x')") == [
        "large objects: 2 of 100,008 bytes before, as many, but not the same after"
    ]
    assert changes("SELECT lo_put(70002, 5, decode('00', 'hex'))") == [
        "large objects: 2 of 100,008 bytes before, 2 of 100,009 bytes after"
    ]
    assert changes("SELECT lo_unlink(70001)") == [
        "large objects: 2 of 100,009 bytes before, 1 of 6 bytes after"
    ]
    assert changes("SELECT lo_unlink(70002)") == ["large objects is missing (1 of 6 bytes)"]


def test_one_snapshot(server: Any, admin: Admin) -> None:
    """Within a snapshot nothing changes, whoever writes; and another program can read the same."""
    admin.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 10) n")
    with server.connect(admin.info.dbname) as writer, one_snapshot(admin) as snapshot:
        first = contents(admin)
        writer.execute("DELETE FROM t")
        assert contents(admin) == first
        with writer.transaction():
            writer.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            writer.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
            assert writer.execute("SELECT count(*) FROM t").fetchone() == (10,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            admin.execute("DELETE FROM public.t")
    # The transaction was lost with that, and the connection is as it was.
    assert contents(admin).tables == (TableContents("t", 0, "0"),)


def test_empty_database(admin: Admin) -> None:
    """Nothing is nothing."""
    assert contents(admin) == Contents()
