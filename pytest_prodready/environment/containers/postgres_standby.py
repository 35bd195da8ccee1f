"""A standby of a PostgreSQL in a container: another container on a copy of its data, which follows it."""

from __future__ import annotations

import shlex

from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.containers.postgres import PostgresContainer
from pytest_prodready.environment.containers.postgres_second import SecondContainer
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.postgres_config import Value
from pytest_prodready.environment.postgres_following import OVERRIDES, SIGNAL, STANDBY, standby_settings


class StandbyContainer(SecondContainer):
    """A copy of a running PostgreSQL that follows it until it is promoted."""

    def __init__(self, stage: Stage, authority: Authority, primary: PostgresContainer) -> None:
        self._primary = primary
        super().__init__(stage, authority, primary, "standby")
        self.version = primary.version

    def create(self) -> None:
        """Copy the primary's data and start on it."""
        self._box.create()
        self._wait_until_ready()

    def _places(self) -> dict[str, Value]:
        return {**super()._places(), **standby_settings(self._primary.followed_by(STANDBY))}

    def _preparation(self) -> str:
        """Copy once: a promoted standby that is started again goes on with its own data."""
        copy = (
            f'pg_basebackup --pgdata "$PGDATA" --dbname {shlex.quote(self._primary.followed_by(STANDBY))}'
            f" --wal-method stream --checkpoint fast --no-sync --create-slot --slot {STANDBY}"
            f' && : > "$PGDATA/{OVERRIDES}" && : > "$PGDATA/{SIGNAL}" && chown -R postgres:postgres "$PGDATA"'
        )
        return f'{super()._preparation()} && {{ [ -s "$PGDATA/PG_VERSION" ] || {{ {copy}; }}; }}'
