"""Made-up rows meet conditions and unique constraints, or the reason is told with what to do."""

from __future__ import annotations

import pytest

from pytest_prodready.environment.rows import NotGenerated

from .generating import MakeDatabase, database, filled, first, rows, server

__all__ = ["database", "server"]

# Columns with one condition each, and how many different values there have to be at least.
CONDITIONS = {
    "text CHECK (c IN ('a', 'b', 'c'))": 3,
    "text CHECK (c = ANY (ARRAY['x''y', 'z']))": 2,
    "text CHECK (c = ANY ('{p,q}'::text[]))": 2,
    "varchar(20) CHECK (c::text IN ('one', 'two'))": 2,
    "int CHECK (c BETWEEN 3 AND 7)": 5,
    "int CHECK (c IN (10, 20, 40))": 3,
    "int CHECK (c >= 0 AND c <= 1000000)": 300,
    "int CHECK (c < -5)": 80,
    "int CHECK (c > 0 AND c % 5 = 0)": 80,
    "int CHECK (c <> 0)": 80,
    "smallint CHECK (c > 32000)": 80,
    "numeric(5, 2) CHECK (c > 1.5 AND c < 2)": 40,
    "float8 CHECK (c BETWEEN -1 AND 1)": 50,
    "text CHECK (char_length(c) = 3)": 50,
    "text CHECK (length(c) >= 60)": 80,
    "text CHECK (length(c) BETWEEN 2 AND 4)": 50,
    "text CHECK (c LIKE 'INV-%')": 80,
    "text CHECK (c ~ '^[A-Z]{2}$')": 50,
    "text CHECK (c ~ '^[^@]+@[^@]+$')": 80,
    "text CHECK (c = lower(c))": 80,
    "text CHECK (c = upper(c) AND c <> '')": 80,
    "text CHECK (c ~ '^#[0-9a-f]{6}$')": 80,
    "char(3) CHECK (c ~ '^[A-Z]{3}$')": 80,
    "date CHECK (c >= '1950-01-01' AND c < '2005-01-01')": 80,
    "date CHECK (c > CURRENT_DATE)": 80,
    "timestamptz CHECK (c < '2020-01-01')": 80,
    "time CHECK (c BETWEEN '09:00' AND '17:00')": 80,
    "interval CHECK (c > '1 hour' AND c < '1 day')": 80,
    "jsonb CHECK (jsonb_typeof(c) = 'object')": 80,
    "text[] CHECK (cardinality(c) > 0)": 80,
    "int[] CHECK (c <@ '{1,2,3}'::int[])": 1,
    "boolean CHECK (c)": 1,
    "text DEFAULT 'new' CHECK (c IN ('new', 'old'))": 2,
}
TOGETHER = """
CREATE TABLE periods (starts date NOT NULL, ends date NOT NULL, CHECK (ends > starts));
CREATE TABLE payments (
    kind text NOT NULL CHECK (kind IN ('card', 'bank')), card text, iban text,
    CHECK ((kind = 'card' AND card IS NOT NULL AND iban IS NULL)
        OR (kind = 'bank' AND iban IS NOT NULL AND card IS NULL))
);
CREATE TABLE comments (post_id int, photo_id int, video_id int,
    CHECK (num_nonnulls(post_id, photo_id, video_id) = 1));
CREATE TABLE tasks (status text NOT NULL, done_at timestamptz,
    CHECK ((status = 'done') = (done_at IS NOT NULL)));
CREATE TABLE places (lat float8, lng float8, CHECK (lat BETWEEN -90 AND 90 AND lng BETWEEN -180 AND 180));
CREATE TABLE prices (low numeric(8, 2), high numeric(8, 2), CHECK (low <= high));
CREATE TABLE people (id int PRIMARY KEY);
CREATE TABLE messages (sender int NOT NULL REFERENCES people, receiver int NOT NULL REFERENCES people,
    CHECK (sender <> receiver));
"""
UNIQUE = """
CREATE EXTENSION btree_gist;
CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL, nick text UNIQUE);
CREATE UNIQUE INDEX people_email ON people (lower(email));
CREATE TABLE addresses (id serial PRIMARY KEY, person_id int NOT NULL REFERENCES people,
    main boolean NOT NULL);
CREATE UNIQUE INDEX one_main ON addresses (person_id) WHERE main;
CREATE TABLE lines (person_id int NOT NULL REFERENCES people, line_no int NOT NULL,
    PRIMARY KEY (person_id, line_no));
CREATE TABLE friends (a int REFERENCES people, b int REFERENCES people, PRIMARY KEY (a, b), CHECK (a <> b));
CREATE TABLE grades (person_id int REFERENCES people, subject text CHECK (subject IN ('x', 'y', 'z')),
    PRIMARY KEY (person_id, subject));
CREATE TABLE stays (room int NOT NULL, during tstzrange NOT NULL,
    EXCLUDE USING gist (room WITH =, during WITH &&));
CREATE TABLE places (position int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE flags (a boolean, b boolean, c smallint CHECK (c BETWEEN 1 AND 5), UNIQUE (a, b, c),
    CHECK (a IS NOT NULL AND b IS NOT NULL AND c IS NOT NULL));
"""


def test_conditions_of_one_column(database: MakeDatabase) -> None:
    """Lists, ranges, lengths, patterns: rows meet them, and differ as far as they can."""
    connection = database("".join(f"CREATE TABLE c{n} (c {of});" for n, of in enumerate(CONDITIONS)))
    made = filled(connection, **{f"c{n}": 500 for n in range(len(CONDITIONS))})
    for number, (condition, least) in enumerate(CONDITIONS.items()):
        assert made[f"c{number}"].rows == 500, condition
        different = first(connection, f"SELECT count(DISTINCT c) FROM c{number}")
        assert different >= least, condition


