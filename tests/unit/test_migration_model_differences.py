"""What models say and a schema doesn't hold, from literals; on real models it is tried with a server."""

from __future__ import annotations

import pytest

from pytest_prodready.probes.migration_model_differences import model_differences
from pytest_prodready.probes.schema import Schema, Thing

TABLE = (Thing("table", "public.jobs", "owner x"), Thing("column", "public.jobs.pay", "numeric"))


def told(kind: str, name: str, models: str, migrated: str | None, other: str = "") -> list[str]:
    """The differences where both sides have one table, and one thing more, if need be by another name."""
    there = () if migrated is None else (Thing(kind, f"public.jobs.{other or name}", migrated),)
    found = model_differences(
        Schema((*TABLE, Thing(kind, f"public.jobs.{name}", models))), Schema((*TABLE, *there))
    )
    return [str(each) for each in found]


@pytest.mark.parametrize(
    ("kind", "models", "migrated"),
    [
        ("check constraint", "CHECK ((pay > (0)::numeric))", "CHECK ((pay > 0)) NOT VALID"),
        (
            "check constraint",
            "CHECK ((s = ANY (ARRAY['a'::text, 'b'::text])))",
            "CHECK (((s)::text = ANY ((ARRAY['b'::character varying, 'a'::character varying])::text[])))",
        ),
        (
            "index",
            "CREATE INDEX i ON public.t (a)",
            "CREATE INDEX i ON ONLY public.t (a) WITH (fillfactor='70')",
        ),
        ("default", "'0'::numeric", "0.00"),
        ("default", "'-1'::integer", "'-1'::integer"),
        ("default", "CURRENT_TIMESTAMP", "now()"),
        ("default", "nextval('public.jobs_id_seq'::regclass)", None),
        ("default", "NULL::character varying", None),
        ("identity", "by default; s bigint", "by default; other integer"),
        ("generated column", "stored lower(a)", "virtual lower(a)"),
        ("enum", "'a', 'b'; owner x", "'b', 'c', 'a'; owner x"),
        ("foreign key", "FOREIGN KEY (a) REFERENCES b(c)", None),
    ],
)
def test_the_same(kind: str, models: str, migrated: str | None) -> None:
    """Other words for the same, what the schema has beyond, and what alembic compares by itself."""
    assert told(kind, "pay", models, migrated) == []


@pytest.mark.parametrize(
    ("kind", "models", "migrated", "how"),
    [
        ("check constraint", "CHECK ((pay > 0))", None, "missing"),
        ("check constraint", "CHECK ((pay > 0))", "CHECK ((pay > 1))", "changed"),
        ("index", "CREATE INDEX i ON t (a, b)", "CREATE INDEX i ON t (b, a)", "changed"),
        ("default", "'0'::numeric", "1", "changed"),
        ("default", "now()", None, "missing"),
        ("identity", "always; s bigint", "by default; s bigint", "changed"),
        ("enum", "'a', 'b'; owner x", "'a'; owner x", "changed"),
    ],
)
def test_not_the_same(kind: str, models: str, migrated: str | None, how: str) -> None:
    """What the schema lacks, or has otherwise."""
    assert told(kind, "pay", models, migrated) == [f"{how}: {kind} public.jobs.pay"]


def test_by_another_name() -> None:
    """A constraint counts by what it says; an index by its name, which alembic has compared."""
    assert (
        told("check constraint", "fair", "CHECK ((pay > 0))", "CHECK ((pay > 0))", other="jobs_check") == []
    )
    assert told("index", "paid", "CREATE INDEX paid ON t (pay)", None) == []
