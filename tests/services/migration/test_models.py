"""The tables of SQLAlchemy's models held against a schema, on a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.migration_models import Models, models_beside

from .conftest import settings_of

ENV = """
import os
from alembic import context
from sqlalchemy import *
from sqlalchemy.dialects.postgresql import *
from sqlalchemy.pool import NullPool

metadata = MetaData()
chosen = None
{models}
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
with create_engine(url, poolclass=NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, include_object=chosen)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC = """
import asyncio, os
from alembic import context
from sqlalchemy import *
from sqlalchemy.ext.asyncio import create_async_engine

metadata = MetaData()
{models}


def run(connection):
    context.configure(connection=connection, target_metadata=[metadata])
    with context.begin_transaction():
        context.run_migrations()


async def connect():
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg_async://")
    async with create_async_engine(url).connect() as connection:
        await connection.run_sync(run)


asyncio.run(connect())
"""
Compare = Callable[..., Models]


@pytest.fixture
def compare(environment: Environment, tmp_path: Path) -> Compare:
    """Takes what the migrations made, as SQL, and the models."""

    def compared(made: str, models: str, env: str = ENV) -> Models:
        (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = {tmp_path}\n")
        (tmp_path / "env.py").write_text(env.format(models=models))
        settings = settings_of(tool="alembic", config=str(tmp_path / "alembic.ini")).migration
        with environment.blank("migration") as beside:
            with psycopg.connect(beside.database.url(), autocommit=True) as connection:
                connection.execute(made.encode())
            found = models_beside(environment, beside, settings)
        assert found is not None
        return found

    return compared


MORE_IN_MIGRATIONS = (
    """
    CREATE TYPE mood AS ENUM ('sad', 'good', 'retired');
    CREATE TABLE jobs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL DEFAULT '',
                       mood mood DEFAULT 'good', at timestamptz DEFAULT CURRENT_TIMESTAMP,
                       CHECK (title <> 'x'));
    CREATE INDEX by_hand ON jobs (lower(title)) WHERE mood = 'good';
    CREATE TABLE given (id int PRIMARY KEY);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER stamped BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE SEQUENCE numbers; CREATE VIEW titles AS SELECT title FROM jobs;
    """,
    """
Table("given", metadata, Column("id", Integer, primary_key=True))
Table("jobs", metadata, Column("id", Integer, primary_key=True), Column("title", Text, nullable=False),
      Column("mood", Enum("good", "sad", name="mood")),
      Column("at", DateTime(True), server_default=func.now()))
""",
)
NAMED_BY_THE_DATABASE = (
    """
    CREATE TABLE jobs (id bigserial PRIMARY KEY, state varchar(9) CHECK (state IN ('open', 'shut')),
                       pay int, fee numeric DEFAULT 0);
    ALTER TABLE jobs ADD CHECK (pay BETWEEN 1 AND 9) NOT VALID;
    CREATE INDEX open_jobs ON jobs (pay DESC) WHERE state = 'open';
    """,
    """
Table("jobs", metadata, Column("id", BigInteger, Identity(), primary_key=True),
      Column("state", String(9)), Column("pay", Integer), Column("fee", Numeric, server_default="0.0"),
      CheckConstraint("state in ('shut','open')", name="ck_jobs_state"),
      CheckConstraint("pay >= 1 AND pay <= 9"),
      Index("open_jobs", text("pay DESC"), postgresql_where=text("state='open'")))
""",
)
WITH_WHAT_MIGRATIONS_MAKE = (
    """
    CREATE SCHEMA shop; CREATE FUNCTION shop.fresh() RETURNS text LANGUAGE sql AS 'SELECT ''new''';
    CREATE DOMAIN shop.label AS text CHECK (VALUE <> '');
    CREATE TABLE shop.jobs (id int, state text DEFAULT shop.fresh(), at date) PARTITION BY RANGE (at);
    CREATE INDEX jobs_at ON shop.jobs (at); CREATE TABLE shop.jobs_1 PARTITION OF shop.jobs DEFAULT;
    """,
    """
Table("jobs", metadata, Column("id", Integer), Column("state", Text, server_default=text("shop.fresh()")),
      Column("at", Date), Index("jobs_at", "at"), schema="shop")
Table("elsewhere", metadata, Column("id", Integer), Column("x", Text, server_default="x"))
chosen = lambda thing, name, kind, reflected, other: name != "elsewhere"
""",
)

MANY = (
    "".join(f"CREATE TABLE t{n} (id serial PRIMARY KEY); CREATE TYPE e{n} AS ENUM ('x');" for n in range(70)),
    "[Table(f't{n}', metadata, Column('id', Integer, primary_key=True)) for n in range(70)]",
)


@pytest.mark.parametrize(
    ("made", "models"), [MORE_IN_MIGRATIONS, NAMED_BY_THE_DATABASE, WITH_WHAT_MIGRATIONS_MAKE, MANY]
)
def test_right_ones(compare: Compare, made: str, models: str) -> None:
    """What models don't say, names of the database's, and other words for the same are no differences."""
    found = compare(made, models)
    assert found.ran.succeeded, found.ran.printed
    assert [(str(each), each.before, each.after) for each in found.differences] == []


JOBS = "CREATE TABLE jobs (id int PRIMARY KEY, title text, pay int); CREATE INDEX paid ON jobs (pay)"
PAY = "Column('pay', Integer)"


@pytest.mark.parametrize(
    ("made", "models", "told"),
    [
        (
            JOBS,
            f"{PAY}, CheckConstraint('pay > 0', name='fair')",
            "missing: check constraint public.jobs.fair",
        ),
        (
            f"{JOBS}; ALTER TABLE jobs ADD CONSTRAINT fair CHECK (pay > 1)",
            f"{PAY}, CheckConstraint('pay > 0', name='fair')",
            "changed: check constraint public.jobs.fair",
        ),
        (
            JOBS,
            f"{PAY}, Index('paid', 'pay', postgresql_where=text('pay > 0'))",
            "changed: index public.jobs.paid",
        ),
        (JOBS, "Column('title', Text, server_default='any')", "missing: default public.jobs.title"),
        (
            f"{JOBS}; ALTER TABLE jobs ALTER title SET DEFAULT 'none'",
            "Column('title', Text, server_default='any')",
            "changed: default public.jobs.title",
        ),
        (JOBS, "Column('id', Integer, Identity(), primary_key=True)", "missing: identity public.jobs.id"),
        (JOBS, "Column('pay', Integer, Computed('1'))", "missing: generated column public.jobs.pay"),
        (JOBS, "Column('title', Text(collation='C'))", "missing: collation public.jobs.title"),
        (
            f"CREATE TYPE mood AS ENUM ('good'); {JOBS}; ALTER TABLE jobs ADD mood mood",
            "Column('mood', Enum('good', 'sad', name='mood'))",
            "changed: enum public.mood",
        ),
        (
            JOBS,
            f"{PAY}, ExcludeConstraint(('pay', '='), name='one', using='btree')",
            "missing: exclusion constraint public.jobs.one",
        ),
        (JOBS, "Column('pay', Integer, Sequence('pays'))", "missing: sequence public.pays"),
    ],
)
def test_wrong_ones(compare: Compare, made: str, models: str, told: str) -> None:
    """What models say, and alembic doesn't compare."""
    found = compare(made, f"Table('jobs', metadata, {models})")
    assert found.ran.succeeded, found.ran.printed
    assert [str(each) for each in found.differences] == [told]


def test_an_asynchronous_engine(compare: Compare) -> None:
    """The tables are made over whatever connection env.py has."""
    found = compare(JOBS, f"Table('jobs', metadata, {PAY}, CheckConstraint('pay > 0', name='fair'))", ASYNC)
    assert found.ran.succeeded, found.ran.printed
    assert [str(each) for each in found.differences] == ["missing: check constraint public.jobs.fair"]


def test_models_that_cant_be_made(compare: Compare) -> None:
    """Why is told, and nothing is held against them."""
    found = compare(JOBS, "Table('jobs', metadata, Column('x', Text, server_default=func.unknown()))")
    assert not found.ran.succeeded
    assert "function unknown() does not exist" in found.ran.telling
    assert found.differences == ()
