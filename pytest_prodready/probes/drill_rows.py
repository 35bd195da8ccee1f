"""Rows that hold a token, read straight from the database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from psycopg import sql

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.database import OWN_TABLES, Database

WITHIN_S = 20.0


def rows_with(database: Database, prefix: str) -> Mapping[str, int]:
    """How many rows of the service's own tables hold each token of a journal.

    A row counts once for a token, in however many columns it stands. Where several tables repeat a token
    (an event beside its order), the table counts in which most tokens stand.
    """
    with database.admin(within_s=WITHIN_S) as admin:
        tables = [name for (name,) in admin.execute(OWN_TABLES)]
        counts = [_of_table(admin, table, prefix) for table in tables]
    return max(counts, key=len, default=Counter())


def _of_table(admin: Connection, table: str, prefix: str) -> Counter[str]:
    # The name is as the server wrote it, quoted where it has to be.
    query = sql.SQL("SELECT t::text FROM {} AS t WHERE t::text LIKE {}").format(
        sql.SQL(table),
        sql.Literal(f"%{prefix}%"),
    )
    token = re.compile(rf"{re.escape(prefix)}\d{{5}}")
    return Counter(found for (text,) in admin.execute(query) for found in set(token.findall(text)))
