"""What a step of a migration defines: told by the server itself after each statement, whatever the tool.

An event trigger writes into the server's log which locks its session holds, and how the constraints of the
locked tables stand. It leaves no row behind, and runs inside CREATE INDEX CONCURRENTLY as well.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.probes.log_marks import INCOMPLETE, log_with, mark
from pytest_prodready.probes.migration_tables import DEMANDS, OURS, Connection, Demands
from pytest_prodready.probes.server_log import Entry, as_run, entries

TOLD = re.compile(r"prodready ddl (\{.*\})", re.DOTALL)
TELL = f"""
CREATE SCHEMA {OURS};
CREATE FUNCTION {OURS}.tell() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog SET log_min_messages = log SET client_min_messages = error AS $tell$
DECLARE
    locks json := (SELECT json_agg(json_build_array(relation::bigint, mode)) FROM pg_locks
                   WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384);
    tables oid[] := ARRAY(SELECT DISTINCT relation FROM pg_locks
                          WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384);
BEGIN
    RAISE LOG 'prodready ddl %', json_build_object(
        'pid', pg_backend_pid(), 'tag', tg_tag, 'ended', tg_event = 'ddl_command_end',
        'at', extract(epoch FROM clock_timestamp()), 'transaction', extract(epoch FROM now()),
        'lock_timeout_ms', (SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'),
        'locks', coalesce(locks, '[]'),
        'indexes', (SELECT coalesce(json_agg(indexrelid::bigint), '[]') FROM pg_index
                    WHERE indexrelid >= 16384),
        'demands', {DEMANDS.format(tables="tables")});
END $tell$;
CREATE EVENT TRIGGER {OURS}_starts ON ddl_command_start EXECUTE FUNCTION {OURS}.tell();
CREATE EVENT TRIGGER {OURS}_ends ON ddl_command_end EXECUTE FUNCTION {OURS}.tell();
"""  # noqa: S608
# In force for every session of the database but a superuser's: its statements, with how long each took.
LOGGED = {
    "log_min_duration_statement": 0,
    "log_statement": "none",
    "log_duration": "off",
    "log_min_messages": "log",
    "log_transaction_sample_rate": 0,
    "auto_explain.log_min_duration": -1,
}


@dataclass(frozen=True, slots=True)
class Ddl:
    """The beginning or the end of one statement that defines something; times are the server's, Unix time."""

    pid: int
    tag: str  # such as ALTER TABLE
    ended: bool
    at: float
    transaction: float  # when its transaction began
    lock_timeout_ms: int  # in its session; 0: none
    locks: tuple[tuple[int, str], ...]  # relation and mode, of its whole transaction up to now
    indexes: frozenset[int] = frozenset()  # that there are by now
    demands: Demands = field(default_factory=Demands)  # of the tables that it holds locks on

    def modes(self, relation: int) -> frozenset[str]:
        """The modes in which it holds one relation."""
        return frozenset(mode for oid, mode in self.locks if oid == relation)


@dataclass(frozen=True, slots=True)
class Told:
    """What the server's log tells of a step."""

    ddl: tuple[Ddl, ...] = ()
    statements: tuple[str, ...] = ()  # of all its sessions, as they were sent
    doubt: str = ""  # why it tells nothing


class Telling:
    """Has the server tell what the sessions of one database define and run."""

    def __init__(self, database: Database) -> None:
        assert database.server is not None
        self._server, self._database = database.server, database.name
        self._mark = secrets.token_hex(8)

    def switch_on(self, connection: Connection) -> None:
        """Define the event triggers, and log what is run from now on; `connection` is a superuser's."""
        connection.execute(TELL)
        name = sql.Identifier(self._database)
        for key, value in LOGGED.items():
            query = sql.SQL("ALTER DATABASE {} SET {} = {}")
            connection.execute(query.format(name, sql.Identifier(key), sql.Literal(value)))
        self._say("begins")

    def told(self) -> Told:
        """All of it since it was switched on."""
        self._say("ends")
        _, begins, rest = log_with(self._server, f"{self._mark} ends").partition(f"{self._mark} begins")
        text, ends, _ = rest.partition(f"{self._mark} ends")
        if not begins or not ends:
            return Told(doubt=INCOMPLETE)
        found = [each for each in entries(text) if each.database == self._database]
        own = [each for each in found if each.user != SUPERUSER]
        return Told(tuple(_ddl(own)), tuple(_statements(own)))

    def _say(self, what: str) -> None:
        with self._server.connect("postgres") as admin:
            mark(admin, f"{self._mark} {what}")


def switch_off(connection: Connection) -> None:
    """Take the event triggers away again, so that the database is as the tool left it."""
    connection.execute(f"DROP SCHEMA IF EXISTS {OURS} CASCADE")


def _ddl(found: Iterable[Entry]) -> Iterator[Ddl]:
    for entry in found:
        if (told := TOLD.fullmatch(entry.text)) is not None:
            yield _as_ddl(json.loads(told[1]))


def _statements(found: Iterable[Entry]) -> Iterator[str]:
    for entry in found:
        if (run := as_run(entry)) is not None and not run.fetch:
            yield run.text


def _as_ddl(told: dict[str, Any]) -> Ddl:
    return Ddl(
        pid=told["pid"],
        tag=told["tag"],
        ended=told["ended"],
        at=told["at"],
        transaction=told["transaction"],
        lock_timeout_ms=told["lock_timeout_ms"],
        locks=tuple((relation, mode) for relation, mode in told["locks"]),
        indexes=frozenset(told["indexes"]),
        demands=Demands.read(told["demands"]),
    )
