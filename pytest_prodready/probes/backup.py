"""Back up the service's database, restore it on a server that knows nothing of it, and compare the two."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import PostgresRole
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.backup_commands import CommandBackup
from pytest_prodready.probes.backup_facts import BackupRun, Halved
from pytest_prodready.probes.backup_gate import GateBackup, until_failed
from pytest_prodready.probes.backup_held import Held, compared, held, moved_between, with_contents
from pytest_prodready.probes.backup_markers import Written, recovered, written
from pytest_prodready.probes.contents import contents, one_snapshot
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

Progress = Callable[[str], None]
NO_BACKUP = "there is no backup to restore"


def backup_made(
    environment: Environment, database: Database, traffic: Traffic, settings: Settings, progress: Progress
) -> BackupRun:
    """One backup, by the user's own commands where they are given, restored and compared."""
    with environment.empty_server("empty") as server:
        marked = written(traffic, settings.writes, database) if settings.writes is not None else None
        run = _Run(environment, database, settings, server, progress)
        return run.by_commands(marked) if settings.backup.by_commands else run.by_gate(marked)


class _Run:
    """The service's database, and the server that it is restored on."""

    def __init__(
        self,
        environment: Environment,
        database: Database,
        settings: Settings,
        server: PostgresRole,
        progress: Progress,
    ) -> None:
        self._environment, self._database, self._server = environment, database, server
        self._all_settings, self._settings, self._progress = settings, settings.backup, progress
        self._restored = environment.on(server)

    def by_gate(self, marked: Written | None) -> BackupRun:
        """By PostgreSQL's own programs, from the very snapshot whose contents are hashed."""
        backup = GateBackup(self._server.tools(), self._settings, "backup")
        within_s = self._settings.within_s
        with self._database.admin(within_s=within_s) as reading, self._database.admin() as other:
            began = time.monotonic()
            with one_snapshot(reading) as snapshot:
                known = contents(reading, self._progress)
                before = with_contents(other, self._database.user, known)
                self._progress(f"dumping {self._database.name}")
                steps = until_failed(backup.make(self._database, "--snapshot", snapshot))
        made = BackupRun("gate", self._database.version, steps, before.source, backup.bytes)
        if steps[-1].failed:
            return replace(made, why_not=NO_BACKUP)
        self._progress(f"restoring {made.backup_bytes:,} bytes on an empty server")
        restore = until_failed(backup.restore(self._server, self._database.name))
        backup.remove()
        return self._compared(replace(made, restore=restore), before, marked, began)

    def by_commands(self, marked: Written | None) -> BackupRun:
        """By the user's commands; what others write meanwhile isn't compared."""
        backup = CommandBackup(self._environment, self._database, self._settings, self._progress)
        try:
            return self._by_commands(backup, marked)
        finally:
            backup.remove()

    def _by_commands(self, backup: CommandBackup, marked: Written | None) -> BackupRun:
        with self._database.admin(within_s=self._settings.within_s) as connection:
            before = held(connection, self._database.user, self._progress)
            began = time.monotonic()
            step = backup.make(self._database)
            moved = moved_between(before.contents, contents(connection, self._progress))
        made = BackupRun(
            "commands", self._database.version, (step,), before.source, backup.bytes, moved=moved
        )
        if step.status is None or not made.backup_bytes:
            return replace(made, why_not=NO_BACKUP)
        restored = replace(
            made,
            restore=(backup.restore(self._server),),
            provisioned=(self._database.user,) if backup.provisions else (),
        )
        seen = self._compared(restored, before, marked, began)
        if seen.compared is None or seen.compared.contents or not seen.source.rows:
            return seen
        with self._environment.empty_server("half") as server:
            half = _Run(self._environment, self._database, self._all_settings, server, self._progress)
            return replace(seen, halved=half.halved(backup, before, moved))

    def _compared(self, run: BackupRun, before: Held, marked: Written | None, began: float) -> BackupRun:
        """The same run with what the restored database holds."""
        if run.restore[-1].status is None:
            return replace(run, why_not="the restore did not end")
        self._progress("comparing the restored database")
        try:
            after = self._held()
            markers = recovered(marked, self._restored, began) if marked is not None else None
        except (psycopg.Error, ServerError) as error:
            said = str(error).strip().splitlines()
            return replace(run, why_not=f"the restored database can't be read: {said[0] if said else error}")
        finally:
            self._restored.close()
        return replace(run, compared=compared(before, after, run.moved), markers=markers)

    def halved(self, backup: CommandBackup, before: Held, moved: tuple[str, ...]) -> Halved:
        """What the user's restore does with half of each file: it can't bring back the same."""
        backup.halve()
        step = backup.restore(self._server)
        if step.failed or step.errors:
            return Halved(step, noticed=True)
        try:
            after = self._held()
        except (psycopg.Error, ServerError):
            return Halved(step, noticed=True)
        return Halved(step, noticed=bool(compared(before, after, moved).contents))

    def _held(self) -> Held:
        """What the restored database holds."""
        within_s = self._settings.within_s
        with self._server.connect(self._database.name, timeout_s=within_s) as connection:
            return held(connection, self._database.user, self._progress)


__all__ = ["BackupRun", "backup_made"]
