"""Puts statistics into the catalogue, as far as their tables and columns are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pytest_prodready.environment.statistics_dump import Restore
from pytest_prodready.environment.statistics_schema import OURS

Connection = psycopg.Connection[Any]
Name = tuple[str, str]
RELATIONS = f"""
    SELECT n.nspname, c.relname, c.oid::bigint, c.relkind::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I', 'f') AND {OURS} ORDER BY 1, 2
"""  # noqa: S608
EXTENDED = """
    SELECT n.nspname || '.' || s.stxname FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE NOT EXISTS (SELECT FROM pg_statistic_ext_data d WHERE d.stxoid = s.oid) ORDER BY 1
"""
NOTES = 10  # said in full; more are counted


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or index that is here."""

    oid: int
    kind: str

    @property
    def holds_rows(self) -> bool:
        """Whether it is a table or materialized view, not an index."""
        return self.kind in "rpmf"


@dataclass(frozen=True, slots=True)
class Restored:
    """Whose statistics are here now."""

    relations: tuple[int, ...]  # oids
    tables: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


def restore(connection: Connection, restores: Sequence[Restore]) -> Restored:
    """Set what can be set; the rest is told."""
    here = {(row[0], row[1]): Relation(row[2], row[3]) for row in connection.execute(RELATIONS.encode())}
    said: list[str] = []
    warnings: list[str] = []
    connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
    with connection.transaction():
        for one in restores:
            if (one.schema, one.relation) in here or one.kind == "extended":
                said += _set(connection, one, warnings)
    named = list(dict.fromkeys((one.schema, one.relation) for one in restores if one.kind != "extended"))
    return Restored(
        tuple(here[name].oid for name in named if name in here),
        tuple(_text(name) for name in named if name in here and here[name].holds_rows),
        tuple(_text(name) for name in _without(here, named)),
        tuple(_text(name) for name in named if name not in here),
        _shortened(said),
    )


def extended(connection: Connection) -> tuple[str, ...]:
    """Extended statistics of the schema that have no data."""
    return tuple(name for (name,) in connection.execute(EXTENDED))


def _set(connection: Connection, one: Restore, warnings: list[str]) -> Iterable[str]:
    warnings.clear()
    what = f"{one.schema}.{one.relation}" + (f".{one.get('attname')}" if one.kind == "attribute" else "")
    try:
        with connection.transaction():
            connection.execute(one.sql().encode())
    except psycopg.Error as error:
        return [f"{what}: {error.diag.message_primary or error}"]
    return [f"{what}: {warning}" for warning in warnings]


def _without(here: Mapping[Name, Relation], named: Iterable[Name]) -> list[Name]:
    known = set(named)
    return [name for name, relation in here.items() if relation.holds_rows and name not in known]


def _shortened(said: list[str]) -> tuple[str, ...]:
    more = [f"{len(said) - NOTES:,} more like these"] if len(said) > NOTES else []
    return tuple(said[:NOTES] + more)


def _text(name: Name) -> str:
    return ".".join(name)
