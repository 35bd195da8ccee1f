"""What EXPLAIN's conditions and sort keys ask of a table, read from their text."""

from __future__ import annotations

import pytest

from pytest_prodready.probes.index_conditions import Condition, Order, conditions, orders


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(jobs.region = 'north'::text)", [("equal", "region")]),
        ("((jobs.region = 'x'::text) AND (jobs.status = $1))", [("equal", "region"), ("equal", "status")]),
        ("((jobs.name)::text = 'x'::text)", [("equal", "name")]),
        ("(jobs.id = ANY ('{1,2,3}'::bigint[]))", [("equal", "id")]),
        ("(other.job_id = jobs.id)", [("equal", "id")]),
        ("(jobs.x = (InitPlan 1).col1)", [("equal", "x")]),
        ('(jobs."Region" = 1)', [("equal", '"Region"')]),
        ("(jobs.status = 'open'::public.job_status)", [("equal", "status")]),
        ("(jobs.at > (now() - '30 days'::interval))", [("range", "at")]),
        ("(ROW(jobs.at, jobs.id) < ROW('2026-01-01'::date, 3))", [("range", "at")]),
        ("(jobs.title ~~ 'ab%'::text)", [("prefix", "title")]),
        ("(jobs.title ~~ '%ab%'::text)", [("within", "title")]),
        ("(jobs.title ~~* 'ab%'::text)", [("within", "title")]),
        ("(jobs.tags && '{a}'::text[])", [("words", "tags")]),
        ("(jobs.data @> '{}'::jsonb)", [("words", "data")]),
        ("(jobs.data ? 'k'::text)", [("words", "data")]),
        ("jobs.featured", [("holds", "featured")]),
        ("(NOT jobs.featured)", [("holds", "NOT featured")]),
        ("(jobs.deleted_at IS NULL)", [("holds", "deleted_at IS NULL")]),
        ("(jobs.x = jobs.y)", []),
        ("(jobs.x <> 3)", []),
        ("((jobs.a = 1) OR (jobs.b = 2))", []),
        ("(other.x = 3)", []),
        ("(NOT (hashed SubPlan 1))", []),
        ("(jobs.ip <<= '10.0.0.0/8'::inet)", []),
        ("(jobs.id = ANY ('{1,2 … (20,000 characters)", []),
        ("(", []),
        ("", []),
    ],
)
def test_conditions(text: str, found: list[tuple[str, str]]) -> None:
    """Each condition that an index can serve is told; what can't be read, or is another table's, is not."""
    assert [(each.kind, each.key) for each in conditions(text, "jobs")] == found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("(lower((jobs.email)::text) = 'x'::text)", "(lower(CAST((email) AS TEXT)))"),
        ("((jobs.data ->> 'k'::text) = 'v'::text)", "(data ->> CAST('k' AS TEXT))"),
        ("((jobs.at)::date = '2026-01-01'::date)", "(CAST((at) AS DATE))"),
        ("(my_own(jobs.at, 3) = 3)", "(my_own(at, 3))"),
    ],
)
def test_expressions(text: str, key: str) -> None:
    """An expression of the table's columns is a key of its own, in parentheses as CREATE INDEX wants it."""
    assert [each.key.lower() for each in conditions(text, "jobs")] == [key.lower()]


def test_words_of_a_text() -> None:
    """The document of a full-text search is the key, not the query."""
    text = "(to_tsvector('english'::regconfig, jobs.title) @@ '''word'''::tsquery)"
    assert [(each.kind, "title" in each.key, "word" in each.key) for each in conditions(text, "jobs")] == [
        ("words", True, False)
    ]


def test_a_condition_of_a_million_constants_is_left_out() -> None:
    """What is longer than anyone reads costs no time."""
    assert conditions("(jobs.id = ANY ('{" + "1," * 500_000 + "1}'::bigint[]))", "jobs") == ()


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["jobs.at DESC"], (Order("at", descending=True, nulls_first=True),)),
        (["jobs.at DESC NULLS LAST", "jobs.id"], (Order("at", descending=True), Order("id"))),
        (["lower(jobs.title) NULLS FIRST"], (Order("(lower(title))", nulls_first=True),)),
        (["jobs.at", "other.id"], ()),
        (["(count(*)) DESC"], ()),
        ([], ()),
    ],
)
def test_orders(keys: list[str], found: tuple[Order, ...]) -> None:
    """An order of one table's columns is told with its directions; no index serves a mixed one."""
    assert orders(keys, "jobs") == found


def test_conditions_are_values() -> None:
    """Equal conditions are equal, so that each is asked for once."""
    assert conditions("(jobs.a = 1)", "jobs") == (Condition("equal", "a"),)
