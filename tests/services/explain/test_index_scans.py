"""How tables are read while requests are sent, by the counters of a real server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.probes.drill_rows import rows_with
from pytest_prodready.probes.index_scans import Scans, scans
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

from .conftest import ROLE

REQUESTS = [{"name": "SELECT * FROM t WHERE a = 7", "path": "/"}]


def database(server: PostgresServer, name: str) -> Database:
    """The gate's own view of a database."""
    return Database(server.endpoint, ROLE, name, "", server.version, "gate", server=server)


@dataclass
class Client:
    """A service that runs a request's name as a statement."""

    service: psycopg.Connection[Any]

    def send(self, request: Any, _: float) -> Answer:
        """Run the statement."""
        self.service.execute(request.name.encode())
        return Answer(request.name, 200, 0.01, expected=True)


def counted(server: PostgresServer, name: str, database: Database) -> Scans:
    """What the probe counts while such a service runs."""
    settings = Settings.model_validate({"service": {"name": "x", "command": "x"}, "requests": REQUESTS})
    try:
        with server.connect(name) as service:
            return scans(database, cast(Traffic, Client(service)), settings, lambda _: None)
    finally:
        database.close()


@pytest.mark.parametrize("indexed", [True, False])
def test_scans_are_counted(server: PostgresServer, admin: psycopg.Connection[Any], indexed: bool) -> None:
    """Reads of our own requests are told by kind; what was read before isn't among them."""
    admin.execute("CREATE TABLE t (a int, b int); INSERT INTO t SELECT n, n FROM generate_series(1, 20000) n")
    admin.execute("ANALYZE t; SELECT count(*) FROM t WHERE b = 1; SELECT count(*) FROM t WHERE b = 2")
    if indexed:
        admin.execute("CREATE INDEX ON t (a)")
    admin.execute("SELECT pg_stat_force_next_flush()")
    seen = counted(server, admin.info.dbname, database(server, admin.info.dbname))
    (table,) = seen.during
    assert (table.name, table.rows) == ("t", 20_000)
    assert (table.index_scans > 0, table.seq_scans > 0) == (indexed, not indexed)
    assert table.index_scans + table.seq_scans <= seen.requests == seen.expected
    assert seen.ever[0].seq_scans >= 2


def test_what_the_gate_has_just_read_is_not_counted(
    server: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    """A session tells the server late what it has read, such as every table in search of written rows."""
    admin.execute("CREATE TABLE t (a int); INSERT INTO t SELECT n FROM generate_series(1, 20000) n")
    admin.execute("CREATE INDEX ON t (a); ANALYZE t; SELECT pg_stat_force_next_flush()")
    gate = database(server, admin.info.dbname)
    for _ in range(5):
        rows_with(gate, "token")
    assert gate.count_own_reads()
    for _ in range(5):
        rows_with(gate, "token")
    (table,) = counted(server, admin.info.dbname, gate).during
    assert (table.seq_scans, table.index_scans > 0) == (0, True)
