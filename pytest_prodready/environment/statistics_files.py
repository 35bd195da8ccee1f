"""Files as long as production's, made of holes: the planner asks for their length, and scales by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.environment.statistics_trees import trees

FILES = """
    SELECT pg_relation_filepath(c.oid), c.relpages FROM pg_class c
    WHERE c.oid = ANY (%s) AND c.relkind IN ('r', 'm', 'i') AND c.relpages > 0
"""
SIZES = """
    SELECT current_setting('block_size')::bigint,
           (SELECT setting::bigint FROM pg_settings WHERE name = 'segment_size')
"""


def stretch(server: PostgresRole, connection: psycopg.Connection[Any], relations: Iterable[int]) -> int:
    """Give these relations as many pages as the catalogue says; returns how many that are together."""
    sizes = connection.execute(SIZES).fetchone()
    assert sizes is not None
    block, segment = sizes
    oids = list(relations)
    found = connection.execute(FILES, (oids,)).fetchall()
    files = (file for path, pages in found for file in segments(path, pages, block, segment))
    server.stretch(dict(files), trees(connection, oids))
    return sum(pages for _, pages in found)


def segments(path: str, pages: int, block: int, segment: int) -> Iterator[tuple[str, int]]:
    """The files of a relation and their lengths in bytes: PostgreSQL splits it into segments."""
    for number, first in enumerate(range(0, pages, segment)):
        name = f"{path}.{number}" if number else path
        yield name, min(segment, pages - first) * block
