"""Room for the physical backups of a PostgreSQL in a container: another container, where a server can start."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import PurePosixPath

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.box import Plan
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.containers.postgres import FOLDER, PostgresContainer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import RESTORING, restoring_settings
from pytest_prodready.environment.roles import ToolRun
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError

ROOM = PurePosixPath("/tmp/prodready")  # noqa: S108 (inside a container of ours)
MADE = ROOM / "made"
LOG = ROOM / "server.log"
MADE_WITHIN_S = 30.0
STARTED_WITHIN_S = 60
LOG_LINES = 1000


class RestoringContainer(PostgresContainer):
    """A PostgreSQL on copies of another's data; it is not started before it has one."""

    def __init__(self, stage: Stage, authority: Authority, primary: PostgresContainer) -> None:
        self._primary, self._data = primary, ""
        self._log_file = stage.run.folder / f"{RESTORING}.log"
        super().__init__(
            stage,
            primary.image,
            authority,
            primary.account,
            primary._config,
            name=RESTORING,
            admin_password=primary.admin_password,
        )
        self.version = primary.version

    @property
    def room(self) -> str:
        """Where the backups lie, inside the container."""
        return str(ROOM)

    @property
    def archive(self) -> str:
        """Where the primary may put its WAL, inside its own container."""
        return str(ROOM / "archive")

    def create(self) -> None:
        """Make the room; no server runs yet."""
        self._box.create()
        if not comes_true(lambda: self.run("test", "-e", str(MADE), within_s=10).status == 0, MADE_WITHIN_S):
            raise ServerError(
                "The container for backups did not get ready.",
                value=self.image,
                tried=[f"its last lines:\n{last_lines(self._box.logs(), 20)}"],
            )
        self._primary.box.run(("mkdir", "-p", self.archive), user="postgres")

    def run(self, program: str, *arguments: str, within_s: float) -> ToolRun:
        """Run a program of the image as the server's user; it may fail."""
        began = time.monotonic()
        command = ["timeout", "-k", "5", str(max(1, round(within_s))), program, *arguments]
        with explained(f"Running {program} in the container for backups"):
            status, said = self._box.container.exec_run(
                command, user="postgres", workdir=str(ROOM.parent), environment={"LC_ALL": "C"}
            )
        seconds = time.monotonic() - began
        in_time = seconds < round(within_s) or status == 0
        text = last_lines(bytes(said).decode("utf-8", "replace"), LOG_LINES)
        return ToolRun(program, int(status) if in_time else None, seconds, text)

    def fetch_archive(self) -> None:
        """Bring the archive over from the primary's container."""
        with explained("Copying the WAL archive between containers"):
            archived, _ = self._primary.box.container.get_archive(self.archive)
            self._box.container.put_archive(str(ROOM), archived)

    def start_on(self, data: str) -> None:
        """Start the server on this data directory; raises ServerError when it ends instead."""
        options = f"-c config_file={FOLDER / 'postgresql.conf'}"
        waited = ("--wait", "--timeout", str(STARTED_WITHIN_S))
        where = ("--pgdata", data, "--log", str(LOG), "--options", options)
        started = self.run("pg_ctl", "start", *where, *waited, within_s=STARTED_WITHIN_S + 10)
        if started.status != 0:
            raise ServerError(
                f"PostgreSQL {self.version} did not start.",
                value=data,
                tried=[f"its last lines:\n{self.log_tail()}"],
            )
        self._data, self._running = data, True

    def stop(self) -> None:
        """End the server; nobody needs its data any more."""
        if self._running:
            self._running = False
            self.run("pg_ctl", "stop", "--pgdata", self._data, "--mode", "immediate", "--wait", within_s=30)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self.run("tail", "-n", str(lines), str(LOG), within_s=10).said if self._box.exists else ""

    def discard(self) -> None:
        """Remove it with all that lies in it, and the primary's archive."""
        if self._box.exists:
            with self._log_file.open("a") as log:
                log.write(self.log_tail(LOG_LINES))
            if self._primary.alive and not self._primary.paused:
                self._primary.box.run(("rm", "-rf", self.archive), user="postgres")
        super().discard()

    def _plan(self, stage: Stage, authority: Authority) -> Plan:
        made = f"mkdir -p {ROOM} && chown postgres:postgres {ROOM} && chmod 700 {ROOM} && : > {MADE}"
        script = f"{self._preparation()} && {made} && exec tail -f /dev/null"
        return replace(super()._plan(stage, authority), command=(), entrypoint=("sh", "-c", script))

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **restoring_settings()}
