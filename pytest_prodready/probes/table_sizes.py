"""How large the tables are that plans were made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from pytest_prodready.probes.plans import TableSize

SIZES = """
    SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END,
           n.nspname || '.' || c.relname, greatest(c.reltuples, 0)::bigint, c.relpages::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1
"""


def table_sizes(connection: psycopg.Connection[Any], wanted: Mapping[str, int]) -> tuple[TableSize, ...]:
    """Every table by name, as large as the last ANALYZE found it, and as production's is declared to be."""
    return tuple(
        TableSize(name, rows, pages, wanted.get(name, wanted.get(full)))
        for name, full, rows, pages in connection.execute(SIZES)
    )
