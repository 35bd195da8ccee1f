"""What is known of statistics and files without a server: the text of dumps, segments, heights of trees."""

from __future__ import annotations

import pytest

from pytest_prodready.environment.statistics_dump import Argument, NotInjected, parsed
from pytest_prodready.environment.statistics_files import segments
from pytest_prodready.environment.statistics_redacted import without_values
from pytest_prodready.environment.statistics_trees import PAGE, height, is_empty_tree

DUMP = r"""
--
-- Statistics for Name: it's; Type: STATISTICS DATA
--
\restrict abcDEF123
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SELECT * FROM pg_catalog.pg_restore_attribute_stats(
	'version', '180001'::integer,
	'schemaname', 'public',
	'relname', 'it''s; -- no comment',
	'attname', 'a\b',
	'null_frac', '0.5'::real,
	'most_common_vals', '{"x''y;","--",NULL}'::text,
	'most_common_freqs', '{0.25,0.25}'::real[]
);
\unrestrict abcDEF123
"""


def test_a_dump_is_taken_apart_and_put_together() -> None:
    """Quotes, semicolons and comments inside of values are values; the text that is made says the same."""
    (one,) = parsed(DUMP, "stats.sql")
    assert (one.kind, one.schema, one.relation, one.line) == ("attribute", "public", "it's; -- no comment", 8)
    assert one.get("attname") == r"a\b"
    assert one.arguments[5] == Argument("most_common_vals", '{"x\'y;","--",NULL}', "text")
    (again,) = parsed(one.sql() + ";", "again")
    assert again.arguments == one.arguments


def test_values_are_left_out_by_what_is_kept() -> None:
    """What isn't known to be harmless goes, also what a later version may add."""
    text = DUMP.replace("'null_frac'", "'new_in_20', 'secret'::text, 'null_frac'")
    kept, removed = without_values(parsed(text, "stats.sql"))
    assert removed == {"most_common_vals": 1, "most_common_freqs": 1, "new_in_20": 1}
    assert [argument.name for argument in kept[0].arguments][-2:] == ["attname", "null_frac"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('a', 'b'); DROP TABLE t",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('a', 'b') WHERE f();",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('a', f());",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats('a', 'b'::name);",
        "SELECT * FROM pg_catalog.pg_restore_database_stats('a', 'b');",
        "SELECT pg_catalog.set_config('role', 'x', false);",
        "SET ROLE x;",
        "SET search_path = public, pg_temp;",
        "$$;$$;",
        "\\i other.sql",
        "'unfinished",
    ],
)
def test_nothing_else_is_taken(text: str) -> None:
    """A statement that is anything but such a call with literals is refused."""
    with pytest.raises(NotInjected, match="something else"):
        list(parsed(text, "stats.sql"))


def test_a_relation_is_split_into_segments() -> None:
    """A file holds a gibibyte; the rest stands in further ones."""
    assert list(segments("base/1/2", 3, 8192, 131_072)) == [("base/1/2", 24_576)]
    assert list(segments("base/1/2", 131_072, 8192, 131_072)) == [("base/1/2", 1 << 30)]
    assert list(segments("base/1/2", 300_000, 8192, 131_072)) == [
        ("base/1/2", 1 << 30),
        ("base/1/2.1", 1 << 30),
        ("base/1/2.2", (300_000 - 262_144) * 8192),
    ]


def test_heights_of_trees() -> None:
    """Keys of eight bytes: hundreds of ways from page to page; wide ones have fewer, and more levels."""
    assert [height(pages, [8], [1e6]) for pages in (2, 3, 400, 500, 110_000, 130_000)] == [0, 1, 1, 2, 2, 3]
    assert height(5000, [400], [1e6]) > height(5000, [8], [1e6])
    assert height(500, [8, 400], [1e6, 1e6]) == height(500, [8], [1e6])  # the first column tells them apart


def test_pages_of_another_kind_are_left_alone() -> None:
    """Only the first page of an empty tree, laid out as expected, is changed."""
    assert not is_empty_tree(b"")
    assert not is_empty_tree(bytes(PAGE))
