"""The servers and proxies that one target needs: ours to start, or the user's to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_prodready.environment.binaries import find_postgres, find_redis
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.capabilities import postgres_origin, redis_origin
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.given import given_cache, given_database
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account, UserConfig
from pytest_prodready.environment.proxy_process import ProxyProcess
from pytest_prodready.environment.redis import RedisServer
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.secrets import Redactor, new_password
from pytest_prodready.faults import FaultProxy
from pytest_prodready.settings import PostgresSettings, RedisSettings, Settings

Table = TypeVar("Table", PostgresSettings, RedisSettings)


@dataclass
class Servers:
    """What is ours, still to be started, and what was found running."""

    run: Run
    authority: Authority
    postgres: PostgresServer | None = None
    redis: RedisServer | None = None
    proxy: ProxyProcess | None = None
    given_database: Database | None = None
    given_cache: Cache | None = None

    def jobs(self) -> list[Callable[[], None]]:
        """What to start; none waits for another."""
        return [server.create for server in (self.postgres, self.redis, self.proxy) if server is not None]

    def starting(self) -> list[str]:
        """What is about to be started, with versions."""
        return [str(server.binary) for server in (self.postgres, self.redis) if server is not None]

    def database(self) -> Database | None:
        """The Postgres that runs now, behind its proxy."""
        if self.postgres is None or self.proxy is None:
            return self.given_database
        account = self.postgres.account
        return Database(
            endpoint=self.postgres.endpoint,
            user=account.user,
            name=account.database,
            password=account.password,
            version=self.postgres.version,
            origin="gate",
            ca_file=self.authority.ca_file,
            server=self.postgres,
            proxied=self.proxy.in_front_of("postgres", self.postgres.endpoint),
        )

    def cache(self) -> Cache | None:
        """The Redis that runs now, behind its proxy."""
        if self.redis is None or self.proxy is None:
            return self.given_cache
        return Cache(
            endpoint=self.redis.endpoint,
            origin="gate",
            version=self.redis.binary.version,
            password=self.redis.password,
            tls=self.redis.tls,
            ca_file=self.authority.ca_file,
            server=self.redis,
            proxied=self.proxy.in_front_of("redis", self.redis.endpoint),
        )

    def faults(self) -> FaultProxy | None:
        """The fault proxy's control side."""
        return self.proxy.control if self.proxy is not None else None

    def versions(self) -> dict[str, str]:
        """The versions of what runs, by name."""
        found = {}
        if self.postgres is not None:
            found["postgres"] = str(self.postgres.binary)
        elif self.given_database is not None:
            found["postgres"] = f"PostgreSQL {self.given_database.version} (external)"
        if self.redis is not None:
            found["redis"] = str(self.redis.binary)
        elif self.given_cache is not None:
            found["redis"] = f"Redis {self.given_cache.version} (external)"
        if self.proxy is not None and self.proxy.origin:
            found["faultproxy"] = self.proxy.origin
        return found

    def outlive_us(self) -> None:
        """Keep alive what would end with this process."""
        pipes = [*(self.proxy.pipes() if self.proxy else ()), *(self.redis.pipes() if self.redis else ())]
        if pipes:
            hold = ["sleep", str(24 * 3600)]
            self.run.spawn(
                hold, env={}, cwd=self.run.folder, log=self.run.folder / "kept.log", pass_fds=pipes
            )

    def discard(self) -> None:
        """End all that is ours."""
        for server in (self.proxy, self.redis, self.postgres):
            if server is not None:
                server.discard()


def plan(settings: Settings, folder: Path, run: Run, authority: Authority, redact: Redactor) -> Servers:
    """Find the binaries of what has to be started, and the servers that the user owns."""
    servers = Servers(run, authority)
    postgres, redis = settings.postgres or PostgresSettings(), settings.redis or RedisSettings()
    origin = postgres_origin(settings)
    if origin == "external":
        servers.given_database = given_database(postgres, folder, redact)
    elif origin == "gate":
        servers.postgres = _postgres(settings, postgres, folder, servers, redact)
    origin = redis_origin(settings)
    if origin == "external":
        servers.given_cache = given_cache(redis, folder, redact)
    elif origin == "gate":
        servers.redis = _redis(redis, folder, servers, redact)
    if servers.postgres is not None or servers.redis is not None:
        servers.proxy = ProxyProcess(run)
    return servers


def _postgres(
    settings: Settings, table: PostgresSettings, folder: Path, servers: Servers, redact: Redactor
) -> PostgresServer:
    name = settings.service.name.replace("-", "_")
    account = Account(table.user or name, table.database or name, new_password())
    config = UserConfig.read(table, folder)
    server = PostgresServer(
        servers.run, find_postgres(_beside(table, folder)), servers.authority, account, config
    )
    redact.add(account.password, server.admin_password)
    return server


def _redis(table: RedisSettings, folder: Path, servers: Servers, redact: Redactor) -> RedisServer:
    password = new_password()
    redact.add(password)
    authority = servers.authority if table.tls else None
    return RedisServer(servers.run, find_redis(_beside(table, folder)), password, authority)


def _beside(table: Table, folder: Path) -> Table:
    """The same table with its bin folder relative to prodready.toml's."""
    return table.model_copy(update={"bin": folder / table.bin}) if table.bin else table
