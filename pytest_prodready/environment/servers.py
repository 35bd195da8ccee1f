"""The servers and proxies that one target needs: ours to start, or the user's to find."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.capabilities import postgres_origin, redis_origin
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.given import given_cache, given_database
from pytest_prodready.environment.moving_name import MovingName
from pytest_prodready.environment.postgres_config import Account, UserConfig
from pytest_prodready.environment.reachable import check_postgres, check_redis
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import PostgresRole, ProxyRole, RedisRole, RestoringRole
from pytest_prodready.environment.secrets import Redactor, new_password
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import FaultProxy, Proxied
from pytest_prodready.settings import PostgresSettings, RedisSettings, Settings


class Parts(Protocol):
    """Makes the servers of one backend."""

    def open(self) -> None:
        """Make what comes before the servers."""

    def postgres(self, account: Account, config: UserConfig) -> PostgresRole:
        """A PostgreSQL that is still to be started."""

    def redis(self, password: str, *, tls: bool) -> RedisRole:
        """A Redis that is still to be started."""

    def standby(self, primary: PostgresRole) -> PostgresRole:
        """A PostgreSQL that will follow this one, still to be started."""

    def empty(self, first: PostgresRole, name: str) -> PostgresRole:
        """A PostgreSQL like this one that knows nothing of the service, still to be started."""

    def restoring(self, primary: PostgresRole) -> RestoringRole:
        """Room for the physical backups of this PostgreSQL, still to be made."""

    def replica(self, primary: RedisRole) -> RedisRole:
        """A Redis that will follow this one, still to be started."""

    def proxy(self) -> ProxyRole:
        """A fault proxy that is still to be started."""

    def application(
        self, recipe: Recipe, database: Database | None, cache: Cache | None
    ) -> StartedApplication:
        """The service, still to be started; the recipe is for this machine."""

    def why_no_moving_name(self) -> str:
        """Why a name of the database can't move for the service; empty when it can."""

    def moving_name(
        self, database: Database, application: StartedApplication
    ) -> AbstractContextManager[MovingName]:
        """A name of the database that moves for the service alone."""

    def versions(self) -> dict[str, str]:
        """What else belongs into the report."""

    def outlive_us(self) -> None:
        """Keep alive what would end with this process."""

    def discard(self) -> None:
        """Remove what came before the servers."""


@dataclass
class Servers:
    """What is ours, still to be started, and what was found running."""

    parts: Parts
    authority: Authority
    postgres: PostgresRole | None = None
    redis: RedisRole | None = None
    proxy: ProxyRole | None = None
    given_database: Database | None = None
    given_cache: Cache | None = None
    _proxied: dict[str, Proxied] = field(default_factory=dict)
    _model: PostgresRole | None = None

    def plan(self, settings: Settings, folder: Path, redact: Redactor) -> None:
        """Find what has to be started, and the servers that the user owns; nothing is started yet."""
        postgres, redis = settings.postgres or PostgresSettings(), settings.redis or RedisSettings()
        origins = postgres_origin(settings), redis_origin(settings)
        if origins[0] == "external":
            self.given_database = given_database(postgres, folder, redact)
        if origins[1] == "external":
            self.given_cache = given_cache(redis, folder, redact)
        if "gate" in origins or settings.service.in_container:
            self.parts.open()
        if origins[0] == "gate":
            self.postgres = self._postgres(settings, postgres, folder, redact)
        if origins[1] == "gate":
            password = new_password()
            redact.add(password)
            self.redis = self.parts.redis(password, tls=redis.tls)
        if "gate" in origins:
            self.proxy = self.parts.proxy()

    def like(self, database: Database) -> PostgresRole:
        """Our Postgres, or one of ours that would be like the user's; that is never started."""
        if self.postgres is not None:
            return self.postgres
        if self._model is None:
            account = Account(database.user, database.name, new_password())
            self._model = self.parts.postgres(account, UserConfig())
        ours, theirs = (version.partition(".")[0] for version in (self._model.version, database.version))
        if ours and int(ours) < int(theirs):
            raise ServerError(
                f"A server of PostgreSQL {theirs} needs another one of that version to be restored on.",
                value=self._model,
                remedy=f"install PostgreSQL {theirs}, or name its programs by [postgres] bin",
            )
        return self._model

    def jobs(self) -> list[Callable[[], None]]:
        """What to start; none waits for another."""
        return [server.create for server in (self.postgres, self.redis, self.proxy) if server is not None]

    def starting(self) -> list[str]:
        """What is about to be started."""
        return [str(server) for server in (self.postgres, self.redis) if server is not None]

    def database(self) -> Database | None:
        """The Postgres that runs now, behind its proxy."""
        if self.postgres is None or self.proxy is None:
            return self.given_database
        account = self.postgres.account
        proxied = self._in_front_of("postgres", self.postgres)
        check_postgres(self.postgres, proxied)
        return Database(
            endpoint=self.postgres.endpoint,
            user=account.user,
            name=account.database,
            password=account.password,
            version=self.postgres.version,
            origin="gate",
            ca_file=self.authority.ca_file,
            server=self.postgres,
            proxied=proxied,
            inside=self.proxy.inside("postgres"),
        )

    def cache(self) -> Cache | None:
        """The Redis that runs now, behind its proxy."""
        if self.redis is None or self.proxy is None:
            return self.given_cache
        proxied = self._in_front_of("redis", self.redis)
        check_redis(self.redis, proxied)
        return Cache(
            endpoint=self.redis.endpoint,
            origin="gate",
            version=self.redis.version,
            password=self.redis.password,
            tls=self.redis.tls,
            ca_file=self.authority.ca_file,
            server=self.redis,
            proxied=proxied,
            inside=self.proxy.inside("redis"),
        )

    def faults(self) -> FaultProxy | None:
        """The fault proxy's control side."""
        return self.proxy.control if self.proxy is not None else None

    def versions(self) -> dict[str, str]:
        """The versions of what runs, by name."""
        found = {}
        if self.postgres is not None:
            found["postgres"] = str(self.postgres)
        elif self.given_database is not None:
            found["postgres"] = f"PostgreSQL {self.given_database.version} (external)"
        if self.redis is not None:
            found["redis"] = str(self.redis)
        elif self.given_cache is not None:
            found["redis"] = f"Redis {self.given_cache.version} (external)"
        if self.proxy is not None and self.proxy.origin:
            found["faultproxy"] = self.proxy.origin
        return {**found, **self.parts.versions()}

    def logs(self) -> dict[str, str]:
        """The logs of those that don't write them into the run's folder, by name."""
        found = {"postgres": self.postgres, "redis": self.redis, "faultproxy": self.proxy}
        return {name: server.log() for name, server in found.items() if server is not None}

    def discard(self) -> None:
        """End all that is ours."""
        for server in (self.proxy, self.redis, self.postgres, self._model):
            if server is not None:
                server.discard()
        self.parts.discard()

    def _postgres(
        self, settings: Settings, table: PostgresSettings, folder: Path, redact: Redactor
    ) -> PostgresRole:
        name = settings.service.name.replace("-", "_")
        account = Account(table.user or name, table.database or name, new_password())
        server = self.parts.postgres(account, UserConfig.read(table, folder))
        redact.add(account.password, server.admin_password)
        return server

    def _in_front_of(self, name: str, server: PostgresRole | RedisRole) -> Proxied:
        assert self.proxy is not None
        return self.proxy.in_front_of(name, server.upstream)
