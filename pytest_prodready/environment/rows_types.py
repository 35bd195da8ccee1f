"""Which values a type has: base types, enumerations, domains, arrays, ranges and composites."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from pytest_prodready.environment.rows_tables import (
    Check,
    Column,
    Connection,
    fetch,
    ident,
    literal,
    one,
    qualified_names,
)
from pytest_prodready.environment.rows_values import Values, hashed, listed, simple, steps, text

TYPE = """
    SELECT t.typname, n.nspname, t.typtype::text, t.typcategory::text, t.typelem::bigint, t.typlen,
           t.typbasetype::bigint, t.typtypmod, t.typrelid::bigint,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
           ARRAY(SELECT ARRAY[k.conname::text, pg_get_expr(k.conbin, 0)]
            FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = {oid}
"""
RANGE = "SELECT rngsubtype::bigint FROM pg_range WHERE rngtypid = {oid}"
MULTIRANGE = "SELECT rngtypid::bigint FROM pg_range WHERE rngmultitypid = {oid}"
FIELDS = """
    SELECT atttypid::bigint, atttypmod FROM pg_attribute
    WHERE attrelid = {relation} AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
EXTENSIONS = {"hstore": "n=>", "ltree": "top.n"}  # how their values begin
HOUR_STEPS = frozenset({"tsrange", "tstzrange"})
VALUE = re.compile(r"'(?:[^']|'')*'|\bVALUE\b")


@dataclass(frozen=True, slots=True)
class Type:
    """A type, as the catalogue has it."""

    name: str
    schema: str
    kind: str
    category: str
    element: int
    length: int
    base: int
    base_modifier: int
    relation: int
    labels: list[str]
    checks: list[list[str]]  # name and condition

    @property
    def built_in(self) -> bool:
        """Whether it comes with the server."""
        return self.schema == "pg_catalog"

    @property
    def is_array(self) -> bool:
        """Whether it is an array of other values."""
        return self.category == "A" and self.element != 0 and self.length == -1


class Types:
    """Knows the types of one database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, Type] = {}
        self._names: dict[tuple[int, int], str] = {}

    def values(self, oid: int, modifier: int, salt: int) -> Values | None:
        """The values of a type; None of one that nobody here knows."""
        oid, modifier = self.base(oid, modifier)
        about = self.about(oid)
        name = self.name(oid, modifier)
        if about.kind == "e":
            return listed([literal(label) for label in about.labels], name) if about.labels else None
        if about.kind == "r":
            return self._range(oid, about, name, salt)
        if about.kind == "m":
            inner = self.values(one(self._connection, MULTIRANGE.format(oid=oid)), -1, salt)
            return inner and Values(lambda k: f"{name}({inner.at(k)})", inner.count, inner.usual)
        if about.kind == "c":
            return self._composite(about, name, salt)
        if about.is_array:
            return self._array(about, modifier, name, salt)
        return _scalar(about, modifier, name, salt)

    def base(self, oid: int, modifier: int) -> tuple[int, int]:
        """The type that a domain is made of, with its modifier."""
        about = self.about(oid)
        return self.base(about.base, about.base_modifier) if about.kind == "d" else (oid, modifier)

    def checks(self, column: Column) -> tuple[Check, ...]:
        """What the column's domain demands, in terms of the column."""
        found: list[Check] = []
        about = self.about(column.type)
        while about.kind == "d":
            for name, condition in about.checks:
                sql = VALUE.sub(lambda hit: column.sql if hit[0] == "VALUE" else hit[0], condition)
                definition = f"CHECK ({condition}) of domain {about.name}"
                found.append(Check(name, (column.name,), sql, definition))
            about = self.about(about.base)
        return tuple(found)

    def name(self, oid: int, modifier: int) -> str:
        """A type as SQL, right under any search_path."""
        if (oid, modifier) not in self._names:
            with qualified_names(self._connection):
                found = one(self._connection, f"SELECT format_type({oid}, {modifier})")
            self._names[oid, modifier] = str(found)
        return self._names[oid, modifier]

    def about(self, oid: int) -> Type:
        """What the catalogue says of a type."""
        if oid not in self._known:
            with qualified_names(self._connection):
                self._known[oid] = Type(*fetch(self._connection, TYPE.format(oid=oid))[0])
        return self._known[oid]

    def _range(self, oid: int, about: Type, name: str, salt: int) -> Values | None:
        """Ranges that don't overlap."""
        inner = self.values(one(self._connection, RANGE.format(oid=oid)), -1, salt)
        if inner is None:
            return None
        step = 1800 if about.name in HOUR_STEPS else 1
        make = f"{ident(about.schema)}.{ident(about.name)}"

        def at(k: str) -> str:
            ends = ", ".join(inner.at(f"({k} * {2 * step}::bigint + {more})") for more in (0, step))
            return f"{make}(least({ends}), greatest({ends}))"

        count = None if inner.count is None else inner.count // (2 * step)
        return Values(at, count, 10_000)

    def _composite(self, about: Type, name: str, salt: int) -> Values | None:
        fields = fetch(self._connection, FIELDS.format(relation=about.relation))
        inner = [self.values(type_, mod, salt + place) for place, (type_, mod) in enumerate(fields)]
        known = [values for values in inner if values is not None]
        if not known or len(known) < len(inner):
            return None
        counts = [values.count for values in known]
        count = None if None in counts else max(count or 0 for count in counts)
        return Values(lambda k: f"ROW({', '.join(v.at(_within(k, v)) for v in known)})::{name}", count)

    def _array(self, about: Type, modifier: int, name: str, salt: int) -> Values | None:
        inner = self.values(about.element, modifier, salt)
        if inner is None:
            return None
        spread = inner.spread(1000)

        def at(k: str) -> str:
            second = f"({hashed(k, salt + 9)} % {spread})"
            return f"ARRAY[{inner.at(_within(k, inner))}, {inner.at(second)}]::{name}"

        return Values(at, inner.count, 1000)


def salt_of(*names: str) -> int:
    """A number of one's own for each column, the same at any time."""
    return zlib.crc32(".".join(names).encode()) % 1_000_000_000


def text_limit(modifier: int) -> int | None:
    """How many characters a text may have; None: any."""
    return modifier - 4 if modifier >= 5 else None


def _within(k: str, values: Values) -> str:
    return k if values.count is None else f"({k} % {values.count})"


def _scalar(about: Type, modifier: int, name: str, salt: int) -> Values | None:
    if about.name in TEXTS:
        return text(name, text_limit(modifier), salt)
    if not about.built_in:
        start = EXTENSIONS.get(about.name)
        return None if start is None else Values(lambda k: f"({literal(start)} || {k})::{name}")
    if about.name == "numeric":
        return _numeric(modifier, name)
    if about.name in ("bit", "varbit"):
        bits = modifier if modifier > 0 else (1 if about.name == "bit" else 32)
        used = min(bits, 62)
        return Values(lambda k: f"({k})::bigint::bit({used})::{name}", 2**used, 1000)
    return simple(salt).get(about.name)


def _numeric(modifier: int, name: str) -> Values:
    if modifier < 4:
        return steps(name, 2)
    precision, scale = (modifier - 4) >> 16, (modifier - 4) & 0x7FF
    scale = scale - 2048 if scale >= 1024 else scale
    return steps(name, scale, min(10**precision, 2**62))
