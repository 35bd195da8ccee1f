"""The tables that a service's models make by themselves, held against those that its migrations make.

alembic's own comparison knows nothing of checks, predicates of indexes, values of enums and more.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Ran
from pytest_prodready.probes.migration_model_differences import model_differences
from pytest_prodready.probes.migration_tool import run_command
from pytest_prodready.probes.schema import Schema, SchemaDifference, schema
from pytest_prodready.probes.schema_sql import own
from pytest_prodready.settings import MigrationSettings

# Run by the service's own Python, through its env.py: which models count is said there, and where they go.
MAKE = """
import sys
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory


def make(revision, context):
    chosen = context.opts.get("include_object") or (lambda *_: True)
    models = context.opts["target_metadata"]
    with context.connection.engine.begin() as connection:
        for metadata in models if isinstance(models, list | tuple) else [models]:
            every = metadata.sorted_tables
            tables = [each for each in every if chosen(each, each.name, "table", False, None)]
            for table in tables:
                for index in list(table.indexes):
                    if not chosen(index, index.name, "index", False, None):
                        table.indexes.remove(index)
            metadata.create_all(connection, tables=tables)
    return []


config = Config(sys.argv[1])
scripts = ScriptDirectory.from_config(config)
with EnvironmentContext(config, scripts, fn=make, dont_mutate=True):
    scripts.run_env()
"""
# Functions, extensions and schemas stay: models use them, and can't make them. All commands are written
# before the first is run: what went with another has no name any more.
STRIP = f"""
    DO $strip$
    DECLARE
        command text;
        commands text[] := ARRAY(
            SELECT format('DROP %s IF EXISTS %s CASCADE',
                          CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'S') AND NOT c.relispartition AND {own("pg_class", "c.oid")}
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                              AND d.objid = c.oid AND d.deptype = 'i')
            UNION ALL
            SELECT format('DROP TYPE IF EXISTS %s CASCADE', t.oid::regtype)
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'e' AND {own("pg_type", "t.oid")});
    BEGIN
        PERFORM set_config('session_replication_role', 'replica', true);  -- event triggers may forbid it
        FOREACH command IN ARRAY commands LOOP
            EXECUTE command;
        END LOOP;
    END $strip$
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Models:
    """How the models' own tables could be made, and what these have that the migrations' don't."""

    ran: Ran
    differences: tuple[SchemaDifference, ...] = ()


def models_beside(environment: Environment, beside: Beside, settings: MigrationSettings) -> Models | None:
    """Make the models' tables in a copy of the migrated database; None where no tool tells the models."""
    if settings.tool != "alembic":
        return None
    command = shlex.join(["{python}", "-c", MAKE, str(settings.config)])
    with environment.copy_of(beside, "models") as copy:
        _catalogue(copy, STRIP)
        ran = run_command(environment, copy, settings, "models", command)
        made = _catalogue(copy)
    differences = model_differences(made, _catalogue(beside)) if ran.succeeded else ()
    return Models(ran, differences)


def _catalogue(beside: Beside, first: str = "SELECT") -> Schema:
    """What is in a database's catalogue, after this statement."""
    with beside.database.superuser() as admin:
        admin.execute(first.encode())
        return schema(admin)
