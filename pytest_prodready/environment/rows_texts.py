"""Shapes that texts commonly have to have: tried in turn where a condition refuses plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_prodready.environment.rows_tables import literal
from pytest_prodready.environment.rows_values import Series, Values

LETTERS = "abcdefghij"
LONGEST = 2000
COMMON = (
    *("'user' || {k} || '@example.com'", "'https://example.com/' || {k}", "'item-' || {k}", "'item_' || {k}"),
    *("'item' || {k}", "'Item ' || {k}", "'ITEM-' || {k}", "'ITEM_' || {k}", "'ITEM' || {k}", "'/' || {k}"),
    *(
        "{k}::text",
        "'+49' || lpad({k}::text, 10, '0')",
        "'1.' || {k} || '.0'",
        "'host' || {k} || '.example.com'",
    ),
    *("md5({k}::text)::uuid::text", "md5({k}::text)", "encode(sha256({k}::text::bytea), 'hex')"),
)
LIMITED = (
    ("'#' || lpad(to_hex({k}), 6, '0')", 16**6),
    ("'#' || upper(lpad(to_hex({k}), 6, '0'))", 16**6),
    ("'10.0.' || ({k} / 250) || '.' || ({k} % 250)", 60_000),
    ("to_char(time '00:00' + {k} * interval '1 minute', 'HH24:MI')", 1440),
    ("(date '2020-01-01' + ({k})::integer)::text", 3000),
)


def shapes(type_name: str, strings: Iterable[str], lengths: Iterable[int], limit: int | None) -> list[Values]:
    """What to try: patterns that the condition names, common shapes, and texts of the lengths it names."""
    return [
        Values(_cast(sql, type_name, limit), count)
        for sql, count in (
            *_patterns(strings),
            *((sql, None) for sql in COMMON),
            *LIMITED,
            *_sized(lengths, limit),
        )
    ]


def _cast(sql: str, type_name: str, limit: int | None) -> Series:
    """The text as its type; null where it would be cut off."""
    if limit is None:
        return lambda k: f"({sql.replace('{k}', k)})::{type_name}"

    def at(k: str) -> str:
        made = sql.replace("{k}", k)
        return f"(CASE WHEN char_length({made}) <= {limit} THEN {made} END)::{type_name}"

    return at


def _patterns(strings: Iterable[str]) -> Iterator[tuple[str, int | None]]:
    """Texts that are LIKE a pattern."""
    for string in strings:
        if "%" in string:
            parts = (literal(part.replace("_", "x")) for part in string.split("%"))
            yield f"concat({', {k}, '.join(parts)})", None


def _sized(lengths: Iterable[int], limit: int | None) -> Iterator[tuple[str, int | None]]:
    """Texts of exactly so many characters: digits, letters, capitals."""
    near = {n + more for n in lengths for more in (0, 1, -1)}
    most = min(limit or LONGEST, LONGEST)
    for length in sorted(n for n in near if 0 < n <= most):
        digits = f"lpad({{k}}::text, {length}, '0')"
        letters = f"translate({digits}, '0123456789', '{LETTERS}')"
        count = 10 ** min(length, 15)
        yield from (
            (letters, count),
            (f"upper({letters})", count),
            (digits, count),
            (f"initcap({letters})", count),
        )
