"""Room for the physical backups of a PostgreSQL in a container: another, where a server starts from them."""

from __future__ import annotations

from dataclasses import replace

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.box import Plan
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.containers.postgres import FOLDER, PostgresContainer
from pytest_prodready.environment.containers.postgres_second import SecondContainer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import (
    ARCHIVE,
    OVERRIDES,
    RECOVERY,
    RESTORING,
    restoring_settings,
)
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError

USER = "postgres"
MADE = "/tmp/prodready-made"  # noqa: S108 (inside a container of ours)
MADE_WITHIN_S = 30.0
KEPT_LINES = 1000
# From a backup to a data directory: its settings' overrides, and the file that asks for a recovery.
COPY = f"""
set -e
cp -a "$1" "$2"
printf %s "$3" >"$2/{OVERRIDES}"
[ -z "$4" ] || : >"$2/{RECOVERY}"
"""


class RestoringContainer(SecondContainer):
    """A PostgreSQL on a copy of another's backup; it is not started before it has one."""

    def __init__(self, stage: Stage, authority: Authority, primary: PostgresContainer) -> None:
        self._primary = primary
        super().__init__(stage, authority, primary, RESTORING)
        self.version = primary.version

    @property
    def archive(self) -> str:
        """Where the primary may put its WAL, inside its own container."""
        return f"{self._primary.tools().folder}/{ARCHIVE}"

    def create(self) -> None:
        """Make the room; no server runs yet."""
        self._box.create()
        if not comes_true(lambda: self._box.execute(("test", "-e", MADE))[0] == 0, MADE_WITHIN_S):
            raise ServerError(
                "The container for backups did not get ready.",
                value=self.image,
                tried=[f"its last lines:\n{last_lines(self._box.logs(), 20)}"],
            )
        self._primary.box.run(("mkdir", "-p", self.archive), user=USER)

    def fetch_archive(self) -> None:
        """Bring the archive over from the primary's container."""
        with explained("Copying the WAL archive between containers"):
            archived, _ = self._primary.box.container.get_archive(self.archive)
            self._box.container.put_archive(self.tools().folder, archived)

    def start_on(self, backup: str, overrides: str = "", *, recovering: bool = False) -> None:
        """Start the server on a copy of a backup, with these lines of settings."""
        arguments = (backup, self._data, overrides, RECOVERY if recovering else "")
        self._box.run(("sh", "-c", COPY, "sh", *arguments), user=USER)
        self._running = True
        options = f"-c config_file={FOLDER / 'postgresql.conf'}"
        where = ("--pgdata", self._data, "--log", self._log, "--options", options)
        status, _ = self._box.execute(("pg_ctl", "start", *where, "--wait"), user=USER)
        if status != 0:
            raise ServerError(
                f"PostgreSQL {self.version} ended on a restored backup instead of getting ready.",
                tried=[f"its last lines:\n{self.log_tail()}"],
            )

    def stop(self) -> None:
        """End the server, and remove the copy that it ran on."""
        if self._running:
            self._running = False
            self._box.execute(("pg_ctl", "stop", "--pgdata", self._data, "--mode", "immediate"), user=USER)
            self.tools().remove(self._data)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self._box.exists:
            return ""
        return self._box.execute(("tail", "-n", str(lines), self._log), user=USER)[1].decode(errors="replace")

    def discard(self) -> None:
        """Remove it with all that lies in it, and the primary's archive."""
        if self._box.exists and self._primary.alive and not self._primary.paused:
            self._primary.tools().remove(self.archive)
        super().discard()

    def _whole_log(self) -> str:
        return self.log_tail(KEPT_LINES)

    @property
    def _data(self) -> str:
        return f"{self.tools().folder}/data"

    @property
    def _log(self) -> str:
        return f"{self.tools().folder}/server.log"

    def _plan(self, stage: Stage, authority: Authority) -> Plan:
        script = f"{self._preparation()} && : >{MADE} && exec tail -f /dev/null"
        return replace(super()._plan(stage, authority), command=(), entrypoint=("sh", "-c", script))

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **restoring_settings()}
