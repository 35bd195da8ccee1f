"""Room for the physical backups of a local PostgreSQL, and another process that starts from them."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.places import as_server_user, give_to_server_user
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import (
    ARCHIVE,
    OVERRIDES,
    RECOVERY,
    RESTORING,
    restoring_settings,
)
from pytest_prodready.environment.postgres_second import SecondServer
from pytest_prodready.environment.postgres_template import copy_options
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError


class RestoringServer(SecondServer):
    """A PostgreSQL on a copy of another's backup; it is not started before it has one."""

    def __init__(self, run: Run, authority: Authority, primary: PostgresServer) -> None:
        super().__init__(run, authority, primary, RESTORING)

    @property
    def archive(self) -> str:
        """Where the primary may put its WAL: it runs as the same user."""
        return f"{self.tools().folder}/{ARCHIVE}"

    def create(self) -> None:
        """Make the room; no server runs yet."""
        self._write_access()
        archive = Path(self.archive)
        archive.mkdir(mode=0o700)
        give_to_server_user(archive)

    def fetch_archive(self) -> None:
        """The archive is here already."""

    def start_on(self, backup: str, overrides: str = "", *, recovering: bool = False) -> None:
        """Start the server on a copy of a backup, with these lines of settings."""
        data = self._layout.data
        copying = ["cp", *copy_options(), backup, str(data)]
        copied = subprocess.run(
            copying, check=False, capture_output=True, stdin=subprocess.DEVNULL, text=True, **as_server_user()
        )
        if copied.returncode != 0:
            raise ServerError("A backup could not be copied.", value=backup, tried=[copied.stderr.strip()])
        (data / OVERRIDES).write_text(overrides)
        if recovering:
            (data / RECOVERY).touch()
            give_to_server_user(data / RECOVERY)
        self._start_on_free_port()

    def stop(self, *, within_s: float = 20.0) -> None:
        """End the server, and remove the copy that it ran on."""
        self._end(signal.SIGQUIT, within_s)
        shutil.rmtree(self._layout.data, ignore_errors=True)

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **restoring_settings()}
