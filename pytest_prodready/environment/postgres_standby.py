"""A standby of a local PostgreSQL: another process on a copy of its data, which follows it."""

from __future__ import annotations

import subprocess

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.places import give_to_server_user
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import OVERRIDES, SIGNAL, STANDBY, standby_settings
from pytest_prodready.environment.postgres_second import SecondServer
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError

COPIED_WITHIN_S = 120.0


class StandbyServer(SecondServer):
    """A copy of a running PostgreSQL that follows it until it is promoted."""

    def __init__(self, run: Run, authority: Authority, primary: PostgresServer) -> None:
        super().__init__(run, authority, primary, "standby")
        self._primary = primary

    def create(self) -> None:
        """Copy the primary's data and start on it."""
        self._write_access()
        self._copy()
        signal, overrides = self._layout.data / SIGNAL, self._layout.data / OVERRIDES
        signal.touch()
        overrides.write_text("")
        give_to_server_user(signal)
        self._start_on_free_port()

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **standby_settings(self._primary.followed_by(STANDBY))}

    def _copy(self) -> None:
        program = self.binary.folder / "pg_basebackup"
        if not program.exists():
            raise ServerError(
                "A standby needs pg_basebackup, which this PostgreSQL lacks.",
                value=self.binary,
                tried=[str(program)],
                remedy="install PostgreSQL's client programs, or choose another by [postgres] bin",
            )
        copying = self._run.spawn(
            [
                program,
                *("--pgdata", self._layout.data),
                *("--dbname", self._primary.followed_by(STANDBY)),
                *("--wal-method", "stream", "--checkpoint", "fast", "--no-sync"),
                *("--create-slot", "--slot", STANDBY),
            ],
            env=self._env(),
            cwd=self.folder,
            log=self.log_file,
            as_server=True,
        )
        try:
            status: int | None = copying.wait(COPIED_WITHIN_S)
        except subprocess.TimeoutExpired:
            copying.kill()
            status = None
        if status != 0:
            raise ServerError(
                "The primary's data could not be copied for a standby.",
                value=f"pg_basebackup {'did not end' if status is None else f'ended with status {status}'}",
                source=self._config.sources,
                tried=[f"its last lines:\n{self.log_tail()}"],
                remedy="the primary must allow it: wal_level replica, max_wal_senders of 3 or more,"
                " a free replication slot",
            )
