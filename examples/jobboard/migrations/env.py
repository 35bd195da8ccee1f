"""Runs migrations over the same verified connection as the service, and never queues behind a lock for long."""

import time

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from jobboard.dsn import connection_parameters
from jobboard.models import Base
from jobboard.outages import sqlstate
from jobboard.settings import Settings

LOCK_NOT_AVAILABLE = "55P03"
# A migration that waits for a lock makes every later query wait behind it: give up early, try again later.
LOCK_TIMEOUT_MS = 250
ATTEMPTS = 40
PAUSE_S = 0.5
# Two deploys at once would run the same migration: who has this lock migrates, the other waits. It asks again
# and again, since CREATE INDEX CONCURRENTLY would wait for whoever waits inside pg_advisory_lock.
LOCK = text("SELECT pg_try_advisory_lock(hashtext('jobboard migrations'))")


def run() -> None:
    """Migrate; when a table is locked, or another deploy migrates, try again until it is free."""
    parameters = connection_parameters(Settings.from_env())
    # Building an index takes as long as it takes, so that no statement is too long.
    parameters["options"] += f" -c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout=0"
    engine = create_engine("postgresql+psycopg://", connect_args=parameters, poolclass=NullPool)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with engine.connect() as connection:
                if connection.scalar(LOCK):
                    connection.commit()
                    migrate(connection)
                    return
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE or attempt == ATTEMPTS:
                raise
        time.sleep(PAUSE_S)
    raise SystemExit("another deploy is still migrating")


def migrate(connection: Connection) -> None:
    """Run what is missing, each in a transaction of its own: a retry goes on where the last attempt ended."""
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


run()
