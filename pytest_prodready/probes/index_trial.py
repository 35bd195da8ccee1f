"""An index on trial: built in a transaction that is rolled back, where the planner knows it for a moment."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from pytest_prodready.probes.explain_terms import Connection
from pytest_prodready.probes.index_candidates import Candidate, Need
from pytest_prodready.probes.index_conditions import Order

TABLE = """
    SELECT root.oid, root.oid::regclass::text, root.relkind = 'p'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class root ON root.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
    WHERE n.nspname = %s AND c.relname = %s
"""
KEYS = """
    SELECT pg_get_indexdef(i.indexrelid, k, true), i.indoption[k - 1] & 1 = 1, i.indoption[k - 1] & 2 = 2
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN generate_series(1, i.indnkeyatts) k
    WHERE n.nspname = %s AND c.relname = %s ORDER BY k
"""
NEWEST = """
    SELECT i.indexrelid, pg_get_indexdef(i.indexrelid, 0, true), i.indexprs IS NOT NULL
    FROM pg_index i WHERE i.indrelid = %s ORDER BY i.indexrelid DESC LIMIT 1
"""
PARTS = """
    SELECT c.relname FROM pg_class c WHERE c.oid = %(index)s
    OR c.oid IN (SELECT relid FROM pg_partition_tree(%(index)s::regclass))
"""
# What a B-tree with more columns makes superfluous: those that are its beginning, and nothing but an index.
REPLACED = """
    SELECT o.indexrelid::regclass::text
    FROM pg_index n JOIN pg_class c ON c.oid = n.indexrelid
    JOIN pg_index o ON o.indrelid = n.indrelid AND o.indnkeyatts < n.indnkeyatts
    JOIN pg_class d ON d.oid = o.indexrelid AND d.relam = c.relam AND NOT d.relispartition
    WHERE n.indexrelid = %s AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
      AND NOT (o.indisunique OR o.indisreplident) AND o.indisvalid AND o.indnatts = o.indnkeyatts
      AND o.indexprs IS NULL AND o.indpred IS NULL AND n.indpred IS NULL
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = o.indexrelid)
      AND (string_to_array(n.indkey::text, ' '))[:o.indnkeyatts] = string_to_array(o.indkey::text, ' ')
      AND (string_to_array(n.indclass::text, ' '))[:o.indnkeyatts] = string_to_array(o.indclass::text, ' ')
      AND (string_to_array(n.indcollation::text, ' '))[:o.indnkeyatts]
          = string_to_array(o.indcollation::text, ' ')
      AND (string_to_array(n.indoption::text, ' '))[:o.indnkeyatts] = string_to_array(o.indoption::text, ' ')
    ORDER BY 1
"""
SIZES = """
    SELECT c.reltuples, c.relpages, c.oid FROM pg_class c WHERE c.oid = %(table)s
    OR c.oid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))
"""
AS_LARGE_AS_BEFORE = "UPDATE pg_class SET reltuples = %s, relpages = %s WHERE oid = %s"
# Rows that were changed lately would keep the planner from a new index as long as this transaction lasts.
USABLE = "UPDATE pg_index SET indcheckxmin = false WHERE indrelid = %s AND indcheckxmin"
MISSING = "SELECT FROM pg_available_extensions WHERE name = %s AND installed_version IS NULL"


@dataclass(frozen=True, slots=True)
class Table:
    """The table of a plan's node; of a partition, the whole."""

    oid: int
    name: str  # as SQL
    partitioned: bool


@dataclass(frozen=True, slots=True)
class Built:
    """An index that is there until the transaction is rolled back."""

    table: Table
    definition: str
    names: frozenset[str]  # its own, and those of its partitions
    replaces: tuple[str, ...] = ()  # indexes that it makes superfluous
    extension: str = ""  # that had to be created first

    @property
    def sql(self) -> str:
        """How a person would create it."""
        begin = "CREATE INDEX" if self.table.partitioned else "CREATE INDEX CONCURRENTLY"
        text = self.definition.replace("CREATE INDEX", begin, 1)
        text = text.replace(" ON ONLY ", " ON ", 1).replace(" USING btree", "", 1)
        return f"CREATE EXTENSION IF NOT EXISTS {self.extension}; {text}" if self.extension else text


def table_of(connection: Connection, need: Need) -> Table | None:
    """The table that needs an index; None for what has none, such as a temporary one."""
    row = connection.execute(TABLE, (need.schema, need.relation)).fetchone()
    return None if row is None else Table(*row)


def order_of(connection: Connection, need: Need) -> tuple[Order, ...]:
    """The order in which a scan for the first rows reads its index."""
    if not need.in_order:
        return ()
    rows = connection.execute(KEYS, (need.schema, need.index)).fetchall()
    return tuple(
        Order(key, descending is not need.backward, nulls_first is not need.backward)
        for key, descending, nulls_first in rows
    )


def build(connection: Connection, table: Table, candidate: Candidate, *, analyze: bool) -> Built:
    """Create it, and leave the planner all else as it was; `analyze` where there are rows to look at."""
    extension = candidate.extension if _missing(connection, candidate.extension) else ""
    if extension:
        connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
    sizes = connection.execute(SIZES, {"table": table.oid}).fetchall()
    where = f" WHERE {candidate.predicate}" if candidate.predicate else ""
    keys = ", ".join(candidate.keys)
    connection.execute(f"CREATE INDEX ON {table.name} USING {candidate.method} ({keys}){where}".encode())
    row = connection.execute(NEWEST, (table.oid,)).fetchone()
    assert row is not None
    index, definition, expressions = row
    for _, _, oid in sizes:
        connection.execute(USABLE, (oid,))
    if analyze and expressions:  # how selective an expression is, only its own statistics tell
        connection.execute(f"ANALYZE {table.name}".encode())
    else:
        connection.cursor().executemany(AS_LARGE_AS_BEFORE, sizes)
    names = frozenset(name for (name,) in connection.execute(PARTS, {"index": index}))
    replaces = tuple(name for (name,) in connection.execute(REPLACED, (index,)))
    return Built(table, definition, names, replaces, extension)


def _missing(connection: Connection, extension: str) -> bool:
    return bool(extension) and connection.execute(MISSING, (extension,)).fetchone() is not None