def test_conditions_of_several_columns(database: MakeDatabase) -> None:
    """Rows are chosen by them, and every way of meeting them occurs."""
    connection = database(TOGETHER)
    names = ("periods", "payments", "comments", "tasks", "places", "prices", "messages")
    made = filled(connection, **dict.fromkeys(names, 600))
    assert {made[name].rows for name in names} == {600}
    assert first(connection, "SELECT count(DISTINCT kind) FROM payments") == 2
    some = "SELECT least(count(post_id), count(photo_id), count(video_id)) FROM comments"
    assert first(connection, some) > 50
    assert first(connection, "SELECT count(done_at) BETWEEN 50 AND 550 FROM tasks")
    assert first(connection, "SELECT min(lat) < 0 AND max(lat) > 0 FROM places")


def test_unique_and_exclusion_constraints(database: MakeDatabase) -> None:
    """Composite, partial, deferrable ones, those of expressions, and ranges that must not overlap."""
    connection = database(UNIQUE)
    wanted = {"people": 200, "addresses": 800, "lines": 3000, "friends": 5000, "grades": 600, "stays": 500}
    made = filled(connection, **wanted, places=300, flags=20)
    assert {name: made[name].rows for name in wanted} == wanted
    assert first(connection, "SELECT count(*) FROM addresses WHERE main") > 50
    assert first(connection, "SELECT max(line_no) FROM lines") < 100
    assert first(connection, "SELECT count(*) FROM flags") == 20


TRIGGER = "CREATE TRIGGER n BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
# A schema, how many rows of t are wanted, and what the message says.
REFUSED: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "sum": (
        "CREATE TABLE t (a int NOT NULL CHECK (a > 5), b int NOT NULL CHECK (b > 5), total int NOT NULL,"
        " CONSTRAINT sums CHECK (total = coalesce(a * b, -1)))",
        100,
        ("public.t", "sums", "COALESCE((a * b)", "2,000 rows", '[explain] seed = "'),
    ),
    "function": (
        "CREATE FUNCTION odd(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS"
        " $$SELECT md5($1) LIKE 'abc%'$$; CREATE TABLE t (a text NOT NULL CONSTRAINT is_odd CHECK (odd(a)))",
        100,
        ("a text", "is_odd", "odd(a)", "common shapes"),
    ),
    "unique": ("CREATE TABLE t (a boolean PRIMARY KEY)", 3, ("t_pkey", "2 rows at most", "3 are wanted")),
    "one-to-one": (
        "CREATE TABLE p (id int PRIMARY KEY CHECK (id < 5)); INSERT INTO p VALUES (1), (2);"
        "CREATE TABLE t (p_id int PRIMARY KEY REFERENCES p)",
        50,
        ("public.p", "p_pkey"),
    ),
    "exclusion": (
        "CREATE EXTENSION btree_gist; CREATE TABLE t (room int NOT NULL CHECK (room IN (1, 2)),"
        " CONSTRAINT apart EXCLUDE USING gist (room WITH =))",
        100,
        ("apart", "EXCLUDE USING gist", "2 rows at most"),
    ),
    "expression": (
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL CHECK (a IN (1, 2)));"
        "CREATE UNIQUE INDEX a_once ON t ((a + 1))",
        100,
        ("a_once", "of which 2 got in", "CREATE UNIQUE INDEX"),
    ),
    "trigger-raises": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$;"
        f"CREATE TABLE t (a int); {TRIGGER}",
        10,
        ("not today", "PL/pgSQL function"),
    ),
    "trigger-drops": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;"
        f"CREATE TABLE t (a int); {TRIGGER}",
        10,
        ("triggers let no further row in",),
    ),
    "circle": (
        "CREATE TABLE t (id int PRIMARY KEY, u_id int NOT NULL); CREATE TABLE u (id int PRIMARY KEY,"
        " t_id int NOT NULL REFERENCES t); ALTER TABLE t ADD FOREIGN KEY (u_id) REFERENCES u",
        10,
        ("public.t, public.u", "can't be null"),
    ),
    "type": ("CREATE TABLE t (a aclitem NOT NULL)", 10, ("nothing is known of the type", "aclitem")),
    "name": ("CREATE TABLE other (a int)", 10, ("There is no table t.", "other")),
    "view": ("CREATE VIEW t AS SELECT 1", 10, ("it is a view",)),
    "partition": (
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE t PARTITION OF p DEFAULT",
        10,
        ("it is a partition",),
    ),
    "ambiguous": (
        "CREATE SCHEMA x; CREATE TABLE x.t (a int); CREATE SCHEMA y; CREATE TABLE y.t (a int)",
        10,
        ("several tables t", "x.t, y.t"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_told(database: MakeDatabase, name: str) -> None:
    """The message names table, constraint, what was tried, and the way out; no row is left behind."""
    schema, wanted, says = REFUSED[name]
    connection = database(schema)
    with pytest.raises(NotGenerated) as refused:
        filled(connection, t=wanted)
    for words in (*says, "[explain] rows"):
        assert words in str(refused.value)
    there = rows(connection, "SELECT oid::regclass FROM pg_class WHERE relname = 't' AND relkind = 'r'")
    assert all(first(connection, f"SELECT count(*) FROM {table}") == 0 for (table,) in there)
