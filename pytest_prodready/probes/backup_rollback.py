"""The rollback plan of a deployment: back up, migrate, fail half-way, restore, and serve as before.

All of it happens on a second server, which holds what the service's database holds; at the revision before
the newest, where there is a way down. The service is of the newest one: it is started after another upgrade.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain

import psycopg
from psycopg import sql

from pytest_prodready.environment.copies import Beside
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres_account import count_statements
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.backup_commands import CommandBackup
from pytest_prodready.probes.backup_facts import Compared, Step
from pytest_prodready.probes.backup_gate import GateBackup, until_failed
from pytest_prodready.probes.backup_held import Held, compared, held_in
from pytest_prodready.probes.backup_rollback_revision import Revision
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

DEADLINE_S = 15.0
STAGE = "rollback"
LEFTOVER = "prodready_half_done"
# The last column of a table, which a careless migration would drop first.
LAST_COLUMN = """
    SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum DESC LIMIT 1
"""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """A deployment that went wrong, and the way back, as far as it came."""

    staged: tuple[Step, ...]  # how the second server got the service's data
    answers: tuple[Answer, ...] = ()  # to the declared requests, before
    rows: int = 0  # in all tables, before
    backup: tuple[Step, ...] = ()
    migration: tuple[str, ...] = ()  # what the migration did before it failed
    noticed: tuple[str, ...] = ()  # what the failed migration left otherwise than it was
    restore: tuple[Step, ...] = ()
    revision: str = ""  # that the database was at; empty: the newest
    again: tuple[Step, ...] = ()  # the upgrade of the restored database to the newest
    compared: Compared | None = None
    not_started: str = ""  # why the service didn't start on the restored database
    answers_after: tuple[Answer, ...] = ()
    back_s: float | None = None  # from the decision to restore until the service was ready
    why_not: str = ""  # it came no further


def rollback_plan(environment: Environment, settings: Settings, progress: Progress) -> RollbackPlan:
    """Let a migration of a copy fail half-way, restore the backup made before it, and ask the service."""
    database = environment.database
    assert database is not None
    with environment.empty_server(STAGE) as server:
        gate = GateBackup(server.tools(), settings.backup, "staged")
        staged = _staged(gate, database, server)
        if staged[-1].failed:
            return RollbackPlan(staged)
        with environment.on_another(server) as beside:
            plan = _Plan(environment, settings, beside, server, progress)
            return plan.carried_out(RollbackPlan(staged))


class _Plan:
    """The service and its database on the second server, and the procedure that protects them."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        beside: Beside,
        server: PostgresRole,
        progress: Progress,
    ) -> None:
        self._settings, self._database, self._server = settings, beside.database, server
        self._application, self._progress = beside.application, progress
        self._gate = GateBackup(server.tools(), settings.backup, "before")
        self._revision = Revision(environment, beside, settings.migration, progress)
        self._commands: CommandBackup | None = None
        if settings.backup.by_commands:
            limits = settings.backup
            assert environment.database is not None
            self._commands = CommandBackup(environment, environment.database, limits, progress, "before")

    def carried_out(self, seen: RollbackPlan) -> RollbackPlan:
        """Every step in turn; the first that can't be done ends it."""
        try:
            return self._carried_out(seen)
        finally:
            if self._commands is not None:
                self._commands.remove()

    def _carried_out(self, seen: RollbackPlan) -> RollbackPlan:
        self._progress("rollback plan: asking the service before")
        self._application.start()
        seen = replace(seen, answers=self._asked())
        self._application.stop()
        moved = self._revision.go_back()
        if moved and moved[-1].failed:
            return replace(seen, why_not="the copy went neither back by a revision nor to the newest again")
        before = self._held()
        self._progress("rollback plan: backing up, and migrating")
        seen = replace(seen, rows=before.contents.rows, backup=self._made())
        if seen.backup[-1].failed:
            return seen
        self._revision.go_on()
        migration = self._failed_migration(before)
        damage = compared(before, self._held())
        found = tuple(map(str, (*damage.contents, *damage.schema)))
        seen = replace(seen, migration=migration, noticed=found, revision=self._revision.before)
        return self._restored(seen, before)

    def _restored(self, seen: RollbackPlan, before: Held) -> RollbackPlan:
        self._progress("rollback plan: restoring, and starting the service")
        began = time.monotonic()
        seen = replace(seen, restore=self._restore())
        restore_s = time.monotonic() - began
        try:
            seen = replace(seen, compared=compared(before, self._held()))
        except psycopg.Error as error:
            return replace(seen, why_not=f"the restored database can't be read: {str(error).strip()}")
        began = time.monotonic()
        seen = replace(seen, again=self._revision.go_on())
        try:
            self._application.start()
            seen = replace(seen, back_s=restore_s + time.monotonic() - began)
            return replace(seen, answers_after=self._asked())
        except ProdreadyError as failure:
            return replace(seen, not_started=failure.problem)

    def _asked(self) -> tuple[Answer, ...]:
        """What the service answers to each declared request."""
        with closing(Traffic(self._application.base_url, self._settings.requests)) as traffic:
            return tuple(_without_body(traffic.send(each, DEADLINE_S)) for each in self._settings.traffic)

    def _held(self) -> Held:
        return held_in(self._database, self._settings.backup.within_s)

    def _made(self) -> tuple[Step, ...]:
        if self._commands is not None:
            return (self._commands.make(self._database),)
        return until_failed(self._gate.make(self._database))

    def _restore(self) -> tuple[Step, ...]:
        if self._commands is not None:
            return (self._commands.restore(self._server),)
        with self._server.connect("postgres") as admin:
            name = sql.Identifier(self._database.name)
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        return until_failed(self._gate.restore(self._server, self._database.name))

    def _failed_migration(self, before: Held) -> tuple[str, ...]:
        """What a migration without a transaction leaves when it fails at its last statement."""
        tables = sorted(before.contents.tables, key=lambda table: table.rows, reverse=True)
        done = [f"CREATE TABLE {LEFTOVER} (id int)"]
        with self._database.superuser(self._settings.backup.within_s) as admin:
            for table in tables[:1]:
                found = admin.execute(LAST_COLUMN, (table.table,)).fetchone()
                column = sql.Identifier(found[0]).as_string(admin) if found else ""
                done += [f"ALTER TABLE {table.table} DROP COLUMN {column} CASCADE"] if column else []
                done.append(f"TRUNCATE {table.table} CASCADE")
            for statement in done:
                admin.execute(statement.encode())
        return tuple(done)


def _staged(gate: GateBackup, database: Database, server: PostgresRole) -> tuple[Step, ...]:
    """Bring what the service's database holds to another server."""
    steps = until_failed(chain(gate.make(database), gate.restore(server, database.name)))
    gate.remove()
    if not steps[-1].failed:
        with server.connect(database.name) as admin:
            count_statements(admin)  # as where it comes from
    return steps


def _without_body(answer: Answer) -> Answer:
    return replace(answer, body="", headers=())
