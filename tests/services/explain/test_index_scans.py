"""How tables are read while requests are sent, by the counters of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import psycopg
import pytest

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.index_scans import scans
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

from .conftest import ROLE

REQUESTS = [{"name": "SELECT * FROM t WHERE a = 7", "path": "/"}]


@dataclass
class Asked:
    """A database, and a service that runs a request's name as a statement."""

    connection: psycopg.Connection[Any]
    service: psycopg.Connection[Any]
    user: str = ROLE
    origin: Literal["gate", "external"] = "gate"

    @contextmanager
    def admin(self, **_: object) -> Iterator[psycopg.Connection[Any]]:
        """A superuser's connection."""
        yield self.connection

    def send(self, request: Any, _: float) -> Answer:
        """Run the statement."""
        self.service.execute(request.name.encode())
        return Answer(request.name, 200, 0.01, expected=True)


@pytest.mark.parametrize("indexed", [True, False])
def test_scans_are_counted(server: PostgresServer, admin: psycopg.Connection[Any], indexed: bool) -> None:
    """Reads of our own requests are told by kind; what was read before isn't among them."""
    admin.execute("CREATE TABLE t (a int, b int); INSERT INTO t SELECT n, n FROM generate_series(1, 20000) n")
    admin.execute("ANALYZE t; SELECT count(*) FROM t WHERE b = 1; SELECT count(*) FROM t WHERE b = 2")
    if indexed:
        admin.execute("CREATE INDEX ON t (a)")
    admin.execute("SELECT pg_stat_force_next_flush()")
    settings = Settings.model_validate({"service": {"name": "x", "command": "x"}, "requests": REQUESTS})
    with server.connect(admin.info.dbname) as service:
        asked = Asked(admin, service)
        seen = scans(cast(Database, asked), cast(Traffic, asked), settings, lambda _: None)
    (table,) = seen.during
    assert (table.name, table.rows) == ("t", 20_000)
    assert (table.index_scans > 0, table.seq_scans > 0) == (indexed, not indexed)
    assert table.index_scans + table.seq_scans <= seen.requests == seen.expected
    assert seen.ever[0].seq_scans >= 2
