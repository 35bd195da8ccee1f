"""The Postgres that the service uses, as probes see it: ours or the user's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from pytest_prodready.environment.admin import AdminConnections, Connection
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import Proxied

ADMIN_WITHIN_S = 10.0
LOCK_WITHIN_S = 5.0
ENDED_WITHIN_S = 2.0
LONG_S = 600.0  # for what takes its time on much data
BACKENDS = """
    SELECT a.pid, a.application_name, a.client_port, a.state, a.wait_event_type,
           extract(epoch FROM clock_timestamp() - a.query_start)::float8,
           extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
           extract(epoch FROM clock_timestamp() - a.state_change)::float8,
           coalesce(s.ssl, false), s.version, s.cipher,
           extract(epoch FROM a.backend_start)::float8
    FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid)
    WHERE a.usename = %s AND a.backend_type = 'client backend' ORDER BY a.pid
"""
LIVING = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)"
OWN_TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' ORDER BY c.oid
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """A connection of the service, as the server sees it; ages in seconds."""

    pid: int
    application_name: str
    client_port: int | None
    state: str | None
    wait_event_type: str | None
    query_age_s: float | None
    transaction_age_s: float | None
    state_age_s: float | None
    ssl: bool
    tls_version: str | None
    cipher: str | None
    started_at: float  # Unix time


@dataclass(frozen=True)
class Database:
    """A Postgres with its address, its proxy, the service's account, and a superuser's view of it."""

    endpoint: Endpoint
    user: str
    name: str
    password: str = field(repr=False)
    version: str
    origin: Literal["gate", "external"]
    ca_file: Path | None = None
    server: PostgresRole | None = None
    proxied: Proxied | None = None
    inside: Endpoint | None = None  # the proxy, as a service in a container reaches it
    given_url: str | None = field(default=None, repr=False)
    admin_url: str | None = field(default=None, repr=False)
    _kept: dict[str, AdminConnections] = field(default_factory=dict, repr=False, compare=False)

    @property
    def seen_at(self) -> Endpoint:
        """Where the service reaches it: the proxy if there is one, by the service's name for it."""
        return self.inside or self.reached_at

    @property
    def reached_at(self) -> Endpoint:
        """Where a client in this process reaches it: the proxy if there is one."""
        return Endpoint(self.proxied.host, self.proxied.port) if self.proxied else self.endpoint

    @property
    def has_admin(self) -> bool:
        """Whether a superuser's connection can be had."""
        return self.server is not None or self.admin_url is not None

    def url(self, endpoint: Endpoint | None = None) -> str:
        """The service's URL with verify-full TLS, through the proxy unless another address is given."""
        if endpoint is None and self.given_url is not None:
            return self.given_url
        account = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        where = f"{endpoint or self.reached_at}/{quote(self.name, safe='')}"
        root = f"&sslrootcert={quote(str(self.ca_file))}" if self.ca_file else ""
        return f"postgresql://{account}@{where}?sslmode=verify-full{root}"

    @contextmanager
    def admin(self, *, within_s: float = ADMIN_WITHIN_S, database: str | None = None) -> Iterator[Connection]:
        """A superuser's connection straight to the server; each statement is its own transaction."""
        name = database or self.name
        if self.server is not None and (self.server.paused or not self.server.alive):
            raise ServerError(
                "PostgreSQL is paused or not running, so it can't be asked.", value=self.endpoint
            )
        kept = self._kept.setdefault(name, AdminConnections(lambda: self._connect(name)))
        with kept.lent(within_s=within_s) as connection:
            yield connection

    def on(self, server: PostgresRole) -> Database:
        """The same account and data on another server of ours, past every proxy."""
        return replace(
            self,
            endpoint=server.endpoint,
            version=server.version,
            origin="gate",
            server=server,
            proxied=None,
            inside=server.inside,
            given_url=None,
            admin_url=None,
            _kept={},
        )

    def superuser(self, timeout_s: float = LONG_S) -> Connection:
        """A superuser's connection of its own to a server of ours, for statements that take their time."""
        assert self.server is not None
        return self.server.connect(self.name, timeout_s=timeout_s)

    def backends(self) -> tuple[Backend, ...]:
        """All connections of the service's role."""
        with self.admin() as admin:
            return tuple(Backend(*row) for row in admin.execute(BACKENDS, (self.user,)))

    def terminate_backends(self, idle_only: bool = False) -> int:
        """End the service's connections from the server's side; returns how many there were."""
        idle = "AND state = 'idle'" if idle_only else ""
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s {idle}"  # noqa: S608
        with self.admin() as admin:
            return sum(bool(ended) for (ended,) in admin.execute(query.encode(), (self.user,)))

    def statements(self) -> int:
        """How many statements the service's role has ever run, in any database."""
        query = (
            "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s"
            " JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = %s"
        )
        # Of a server of ours we ask elsewhere than in the service's database, where it may drop the view.
        with self.admin(database="postgres" if self.server else None) as admin:
            return int(_one(admin.execute(query.encode(), (self.user,))))

    def sessions(self) -> int:
        """How many connections the service's role has ever made; exact on a server of ours.

        The server's own counter (pg_stat_database.sessions), used elsewhere, also counts other roles and
        comes late.
        """
        if self.server is not None:
            made = re.compile(rf"connection authorized: user={re.escape(self.user)}(?:\s|$)", re.MULTILINE)
            return len(made.findall(self.server.log()))
        with self.admin() as admin:
            query = "SELECT coalesce(sum(sessions), 0)::bigint FROM pg_stat_database WHERE datname = %s"
            return int(_one(admin.execute(query, (self.name,))))

    @contextmanager
    def locked(self, *tables: str) -> Iterator[None]:
        """Hold ACCESS EXCLUSIVE on these tables, or on all of the database."""
        with ExitStack() as stack:
            admin = stack.enter_context(self._unlimited())
            names = tables or tuple(name for (name,) in admin.execute(OWN_TABLES))
            if not names:
                raise ServerError("There is no table to lock.", value=f"database {self.name}")
            stack.enter_context(admin.transaction())
            self._lock(admin, names)
            yield

    @contextmanager
    def connection_limit(self, limit: int) -> Iterator[None]:
        """Let the service's role hold only so many connections; those beyond stay until they end."""
        with self.admin() as admin:
            query = "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s"
            before = int(_one(admin.execute(query, (self.user,))))
        self._limit_connections(limit)
        try:
            yield
        finally:
            self._limit_connections(before)

    def setting(self, name: str) -> str:
        """A setting of the server, as SHOW tells it."""
        with self.admin() as admin:
            return str(_one(admin.execute("SELECT current_setting(%s)", (name,))))

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the server's log, where it is ours."""
        return self.server.log_tail(lines) if self.server else ""

    def close(self) -> list[int]:
        """Close the connections that were kept; returns the server's processes of these."""
        return [pid for kept in list(self._kept.values()) for pid in kept.close()]

    def count_own_reads(self) -> bool:
        """Whether what the gate has read so far is in the server's counters by now, and won't come later.

        A session tells what it has read once a second at most and while it is idle up to ten seconds late
        (PGSTAT_MIN_INTERVAL, PGSTAT_IDLE_INTERVAL), but all of it before it ends.
        """
        closed = self.close()
        with self.admin() as admin:
            return comes_true(lambda: _one(admin.execute(LIVING, (closed,))) == 0, ENDED_WITHIN_S)

    @contextmanager
    def _unlimited(self) -> Iterator[Connection]:
        """A connection of its own, whose end ends its transaction whatever happens."""
        with self._connect(self.name) as connection:
            connection.execute("SET statement_timeout = 0")
            yield connection

    def _lock(self, admin: Connection, tables: tuple[str, ...]) -> None:
        admin.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(int(LOCK_WITHIN_S * 1000))))
        # As the server wrote the names, or as a user would write them: both are SQL already.
        listed = ", ".join(tables)
        try:
            admin.execute(f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE".encode())
        except psycopg.Error as error:
            raise ServerError(
                f"The tables could not be locked within {LOCK_WITHIN_S:g} s: {error.diag.message_primary}.",
                value=listed,
            ) from error

    def _limit_connections(self, limit: int) -> None:
        with self.admin() as admin:
            query = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
            admin.execute(query.format(sql.Identifier(self.user), sql.Literal(limit)))

    def _connect(self, database: str) -> Connection:
        if self.server is not None:
            return self.server.connect(database)
        if self.admin_url is None:
            raise ServerError(
                "This needs a superuser's connection, and none is configured.",
                value=str(self.endpoint),
                remedy='set [postgres] admin_url = "postgresql://…"',
            )
        return psycopg.connect(
            self.admin_url,
            connect_timeout=int(ADMIN_WITHIN_S),
            application_name="prodready",
            autocommit=True,
        )


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None
