"""What a database is like at one moment of its migrations, without what the tool keeps for itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.probes.migration_rows import Rows, fill, held
from pytest_prodready.probes.migration_tables import called
from pytest_prodready.probes.schema import COLUMN_ORDER, Schema, schema
from pytest_prodready.settings import MigrationSettings

# Where tools write down what they have done; it stays when everything else is taken back.
BOOKKEEPING = frozenset(
    {
        "alembic_version",
        "django_migrations",
        "flyway_schema_history",
        "_prisma_migrations",
        "__drizzle_migrations",
        "schema_migrations",
        "ar_internal_metadata",
        "knex_migrations",
        "knex_migrations_lock",
        "SequelizeMeta",
        "databasechangelog",
        "databasechangeloglock",
        "goose_db_version",
        "atlas_schema_revisions",
        "gorp_migrations",
        "_sqlx_migrations",
        "__diesel_schema_migrations",
        "__EFMigrationsHistory",
        "pgmigrations",
        "mikro_orm_migrations",
        "migrations",
    }
)
OWN_SCHEMAS = ("drizzle", "atlas_schema_revisions")


@dataclass(frozen=True, slots=True)
class State:
    """The catalogue and the rows."""

    schema: Schema
    rows: Rows

    @property
    def total(self) -> int:
        """How many rows there are in all its tables."""
        return sum(each.rows for each in self.rows.values())


@dataclass
class Watched:
    """The database of a trip, and why some of its tables could not be filled."""

    database: Database
    settings: MigrationSettings
    not_filled: dict[str, None] = field(default_factory=dict)

    def state(self) -> State:
        """What it is like now."""
        with self.database.superuser() as admin:
            return self._read(admin)

    def filled(self) -> State:
        """The same with some more rows in each table."""
        with self.database.superuser() as admin:
            kept = bookkeeping(schema(admin), self.settings)
            self.not_filled |= dict.fromkeys(fill(admin, self.settings.rows, kept))
            return self._read(admin)

    def _read(self, admin: psycopg.Connection[Any]) -> State:
        found = schema(admin)
        kept = bookkeeping(found, self.settings)
        # A column that is put back comes last, whatever the downgrade does.
        things = tuple(each for each in found.without(kept).things if each.kind != COLUMN_ORDER)
        return State(Schema(things), held(admin, kept))


def bookkeeping(found: Schema, settings: MigrationSettings) -> tuple[str, ...]:
    """The full names of the tool's own tables and schemas, as far as they are there."""
    tables = [each.name for each in found.things if each.kind == "table"]
    schemas = [each.name for each in found.things if each.kind == "schema" and each.name in OWN_SCHEMAS]
    return (*(name for name in tables if of_the_tool(name, settings)), *schemas)


def of_the_tool(table: str, settings: MigrationSettings) -> bool:
    """Whether a table is the tool's own, by its name in SQL."""
    known = BOOKKEEPING.union(settings.bookkeeping)
    return table.partition(".")[0] in OWN_SCHEMAS or not known.isdisjoint(called(table))
