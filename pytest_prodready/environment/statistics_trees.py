"""B-trees as high as production's: the planner reads the height from an index and adds it to every lookup.

An emptied index has no level. It gets as many as its pages need: each is a page with one way down to the
next, and the last is an empty leaf. That is a tree like any other (amcheck finds nothing wrong), in which a
search finds nothing. Where the server's own pages aren't laid out as expected here, indexes stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

import psycopg

PAGE = 8192
PAGE_HEADER, TREE_END = 24, 16  # bytes at the beginning of a page, and at its end
MAGIC, VERSION = 0x053162, 4
LEAF, ROOT, WAY_DOWN = 1, 2, 0x2000  # flags of a page; of an entry that leads to another page
FILLED = 0.7  # of a page between root and leaves
UNKNOWN_WIDTH = 16  # bytes of a key that there are no statistics of
MANY = 1000  # different values of the first columns: further ones are not kept above the leaves
INDEXES = """
    SELECT pg_relation_filepath(c.oid), c.relpages, pg_read_binary_file(pg_relation_filepath(c.oid), 0, 8192),
           ARRAY(SELECT coalesce(max(s.stawidth), max(NULLIF(a.attlen, -1)), -1)
                 FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.place
                 LEFT JOIN pg_statistic s ON (s.starelid, s.staattnum) IN (
                     (i.indrelid, NULLIF(k.number, 0)), (c.oid, k.place))
                 GROUP BY k.place ORDER BY k.place)::float8[],
           ARRAY(SELECT coalesce(max(CASE WHEN s.stadistinct < 0 THEN -s.stadistinct * c.reltuples
                                     ELSE s.stadistinct END), 0)
                 FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
                 LEFT JOIN pg_statistic s ON (s.starelid, s.staattnum) IN (
                     (i.indrelid, NULLIF(k.number, 0)), (c.oid, k.place))
                 GROUP BY k.place ORDER BY k.place)::float8[]
    FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am m ON m.oid = c.relam
    WHERE c.oid = ANY (%s) AND c.relkind = 'i' AND m.amname = 'btree' AND c.relpages > 3
      AND current_setting('block_size') = '8192'
"""
# Of pg_checksum_page(), src/include/storage/checksum_impl.h.
PRIME = 16_777_619
SEEDS = (
    *(0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C),
    *(0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB),
    *(0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4),
    *(0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756),
)


def trees(connection: psycopg.Connection[Any], relations: Iterable[int]) -> dict[str, bytes]:
    """The first pages of the B-trees among these relations, by file."""
    found = {}
    for path, pages, first, widths, distinct in connection.execute(INDEXES, (list(relations),)):
        levels = height(pages, widths, distinct)
        if levels and is_empty_tree(first):
            found[path] = b"".join(tree(first, levels))
    return found


def height(pages: int, widths: list[float], distinct: list[float]) -> int:
    """How many levels a tree of so many pages has above its leaves, for keys of these widths in bytes."""
    room = (PAGE - PAGE_HEADER - TREE_END) // _entry(widths, distinct)
    level, nodes = 0, pages - 1
    while nodes > room:  # of the root: it is split when it is full
        level, nodes = level + 1, ceil(nodes / (room * FILLED))
    return level + (nodes > 1)


def is_empty_tree(page: bytes) -> bool:
    """Whether this is the first page of an empty B-tree, laid out and summed as expected here."""
    if len(page) != PAGE or struct.unpack_from("<H", page, 18) != (PAGE | 4,):
        return False
    magic, version, root = struct.unpack_from("<3I", page, PAGE_HEADER)
    stored = struct.unpack_from("<H", page, 8)[0]
    return (magic, version, root) == (MAGIC, VERSION, 0) and stored in (0, checksum(page, 0))


def tree(first: bytes, levels: int) -> Iterator[bytes]:
    """The pages of a tree without an entry: the first one, the root, and so on down to the only leaf."""
    summed = first[8:10] != b"\0\0"
    page = bytearray(first)
    struct.pack_into("<4I", page, PAGE_HEADER + 8, 1, levels, 1, levels)  # root and "fast root", with levels
    pages = [page, *(_node(block, levels) for block in range(1, levels + 2))]
    for block, made in enumerate(pages):
        if summed:
            struct.pack_into("<H", made, 8, checksum(bytes(made), block))
        yield bytes(made)


def checksum(page: bytes, block: int) -> int:
    """The checksum that a page of this number has to carry."""
    sums = list(SEEDS)
    words = struct.unpack(f"<{PAGE // 4}I", page[:8] + b"\0\0" + page[10:])
    for place, word in enumerate((*words, *[0] * 2 * len(SEEDS))):
        mixed = sums[place % len(SEEDS)] ^ word
        sums[place % len(SEEDS)] = (mixed * PRIME & 0xFFFFFFFF) ^ (mixed >> 17)
    total = block
    for each in sums:
        total ^= each
    return total % 65_535 + 1


def _node(block: int, levels: int) -> bytearray:
    """A page of the tree: the root is number 1, and each leads to the next."""
    level = levels + 1 - block
    page = bytearray(PAGE)
    end = PAGE - TREE_END
    lower, upper = PAGE_HEADER, end
    if level:
        lower, upper = PAGE_HEADER + 4, end - 8
        struct.pack_into("<I", page, PAGE_HEADER, upper | 1 << 15 | 8 << 17)  # where the entry is; it is used
        struct.pack_into("<4H", page, upper, (block + 1) >> 16, (block + 1) & 0xFFFF, 0, 8 | WAY_DOWN)
    struct.pack_into("<4H", page, 12, lower, upper, end, PAGE | 4)
    flags = (ROOT if block == 1 else 0) | (0 if level else LEAF)
    struct.pack_into("<3I2H", page, end, 0, 0, level, flags, 0)
    return page


def _entry(widths: list[float], distinct: list[float]) -> int:
    """The bytes of an entry above the leaves: only as many columns as tell its neighbours apart."""
    size, values = 0.0, 1.0
    for width, different in zip(widths, distinct, strict=True):
        size += width if width > 0 else UNKNOWN_WIDTH
        values *= max(1.0, different)
        if values > MANY:
            break
    return ceil((8 + size) / 8) * 8 + 4
