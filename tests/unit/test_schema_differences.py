"""How two catalogues differ, from literals."""

from __future__ import annotations

from pytest_prodready.probes.schema import Schema, Thing, schema_differences

TABLE = (
    Thing("table", "public.jobs", "owner app"),
    Thing("column", "public.jobs.id", "bigint"),
    Thing("column", "public.jobs.title", "text"),
    Thing("column order", "public.jobs", "id, title"),
    Thing("primary key", "public.jobs.jobs_pkey", "PRIMARY KEY (id)"),
    Thing("privileges", "public.jobs", "reader=r/app"),
    Thing("comment", "table column public.jobs.title", "what it is"),
    Thing("sequence", "public.jobs_id_seq", "bigint; owned by column id of table public.jobs; owner app"),
)
SCHEMA = Thing("schema", "public", "owner app")


def told(before: tuple[Thing, ...], after: tuple[Thing, ...]) -> list[str]:
    """The differences in words."""
    return [str(each) for each in schema_differences(Schema(before), Schema(after))]


def test_the_same() -> None:
    """Nothing differs from itself."""
    assert told((SCHEMA, *TABLE), (SCHEMA, *TABLE)) == []


def test_a_whole_table() -> None:
    """Of a table that came or went, only the table is told, not all that hangs on it."""
    assert told((SCHEMA,), (SCHEMA, *TABLE)) == ["left over: table public.jobs"]
    assert told((SCHEMA, *TABLE), (SCHEMA,)) == ["missing: table public.jobs"]
    assert told((), (SCHEMA, *TABLE)) == ["left over: schema public"]


def test_parts_of_a_table() -> None:
    """What hangs on a table that stays is told by itself, with both definitions."""
    changed = tuple(
        Thing(each.kind, each.name, "varchar(9)") if each.name.endswith("jobs.title") else each
        for each in TABLE
        if each.kind != "privileges"
    )
    assert told(TABLE, changed) == [
        "changed: column public.jobs.title",
        "changed: comment table column public.jobs.title",
        "missing: privileges public.jobs",
    ]
    (found, *_) = schema_differences(Schema(TABLE), Schema(changed))
    assert (found.before, found.after) == ("text", "varchar(9)")


def test_a_column() -> None:
    """A column takes its default with it, and is no change of the order of the others."""
    more = (
        Thing("column", "public.jobs.more", "int"),
        Thing("default", "public.jobs.more", "1"),
        Thing("column order", "public.jobs", "id, more, title"),
    )
    before = tuple(each for each in TABLE if each.kind != "column order")
    order = Thing("column order", "public.jobs", "id, title")
    assert told((*before, order), (*before, *more)) == ["left over: column public.jobs.more"]
    turned = Thing("column order", "public.jobs", "title, id")
    assert told((*before, order), (*before, turned)) == ["changed: column order public.jobs"]


def test_names_that_begin_alike() -> None:
    """A table whose name begins like another one's is another one."""
    other = Thing("table", "public.jobs_old", "owner app")
    assert told(TABLE, (*TABLE, other)) == ["left over: table public.jobs_old"]


def test_without() -> None:
    """Relations can be left out with all that hangs on them."""
    assert Schema((SCHEMA, *TABLE[:7])).without(["public.jobs"]).things[0] == SCHEMA
