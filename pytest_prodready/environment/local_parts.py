"""The servers of a run as local processes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from pytest_prodready.environment.application import Application
from pytest_prodready.environment.binaries import find_postgres, find_redis
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.certificates import POSTGRES_NAME, Authority
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.hosts import why_not
from pytest_prodready.environment.moving_name import MovingName, moving
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account, UserConfig
from pytest_prodready.environment.postgres_empty import EmptyServer
from pytest_prodready.environment.postgres_restoring import RestoringServer
from pytest_prodready.environment.postgres_standby import StandbyServer
from pytest_prodready.environment.proxy_process import ProxyProcess
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.redis import RedisServer, ReplicaServer
from pytest_prodready.environment.roles import PostgresRole, RedisRole
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.settings import PostgresSettings, RedisSettings, Settings

Table = TypeVar("Table", PostgresSettings, RedisSettings)


class LocalParts:
    """Makes the servers of one run from programs of this machine."""

    def __init__(self, run: Run, authority: Authority, settings: Settings, folder: Path) -> None:
        self._run, self._authority, self._settings, self._folder = run, authority, settings, folder
        self._pipes: list[ProxyProcess | RedisServer] = []

    def open(self) -> None:
        """Nothing comes before the servers."""

    def postgres(self, account: Account, config: UserConfig) -> PostgresServer:
        """A PostgreSQL that is still to be started; its programs were found."""
        found = find_postgres(self._beside(self._settings.postgres or PostgresSettings()))
        return PostgresServer(self._run, found, self._authority, account, config)

    def redis(self, password: str, *, tls: bool) -> RedisServer:
        """A Redis that is still to be started; its program was found."""
        found = find_redis(self._beside(self._settings.redis or RedisSettings()))
        server = RedisServer(self._run, found, password, self._authority if tls else None)
        self._pipes.append(server)
        return server

    def standby(self, primary: PostgresRole) -> StandbyServer:
        """A PostgreSQL that will follow this one, of the same programs."""
        assert isinstance(primary, PostgresServer)
        return StandbyServer(self._run, self._authority, primary)

    def empty(self, first: PostgresRole, name: str) -> EmptyServer:
        """A PostgreSQL of the same programs that knows nothing of the service."""
        assert isinstance(first, PostgresServer)
        return EmptyServer(self._run, self._authority, first, name)

    def restoring(self, primary: PostgresRole) -> RestoringServer:
        """Room for the physical backups of this PostgreSQL, of the same programs."""
        assert isinstance(primary, PostgresServer)
        return RestoringServer(self._run, self._authority, primary)

    def replica(self, primary: RedisRole) -> ReplicaServer:
        """A Redis that will follow this one, of the same program."""
        assert isinstance(primary, RedisServer)
        return ReplicaServer(self._run, primary, self._authority if primary.tls else None)

    def proxy(self) -> ProxyProcess:
        """A fault proxy that is still to be started."""
        proxy = ProxyProcess(self._run)
        self._pipes.append(proxy)
        return proxy

    def application(self, recipe: Recipe, database: Database | None, cache: Cache | None) -> Application:
        """The service as a process of this machine."""
        return Application(self._run, recipe)

    def why_no_moving_name(self) -> str:
        """Why a name of the database can't move for the service; empty when it can."""
        return why_not(POSTGRES_NAME)

    def moving_name(
        self, database: Database, application: StartedApplication
    ) -> AbstractContextManager[MovingName]:
        """A name of the database that moves for the service alone."""
        return moving(self._run, database, application.recipe)

    def versions(self) -> dict[str, str]:
        """Nothing but the servers."""
        return {}

    def outlive_us(self) -> None:
        """Keep alive what would end with this process."""
        if pipes := [pipe for part in self._pipes for pipe in part.pipes()]:
            hold, folder = ["sleep", str(24 * 3600)], self._run.folder
            self._run.spawn(hold, env={}, cwd=folder, log=folder / "kept.log", pass_fds=pipes)

    def discard(self) -> None:
        """The servers are discarded one by one; nothing is left."""

    def _beside(self, table: Table) -> Table:
        """The same table with its bin folder relative to prodready.toml's."""
        return table.model_copy(update={"bin": self._folder / table.bin}) if table.bin else table
