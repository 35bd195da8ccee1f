"""How much of an index is bloat: read by pgstattuple on a server of ours, estimated elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg
from psycopg import sql

from pytest_prodready.environment.admin import Connection
from pytest_prodready.probes.index_facts import Index

LEAST_BYTES = 8 * 1024 * 1024  # what a smaller index wastes is nobody's trouble
READ_WITHIN_MS = 5000
SCHEMA = "prodready_bloat"
WASTE = """
    SELECT wanted.name, greatest(0, found.index_size * (1 - found.avg_leaf_density / fill.factor))::bigint
    FROM unnest(%(names)s::text[]) AS wanted (name), {}.pgstatindex(wanted.name::regclass) AS found,
         LATERAL (SELECT coalesce(
             (SELECT option_value FROM pg_class c, pg_options_to_table(c.reloptions)
              WHERE c.oid = wanted.name::regclass AND option_name = 'fillfactor')::int, 90)) AS fill (factor)
"""


def estimated(indexes: tuple[Index, ...], estimate: Mapping[str, int]) -> tuple[Index, ...]:
    """The larger indexes with what they waste by an estimate."""
    return tuple(
        replace(each, wasted_bytes=estimate[each.name], wasted_by="estimate")
        if _large(each) and each.name in estimate
        else each
        for each in indexes
    )


def measured(connection: Connection, path: str, indexes: tuple[Index, ...]) -> tuple[Index, ...]:
    """The larger B-trees with what they waste by the density of their leaves, where it can be read."""
    large = [each.name for each in indexes if _large(each) and each.method == "btree"]
    read: dict[str, int] = {}
    if large:
        with suppress(psycopg.Error), _pgstattuple(connection, path) as schema:
            query = sql.SQL(WASTE).format(sql.Identifier(schema))
            read = dict(connection.execute(query, {"names": large}).fetchall())
    return tuple(
        replace(each, wasted_bytes=read[each.name], wasted_by="pgstattuple") if each.name in read else each
        for each in indexes
    )


def _large(index: Index) -> bool:
    return index.usable and index.size_bytes >= LEAST_BYTES


@contextmanager
def _pgstattuple(connection: Connection, path: str) -> Iterator[str]:
    """The schema with the extension, which is gone afterwards unless it was there before."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(READ_WITHIN_MS)))
        connection.execute("SELECT set_config('search_path', %s, true)", (path,))
        there = connection.execute(
            "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
            " WHERE extname = 'pgstattuple'"
        ).fetchone()
        if there is None:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
            connection.execute(
                sql.SQL("CREATE EXTENSION pgstattuple SCHEMA {}").format(sql.Identifier(SCHEMA))
            )
        yield str(there[0]) if there else SCHEMA
