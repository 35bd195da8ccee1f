"""Series of values, by type: the SQL of the k-th, and how many different ones there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_prodready.environment.rows_tables import literal

Series = Callable[[str], str]
WORDS = (
    *("red", "blue", "green", "north", "south", "river", "stone", "paper", "light", "house", "garden"),
    *("market", "bridge", "window", "copper", "silver", "winter", "summer", "engine", "letter", "signal"),
    *("harbour", "orchard", "compass"),
)
TWO_YEARS_S = 2 * 365 * 86_400
UNIFORM, SLIGHT, STEEP = 1.0, 2.0, 3.0


@dataclass(frozen=True, slots=True)
class Values:
    """A series of values."""

    at: Series  # SQL of the k-th, from SQL of k, which begins at 0
    count: int | None = None  # how many there are; None: as many as one likes
    usual: int | None = None  # of a column that may repeat them; None: a fifth of its rows
    skew: float = SLIGHT  # how much oftener the first come than the last
    distinct: bool = True  # whether they all differ
    rising: bool = False  # the last come first, in the order of the rows, as times of creation do

    def enough(self, rows: int) -> bool:
        """Whether so many rows can each have a value of their own."""
        return self.distinct and (self.count is None or self.count >= rows)

    def spread(self, rows: int) -> int:
        """How many different values so many rows have when they may repeat."""
        usual = self.usual if self.usual is not None else max(10, rows // 5)
        return max(1, usual if self.count is None else min(usual, self.count))


def hashed(k: str, salt: int) -> str:
    """A number from 0 to 2^63 - 1 that looks random and is always the same."""
    return f"(hashint8extended({k}, {salt}) & 9223372036854775807)"


def chance(k: str, salt: int) -> str:
    """The same between 0 and 1."""
    return f"((hashint8extended({k}, {salt}) & 4503599627370495) / 4503599627370496::float8)"


def drawn(k: str, salt: int, count: int, skew: float = SLIGHT) -> str:
    """A number from 0 to count - 1 that looks random, small ones oftener."""
    if count == 1:
        return "0::bigint"
    power = chance(k, salt) if skew == UNIFORM else f"power({chance(k, salt)}, {skew:g})"
    return f"floor({count} * {power})::bigint"


def listed(values: Sequence[str], type_name: str, *, arrays: bool = False) -> Values:
    """These values (as SQL), the first oftener than the last."""
    if arrays:  # an array of arrays would be one of more dimensions
        cases = " ".join(f"WHEN {place} THEN {value}" for place, value in enumerate(values))
        return Values(lambda k: f"(CASE {k} {cases} END)::{type_name}", len(values), len(values), STEEP)
    items = ", ".join(f"{value}::{type_name}" for value in values)
    return Values(lambda k: f"(ARRAY[{items}])[1 + {k}]", len(values), len(values), STEEP)


def counted(type_name: str, count: int | None, usual: int = 10_000) -> Values:
    """The numbers from 0."""
    return Values(lambda k: f"({k})::{type_name}", count, usual)


def steps(type_name: str, digits: int, count: int | None = None) -> Values:
    """Numbers from 0 in steps of the last of so many digits after the point."""
    return Values(lambda k: f"({k} / 1e{digits}::numeric)::{type_name}", count, 100_000)


def text(type_name: str, limit: int | None, salt: int) -> Values:
    """Words with a number; where they are too long, digits."""
    if limit is None or limit >= 24:
        words = ", ".join(literal(word) for word in WORDS)
        count = len(WORDS)

        def at(k: str) -> str:
            first, second = (drawn(k, salt + place, count, STEEP) for place in (1, 2))
            return (
                f"((ARRAY[{words}])[1 + {first}] || ' ' || (ARRAY[{words}])[1 + {second}] || ' ' || {k})"
                f"::{type_name}"
            )

        return Values(at)
    digits = min(limit, 10)
    return Values(lambda k: f"lpad(to_hex({k}), {digits}, '0')::{type_name}", 16**digits)


def document(type_name: str, salt: int) -> Values:
    """JSON objects."""
    make = type_name + "_build_object"

    def at(k: str) -> str:
        kind = f"(ARRAY['a', 'b', 'c', 'd'])[1 + {drawn(k, salt + 1, 4, STEEP)}]"
        return f"{make}('n', {k}, 'kind', {kind}, 'note', 'note ' || {k})"

    return Values(at, None, None)


def moments(sql: str, count: int | None = None) -> Values:
    """Points in time that go back from today; `sql` has {k} seconds or days."""
    return Values(lambda k: sql.replace("{k}", k), count, TWO_YEARS_S, 1.5)


def simple(salt: int) -> Mapping[str, Values]:
    """The types of pg_catalog that need nothing to be known but their name."""
    digest = f"md5('{salt} ' || {{k}})"

    def of(sql: str, count: int | None = None, usual: int | None = None) -> Values:
        return Values(lambda k: sql.replace("{k}", k), count, usual)

    day = datetime.now(UTC).date().isoformat()
    return {
        "int2": counted("smallint", 32_768, 1000),
        "int4": counted("integer", 2_147_483_648),
        "int8": counted("bigint", None),
        "oid": counted("oid", 2_147_483_648),
        "float4": steps("real", 2, 10_000_000),
        "float8": steps("double precision", 2),
        "money": of("(({k}) / 100::numeric)::money", None, 100_000),
        "bool": listed(["false", "true"], "boolean"),
        "date": Values(lambda k: f"(date '{day}' - ({k})::integer)", 100_000, 730, 1.5),
        "timestamptz": moments(f"(timestamptz '{day} 00:00Z' - {{k}} * interval '1 second')"),
        "timestamp": moments(f"(timestamp '{day} 00:00' - {{k}} * interval '1 second')"),
        "time": of("(time '00:00' + {k} * interval '1 second')", 86_400, 86_400),
        "timetz": of("((time '00:00' + {k} * interval '1 second')::time AT TIME ZONE 'UTC')", 86_400, 86_400),
        "interval": of("({k} * interval '1 minute')", None, 10_000),
        "uuid": of(f"{digest}::uuid"),
        "bytea": of(f"decode({digest}, 'hex')"),
        "json": document("json", salt),
        "jsonb": document("jsonb", salt),
        "inet": of("(inet '10.0.0.0' + {k})", 16_777_216, 65_536),
        "cidr": of("set_masklen(inet '10.0.0.0' + {k}, 32)::cidr", 16_777_216, 65_536),
        "macaddr": of("('02' || lpad(to_hex({k}), 10, '0'))::macaddr", 2**40),
        "macaddr8": of("('02' || lpad(to_hex({k}), 14, '0'))::macaddr8", 2**56),
        "tsvector": of(f"to_tsvector('simple', {text('text', None, salt).at('{k}')})"),
        "tsquery": of("plainto_tsquery('simple', 'word' || {k})", None, 1000),
        "xml": of("xmlparse(CONTENT '<n>' || {k} || '</n>')"),
        "pg_lsn": of("('0/' || to_hex({k}))::pg_lsn", 2**32),
        "point": of("point({k} / 100::float8, {k} % 9000 / 100::float8)"),
        "box": of("box(point({k} * 2, 0), point({k} * 2 + 1, 1))"),
        "circle": of("circle(point({k} * 3, 0), 1)"),
        "line": of("line(point({k}, 0), point({k} + 1, 1))"),
        "lseg": of("lseg(point({k}, 0), point({k} + 1, 1))"),
        "path": of("path(polygon(box(point({k} * 2, 0), point({k} * 2 + 1, 1))))"),
        "polygon": of("polygon(box(point({k} * 2, 0), point({k} * 2 + 1, 1)))"),
        "name": of("('name_' || {k})::name"),
        "char": listed([literal(letter) for letter in "abcdefgh"], '"char"'),
    }
