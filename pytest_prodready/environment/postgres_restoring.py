"""Room for the physical backups of a local PostgreSQL, and another process that starts from them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.leftovers import of_groups
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import RESTORING, restoring_settings
from pytest_prodready.environment.roles import ToolRun
from pytest_prodready.environment.runs import Run

SAID_LINES = 20


class RestoringServer(PostgresServer):
    """A PostgreSQL on copies of another's data; it is not started before it has one."""

    def __init__(self, run: Run, authority: Authority, primary: PostgresServer) -> None:
        super().__init__(run, primary.binary, authority, primary.account, primary._config, name=RESTORING)
        self.admin_password = primary.admin_password
        self._ran = 0

    @property
    def room(self) -> str:
        """Where the backups lie."""
        return str(self.folder)

    @property
    def archive(self) -> str:
        """Where the primary may put its WAL: it runs as the same user."""
        return str(self.folder / "archive")

    def create(self) -> None:
        """Make the room; no server runs yet."""
        self._write_access()
        self.run("mkdir", self.archive, within_s=10)

    def run(self, program: str, *arguments: str, within_s: float) -> ToolRun:
        """Run a program of the server's version, or a shell, as the server's user; it may fail."""
        self._ran += 1
        log, began = self.folder / f"ran-{self._ran}.log", time.monotonic()
        own = self.binary.folder / program
        running = self._run.spawn(
            [own if own.exists() else program, *arguments],
            env=self._env(),
            cwd=self.folder,
            log=log,
            as_server=True,
        )
        try:
            status: int | None = running.wait(within_s)
        except subprocess.TimeoutExpired:
            status = None
            for process in of_groups([running.pid]):
                process.kill()
            running.wait()
        return ToolRun(program, status, time.monotonic() - began, tail(log, SAID_LINES))

    def fetch_archive(self) -> None:
        """The archive is here already."""

    def start_on(self, data: str) -> None:
        """Start the server on this data directory; raises ServerError when it ends instead."""
        self._layout = replace(self._layout, data=Path(data))
        self._start_on_free_port()

    def stop(self, *, within_s: float = 20.0) -> None:
        """End the server; nobody needs its data any more."""
        self._end(signal.SIGQUIT, within_s)

    def discard(self) -> None:
        """End it, and remove the room with all that lies in it."""
        super().discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **restoring_settings()}
