"""One database as a backup has to bring it back: contents, catalogue, roles, settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.probes.backup_cluster import cluster, unanalyzed
from pytest_prodready.probes.backup_facts import Compared, Source
from pytest_prodready.probes.contents import Contents, contents
from pytest_prodready.probes.contents_differences import content_differences
from pytest_prodready.probes.schema import Schema, schema, schema_differences

Connection = psycopg.Connection[Any]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Held:
    """All of one database, its contents as hashes."""

    contents: Contents
    schema: Schema
    cluster: Schema
    unanalyzed: tuple[str, ...]
    bytes: int

    @property
    def source(self) -> Source:
        """How much that is."""
        kinds = [thing.kind for thing in (*self.schema.things, *self.cluster.things)]
        return Source(
            tables=len(self.contents.tables),
            rows=self.contents.rows,
            sequences=len(self.contents.sequences),
            views=sum(view.populated for view in self.contents.views),
            large_objects=self.contents.large_objects.count,
            things=len(self.schema.things),
            roles=kinds.count("role"),
            settings=kinds.count("setting") + kinds.count("role setting"),
            bytes=self.bytes,
        )


def held(connection: Connection, role: str, progress: Progress) -> Held:
    """Read a database as superuser, in autocommit; its contents come from one snapshot of their own."""
    return with_contents(connection, role, contents(connection, progress))


def with_contents(connection: Connection, role: str, known: Contents) -> Held:
    """Read the rest of a database whose contents are known."""
    size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return Held(
        known,
        schema(connection),
        Schema(cluster(connection, role)),
        unanalyzed(connection),
        int(size[0]) if size else 0,
    )


def held_in(database: Database, within_s: float) -> Held:
    """Read a database on a server of ours that may be dropped next: no connection to it stays."""
    with database.superuser(within_s) as admin:
        return with_contents(admin, database.user, contents(admin))


def compared(before: Held, after: Held, moved: tuple[str, ...] = ()) -> Compared:
    """The restored database beside the first one; tables that moved meanwhile can't be compared."""
    return Compared(
        contents=content_differences(_without(before.contents, moved), _without(after.contents, moved)),
        schema=schema_differences(before.schema, after.schema),
        cluster=schema_differences(before.cluster, after.cluster),
        unanalyzed=after.unanalyzed,
    )


def moved_between(before: Contents, after: Contents) -> tuple[str, ...]:
    """The tables that somebody wrote to between two readings of one database."""
    differences = content_differences(before, after)
    return tuple(each.name for each in differences if each.kind == "table" and each.how == "changed")


def _without(known: Contents, names: tuple[str, ...]) -> Contents:
    return replace(known, tables=tuple(table for table in known.tables if table.table not in names))
