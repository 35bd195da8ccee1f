"""What the audit of indexes reads from the catalogue of a real server."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from pytest_prodready.probes.index_facts import ForeignKey, Index, Indexes, Key
from pytest_prodready.probes.indexes import audit

from .conftest import ROLE

Admin = psycopg.Connection[Any]


def found(admin: Admin) -> Indexes:
    """The audit as the service's role sees names."""
    return audit(admin, ROLE, "gate")


def index(admin: Admin, name: str) -> Index:
    """One index of it."""
    return next(each for each in found(admin).indexes if each.name == name)


def test_what_an_index_is(admin: Admin) -> None:
    """Columns, expressions, operator classes, collations, directions, INCLUDE and the predicate are told."""
    admin.execute("CREATE TABLE t (a int, b text, c date, d text)")
    admin.execute(
        'CREATE INDEX whole ON t (a DESC, lower(b), d COLLATE "C" text_pattern_ops, c NULLS FIRST)'
        " INCLUDE (b) WHERE a > 3"
    )
    seen = index(admin, "whole")
    assert seen.keys == (
        Key("a", "a", "int4_ops", descending=True, nulls_first=True),
        Key("lower(b)", "", "text_ops", seen.keys[1].collation),
        Key("d", "d", "text_pattern_ops", '"C"'),
        Key("c", "c", "date_ops", nulls_first=True),
    )
    assert (seen.included, seen.predicate, seen.method, seen.table) == (("b",), "(a > 3)", "btree", "t")
    assert seen.usable
    assert not any((seen.unique, seen.constraint, seen.building, seen.partitioned))


def test_constraints_have_their_indexes(admin: Admin) -> None:
    """A primary key's index belongs to a constraint, a unique index may belong to none."""
    admin.execute("CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE, c int)")
    admin.execute("CREATE UNIQUE INDEX t_c_idx ON t (c)")
    assert {(each.name, each.constraint, each.unique) for each in found(admin).indexes} == {
        ("t_pkey", "t_pkey", True),
        ("t_b_key", "t_b_key", True),
        ("t_c_idx", "", True),
    }


def test_names_are_sql(admin: Admin) -> None:
    """Names are quoted where they must be, and carry their schema where no search_path leads there."""
    admin.execute('CREATE SCHEMA "Sales Data"; CREATE TABLE "Sales Data"."Order" ("Id" int PRIMARY KEY)')
    admin.execute('CREATE TABLE lines ("order" int REFERENCES "Sales Data"."Order")')
    admin.execute(f'GRANT SELECT ON "Sales Data"."Order" TO {ROLE}')
    seen = found(admin)
    assert [each.name for each in seen.indexes] == ['"Sales Data"."Order_pkey"']
    assert seen.foreign_keys == (
        ForeignKey("lines_order_fkey", "lines", ('"order"',), '"Sales Data"."Order"'),
    )


@pytest.mark.parametrize("level", ["ROLE {role} IN DATABASE {database}", "DATABASE {database}"])
def test_names_follow_the_search_path(admin: Admin, level: str) -> None:
    """The search_path of the service's role or database decides which names need a schema."""
    database = admin.info.dbname
    admin.execute(f"CREATE SCHEMA shop AUTHORIZATION {ROLE}; CREATE SCHEMA {ROLE} AUTHORIZATION {ROLE}")
    admin.execute(
        f"CREATE TABLE shop.a (i int); CREATE TABLE {ROLE}.b (i int); CREATE TABLE public.c (i int)"
    )
    admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA shop, {ROLE} TO {ROLE}")
    admin.execute(f'ALTER {level.format(role=ROLE, database=database)} SET search_path = shop, "$user"')
    assert [each.name for each in found(admin).tables] == ["a", "b", "public.c"]
    if "ROLE" in level:
        admin.execute(f"ALTER ROLE {ROLE} IN DATABASE {database} RESET search_path")


def test_what_is_not_the_services_own(admin: Admin) -> None:
    """Temporary tables, those of extensions, and those that its role may not touch are left out."""
    admin.execute("CREATE TEMP TABLE passing (a int PRIMARY KEY)")
    admin.execute("CREATE TABLE private (a int PRIMARY KEY); REVOKE ALL ON private FROM tiny")
    admin.execute("CREATE TABLE member (a int PRIMARY KEY); CREATE TABLE mine (a int PRIMARY KEY)")
    admin.execute("CREATE EXTENSION pg_trgm; ALTER EXTENSION pg_trgm ADD TABLE member")
    assert [each.name for each in found(admin).tables] == ["mine"]


def test_a_role_that_does_not_exist_sees_everything(admin: Admin) -> None:
    """Where the role isn't known to the server, all tables are judged."""
    admin.execute("CREATE TABLE private (a int PRIMARY KEY); REVOKE ALL ON private FROM tiny")
    assert [each.name for each in audit(admin, "nobody of that name", "external").tables] == ["private"]


