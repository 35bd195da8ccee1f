"""A standby of a local PostgreSQL: another process on a copy of its data, which follows it."""

from __future__ import annotations

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
        copying = self.tools().run(
            "pg_basebackup",
            *("--pgdata", str(self._layout.data)),
            *("--dbname", self._primary.followed_by(STANDBY)),
            *("--wal-method", "stream", "--checkpoint", "fast", "--no-sync"),
            *("--create-slot", "--slot", STANDBY),
            within_s=COPIED_WITHIN_S,
        )
        if copying.status != 0:
            raise ServerError(
                "The primary's data could not be copied for a standby.",
                value=copying,
                source=self._config.sources,
                remedy="the primary must allow it: wal_level replica, max_wal_senders of 3 or more,"
                " a free replication slot",
            )
