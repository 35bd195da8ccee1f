"""The shop's tables with 20,000 jobs, and a session whose transaction is rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shop import Base, make_engine  # type: ignore[import-not-found]
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

EMPLOYERS = "INSERT INTO employers SELECT n, 'e' || n FROM generate_series(1, 100) AS n"
JOBS = "INSERT INTO jobs SELECT n, 'r' || n % 1000, 1 + n % 100 FROM generate_series(1, 20000) AS n"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine on tables that are filled once: what a test rolls back would leave dead rows to the next."""
    made = make_engine()
    Base.metadata.drop_all(made)
    Base.metadata.create_all(made)
    with made.begin() as connection:
        connection.execute(text(EMPLOYERS))
        connection.execute(text(JOBS))
    yield made
    made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session of whose changes nothing stays."""
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as made:
            yield made
        transaction.rollback()
