"""One server for the tests of this folder; each makes its database anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from tests.services.migration_traffic.stepping import DATABASE, PASSWORD, ROLE


@pytest.fixture(scope="package")
def stepped() -> Iterator[PostgresServer]:
    """A running PostgreSQL with the role that migrates."""
    run = Run.open()
    server = PostgresServer(run, find_postgres(), Authority(run.folder), Account(ROLE, DATABASE, PASSWORD))
    server.create()
    yield server
    run.close()
