"""All that a database's catalogue says of what a user made in it, by name; and how two of them differ.

The text of pg_dump differs from run to run, and numbers of objects mean nothing elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from pytest_prodready.probes.schema_relations import relations
from pytest_prodready.probes.schema_rights import rights
from pytest_prodready.probes.schema_routines import ROUTINES

# Names are qualified in full then, and constants in expressions are printed in one way.
PLAIN = (
    "SET LOCAL search_path = ''; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';"
    " SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1"
)
COLUMN_ORDER = "column order"
OWNED = re.compile(r"owned by .* of table (.*?)(?:;|$)")
HOLDS_OTHERS = ("schema", "table", "foreign table", "view", "materialized view", "column")

How = Literal["missing", "left over", "changed"]


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of the catalogue: what it is, its full name, and what its catalogue says of it in words."""

    kind: str  # table, column, default, check constraint, index, trigger, privileges …
    name: str  # with its schema, and its table where it hangs on one
    definition: str


@dataclass(frozen=True, slots=True)
class Schema:
    """All things of one database, by kind and name."""

    things: tuple[Thing, ...]

    def without(self, names: Iterable[str]) -> Schema:
        """The same without these relations and schemas, and what hangs on them."""
        gone = tuple(names)
        return Schema(tuple(each for each in self.things if not _is_or_hangs_on(each.name, gone)))


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """What became of one thing; a definition is empty where it isn't there."""

    kind: str
    name: str
    how: How
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.how}: {self.kind} {self.name}"


def schema(connection: psycopg.Connection[Any]) -> Schema:
    """Everything in the catalogue of this database; the connection is a superuser's, in autocommit."""
    version = connection.info.server_version // 10_000
    found: list[Thing] = []
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(PLAIN)
        for query in (*relations(version), *ROUTINES, *rights(version)):
            found += (Thing(*row) for row in connection.execute(query.encode()))
    return Schema(tuple(sorted(found, key=lambda each: (each.kind, each.name))))


def schema_differences(before: Schema, after: Schema) -> tuple[SchemaDifference, ...]:
    """What differs, by kind and name; of a whole table that came or went, only the table is told."""
    return tuple(_outermost(list(_all_differences(before, after))))


def _all_differences(before: Schema, after: Schema) -> Iterator[SchemaDifference]:
    old, new = ({(each.kind, each.name): each.definition for each in side.things} for side in (before, after))
    for kind, name in sorted({*old, *new}):
        was, now = old.get((kind, name)), new.get((kind, name))
        if now is None:
            yield SchemaDifference(kind, name, "missing", was or "", "")
        elif was is None:
            yield SchemaDifference(kind, name, "left over", "", now)
        elif was != now and not (kind == COLUMN_ORDER and _same_order(was, now)):
            yield SchemaDifference(kind, name, "changed", was, now)


def _same_order(was: str, now: str) -> bool:
    """Whether columns that are on both sides come in the same order; others are told by themselves."""
    old, new = was.split(", "), now.split(", ")
    return [each for each in old if each in new] == [each for each in new if each in old]


def _outermost(found: list[SchemaDifference]) -> Iterator[SchemaDifference]:
    holders = {each.name: each.how for each in found if each.kind in HOLDS_OTHERS and each.how != "changed"}
    for each in found:
        inside = any(
            each.how == how
            and _is_or_hangs_on(_place(each), (name,))
            and (each.name != name or each.kind not in HOLDS_OTHERS)
            for name, how in holders.items()
        )
        if not inside:
            yield each


def _place(each: SchemaDifference) -> str:
    """The name of a thing, or of what it belongs to where its own doesn't tell."""
    owned = OWNED.search(each.before or each.after) if each.kind == "sequence" else None
    if owned is not None:
        return owned[1]
    return each.name.rpartition(" ")[2] if each.kind == "comment" else each.name


def _is_or_hangs_on(name: str, others: tuple[str, ...]) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in others)
