"""Tables as they stand before a step of a migration and after it: rows, files, indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]
OURS = "prodready"  # the schema of what watches a step

TABLES = """
    SELECT c.oid::bigint, c.oid::regclass::text, coalesce(pg_relation_filenode(c.oid), 0)::bigint,
           pg_table_size(c.oid)::bigint, c.relkind IN ('r', 'p') AND NOT c.relispartition
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('information_schema', %s)
      AND n.nspname NOT LIKE 'pg\\_%%' ORDER BY c.oid
"""
INDEXES = """
    SELECT i.indexrelid::bigint, i.indexrelid::regclass::text, i.indrelid::bigint, i.indisvalid
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT IN ('information_schema', %s) AND n.nspname NOT LIKE 'pg\\_%%'
      AND c.relkind IN ('r', 'p', 'm') ORDER BY 2
"""
USED = """
    SELECT relid::bigint, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del
    FROM pg_stat_user_tables
"""
# What the rows of some tables have to meet, as a JSON object.
DEMANDS = """
    json_build_object(
        'constraints', coalesce((
            SELECT json_agg(json_build_array(
                k.conrelid::bigint, k.conname, k.contype, k.convalidated, pg_get_constraintdef(k.oid),
                ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
                      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))))
            FROM pg_constraint k
            WHERE k.conrelid = ANY ({tables}) AND k.contype IN ('c', 'f', 'n') AND k.conparentid = 0), '[]'),
        'columns', coalesce((
            SELECT json_agg(json_build_array(a.attrelid::bigint, quote_ident(a.attname), a.attnotnull))
            FROM pg_attribute a
            WHERE a.attrelid = ANY ({tables}) AND a.attnum > 0 AND NOT a.attisdropped), '[]'))
"""
# What a client addresses a row by: the columns of the best unique index, and one that it may write.
KEYS = """
    SELECT ARRAY(
        SELECT quote_ident(a.attname) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.number
        WHERE u.place <= i.indnkeyatts ORDER BY u.place)
    FROM pg_index i
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY NOT i.indisprimary, i.indexrelid LIMIT 1
"""
WRITABLE = """
    SELECT quote_ident(a.attname) FROM pg_attribute a
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' AND a.attidentity = ''
    ORDER BY EXISTS (SELECT FROM pg_index i
                     WHERE i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey::int2[])),
             a.attnum LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or materialised view as it stands."""

    oid: int
    name: str  # as SQL
    file: int  # of its rows; 0: it has none, as a partitioned table
    bytes: int
    takes_rows: bool = True  # by its own name: no materialised view, and no partition

    @property
    def plain_name(self) -> str:
        """Its name without schema and quotes."""
        return called(self.name)[-1]


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it stands."""

    oid: int
    name: str
    table: int
    valid: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table as it stands."""

    table: int
    name: str
    kind: str  # c: check, f: foreign key, n: not null
    validated: bool
    definition: str
    columns: tuple[str, ...]  # as SQL


@dataclass(frozen=True, slots=True)
class Demands:
    """What the rows of some tables have to meet."""

    constraints: tuple[Constraint, ...] = ()
    required: frozenset[tuple[int, str]] = frozenset()  # columns that are not null: table and name
    optional: frozenset[tuple[int, str]] = frozenset()  # those that may be

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Demands:
        """Out of what DEMANDS gives."""
        return cls(
            tuple(
                Constraint(table, name, kind, validated, definition, tuple(columns))
                for table, name, kind, validated, definition, columns in told["constraints"]
            ),
            frozenset((table, name) for table, name, required in told["columns"] if required),
            frozenset((table, name) for table, name, required in told["columns"] if not required),
        )


@dataclass(frozen=True, slots=True)
class Stand:
    """All tables and indexes at one moment."""

    tables: Mapping[int, Table]
    indexes: Mapping[int, Index]
    demands: Demands = field(default_factory=Demands)

    def named(self, oids: frozenset[int]) -> tuple[str, ...]:
        """The names of those of these tables that exist, in order."""
        return tuple(sorted(self.tables[oid].name for oid in oids if oid in self.tables))


@dataclass(frozen=True, slots=True)
class Addressed:
    """How clients read and write single rows of a table, as SQL; empty where there is no row to address."""

    read: str
    write: str
    rows: tuple[tuple[Any, ...], ...]  # values of the key


def called(name: str) -> tuple[str, ...]:
    """What users call a table that SQL names so: with its schema, and without schema and quotes."""
    return name, f"public.{name}", name.rpartition(".")[2].strip('"')


def declared_rows(table: str, declared: Mapping[str, int]) -> int | None:
    """How many rows a table is declared to have; None where it isn't."""
    return next((declared[name] for name in called(table) if name in declared), None)


def stand(connection: Connection) -> Stand:
    """How the tables stand now."""
    tables = [Table(*row) for row in connection.execute(TABLES, (OURS,))]
    indexes = [Index(*row) for row in connection.execute(INDEXES, (OURS,))]
    query = f"SELECT {DEMANDS.format(tables='%(tables)s')}"
    told = connection.execute(query.encode(), {"tables": [each.oid for each in tables]}).fetchone()
    assert told is not None
    return Stand(
        {each.oid: each for each in tables},
        {each.oid: each for each in indexes},
        Demands.read(told[0]),
    )


def used(connection: Connection) -> dict[int, int]:
    """How often each table was scanned or written, by its oid; sessions that have ended are counted."""
    return {oid: int(count) for oid, count in connection.execute(USED)}


def rows_of(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    found = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608
    return 0 if found is None else int(found[0])


def addressed(connection: Connection, oid: int, name: str, most: int) -> Addressed:
    """How single rows of a table are read and written; by its unique key, else by where they lie."""
    found = connection.execute(KEYS, (oid,)).fetchone()
    keys = tuple(found[0]) if found is not None else ("ctid",)
    column = connection.execute(WRITABLE, (oid,)).fetchone()
    listed = ", ".join(keys)
    at = f"({listed}) = ("
    values = ", ".join(["%s"] * len(keys))
    texts = ", ".join(f"{key}::text" for key in keys)
    sample = f"SELECT {texts} FROM {name} ORDER BY {listed} LIMIT {most}"  # noqa: S608
    read = f"SELECT * FROM {name} WHERE {at}"  # noqa: S608
    write = f"UPDATE {name} SET {column[0]} = {column[0]} WHERE {at}" if column else ""  # noqa: S608
    # A percent sign in a name would be a parameter's.
    read, write = (f"{text.replace('%', '%%')}{values})" if text else "" for text in (read, write))
    return Addressed(read, write, tuple(connection.execute(sample.encode()).fetchall()))


def label(connection: Connection, text: str) -> None:
    """Name the connection, so that it is known among the server's sessions."""
    connection.execute(sql.SQL("SET application_name = {}").format(sql.Literal(text)))
