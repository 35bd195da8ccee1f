"""Words about indexes, for summaries."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_prodready.probes.index_facts import Index, Key

NAMED = 3
MIB = 1024 * 1024
NO_TABLE = "the database has no table that the service's role may use; were its migrations run?"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 index", "2 indexes"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def shown(index: Index) -> str:
    """Its columns and what else tells it from others."""
    keys = ", ".join(
        key.text + (f" COLLATE {key.collation}" if key.collation and key.column else "") + _order(key)
        for key in index.keys
    )
    how = "" if index.method == "btree" else f"USING {index.method} "
    included = f" INCLUDE ({', '.join(index.included)})" if index.included else ""
    predicate = f" WHERE {index.predicate}" if index.predicate else ""
    return f"{how}({keys}){included}{predicate}"


def megabytes(size_bytes: int) -> str:
    """A size in MB, whole from ten on."""
    size = size_bytes / MIB
    return f"{size:,.0f} MB" if size >= 10 else f"{size:.1f} MB"


def _order(key: Key) -> str:
    order = " DESC" if key.descending else ""
    return order + (
        "" if key.nulls_first == key.descending else f" NULLS {'FIRST' if key.nulls_first else 'LAST'}"
    )