def test_invalid_index(admin: Admin) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves behind is not usable."""
    admin.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        admin.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)")
    assert not index(admin, "broken").usable
    assert not index(admin, "broken").building


def test_partitions(admin: Admin) -> None:
    """Partitioned indexes know their children, and foreign keys are told once."""
    admin.execute("CREATE TABLE parent (id int PRIMARY KEY)")
    admin.execute(
        "CREATE TABLE part (id int, day date, parent int REFERENCES parent) PARTITION BY RANGE (day);"
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
        "CREATE INDEX part_day_idx ON part (day)"
    )
    seen = found(admin)
    assert [each.name for each in seen.foreign_keys] == ["part_parent_fkey"]
    assert {(each.name, each.partitioned, each.parent) for each in seen.indexes} == {
        ("parent_pkey", False, ""),
        ("part_day_idx", True, ""),
        ("part_1_day_idx", False, "part_day_idx"),
    }
    assert {(each.name, each.partitioned, each.parent) for each in seen.tables} == {
        ("parent", False, ""),
        ("part", True, ""),
        ("part_1", False, "part"),
    }


def test_sequences(admin: Admin) -> None:
    """Sequences of identities, of serials and of defaults are told with the type of their column."""
    admin.execute("CREATE DOMAIN key AS smallint; CREATE SEQUENCE free; CREATE SEQUENCE nobody")
    admin.execute(
        "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b bigserial, d text,"
        " c key DEFAULT nextval('free'))"
    )
    admin.execute("INSERT INTO t (d) VALUES ('x'), ('y')")
    seen = {each.name: each for each in found(admin).sequences}
    assert {(name, each.table, each.column, each.type, each.last) for name, each in seen.items()} == {
        ("t_a_seq", "t", "a", "integer", 2),
        ("t_b_seq", "t", "b", "bigint", 2),
        ("free", "t", "c", "smallint", 2),
    }
    assert seen["free"].maximum == 2**63 - 1
    assert (seen["free"].column_minimum, seen["free"].column_maximum) == (-(2**15), 2**15 - 1)


def test_rows_and_scans(admin: Admin) -> None:
    """Tables tell how large they are and how they were read."""
    admin.execute("CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE unknown (a int)")
    admin.execute("INSERT INTO t SELECT generate_series(1, 5000); ANALYZE t")
    admin.execute("SET enable_seqscan = off; SELECT * FROM t WHERE a = 3; RESET enable_seqscan")
    admin.execute("SELECT pg_stat_force_next_flush()")
    seen = {each.name: each for each in found(admin).tables}
    assert seen["t"].rows == 5000
    assert seen["t"].index_scans == 1
    assert seen["unknown"].rows == -1
    assert index(admin, "t_pkey").scans == 1


@pytest.mark.parametrize("origin", ["gate", "external"])
def test_bloat(admin: Admin, origin: Any) -> None:
    """What is left of an index whose rows are gone is bloat, read or estimated; a dense index has none."""
    admin.execute("CREATE TABLE t (a bigint, b bigint) WITH (autovacuum_enabled = off)")
    admin.execute("INSERT INTO t SELECT n, n FROM generate_series(1, 450000) n")
    admin.execute("CREATE INDEX sparse ON t (a); CREATE INDEX small ON t (b) WHERE b < 10")
    admin.execute("DELETE FROM t WHERE a % 10 > 0")
    admin.execute("VACUUM ANALYZE t")
    admin.execute("INSERT INTO t SELECT 0, n FROM generate_series(1, 450000) n; DELETE FROM t WHERE a = 0")
    admin.execute("VACUUM ANALYZE t")
    admin.execute(
        "CREATE INDEX dense ON t (b); CREATE TABLE filler AS SELECT n FROM generate_series(1, 450000) n"
    )
    admin.execute("CREATE INDEX dense_filler ON filler (n); ANALYZE filler")
    seen = {each.name: each for each in audit(admin, ROLE, origin).indexes}
    sparse, dense = seen["sparse"], seen["dense_filler"]
    assert sparse.wasted_by == dense.wasted_by == {"gate": "pgstattuple", "external": "estimate"}[origin]
    assert sparse.wasted_bytes is not None
    assert sparse.wasted_bytes > 0.8 * sparse.size_bytes
    assert dense.wasted_bytes is not None
    assert dense.wasted_bytes < 0.1 * dense.size_bytes
    assert seen["small"].wasted_bytes is None
    gone = admin.execute("SELECT count(*) FROM pg_extension WHERE extname = 'pgstattuple'").fetchone()
    assert gone == (0,)


def test_asked_by_an_ordinary_role(admin: Admin) -> None:
    """On a server of the user's own the role that asks may be anyone: what it may not see is left unknown."""
    admin.execute("CREATE TABLE t (a serial PRIMARY KEY, b int REFERENCES t); INSERT INTO t VALUES (1, 1)")
    admin.execute("SELECT nextval('t_a_seq'); CREATE ROLE auditor LOGIN")
    try:
        admin.execute("SET SESSION AUTHORIZATION auditor")
        seen = audit(admin, ROLE, "external")
    finally:
        admin.execute("RESET SESSION AUTHORIZATION; DROP ROLE auditor")
    assert [each.name for each in seen.indexes] == ["t_pkey"]
    assert [each.name for each in seen.foreign_keys] == ["t_b_fkey"]
    assert [(each.last, each.hidden) for each in seen.sequences] == [(None, True)]


def test_nothing_is_written_and_settings_return(admin: Admin) -> None:
    """The audit reads in a transaction that can't write, and leaves the connection as it was."""
    admin.execute("CREATE TABLE t (a int PRIMARY KEY)")
    before = admin.execute(
        "SELECT current_setting('search_path'), current_setting('lock_timeout')"
    ).fetchone()
    found(admin)
    after = admin.execute("SELECT current_setting('search_path'), current_setting('lock_timeout')").fetchone()
    assert before == after
    assert not admin.read_only
    admin.execute("INSERT INTO t VALUES (1)")
