"""All of one prodready.toml."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from pytest_prodready.settings.backup import BackupSettings
from pytest_prodready.settings.base import Table
from pytest_prodready.settings.explain import ExplainSettings
from pytest_prodready.settings.limits import FailoverSettings, HealthSettings, PoolSettings, SslSettings
from pytest_prodready.settings.load import LoadSettings
from pytest_prodready.settings.migration import MigrationSettings
from pytest_prodready.settings.service import (
    FaultProxySettings,
    PostgresSettings,
    RedisSettings,
    Request,
    ServiceSettings,
    WritesSettings,
)


class Waiver(Table):
    """[[waivers]]: a finding accepted by a named person until a date."""

    rule: str
    reason: Annotated[str, Field(min_length=3)]
    approver: Annotated[str, Field(min_length=2)]
    expires: date


class Settings(Table):
    """All of prodready.toml after profiles, environment variables and options were laid over it."""

    service: ServiceSettings
    postgres: PostgresSettings | None = None
    redis: RedisSettings | None = None
    faultproxy: FaultProxySettings = FaultProxySettings()
    health: HealthSettings = HealthSettings()
    requests: tuple[Request, ...] = ()
    writes: WritesSettings | None = None
    ssl: SslSettings = SslSettings()
    pool: PoolSettings = PoolSettings()
    failover: FailoverSettings = FailoverSettings()
    explain: ExplainSettings = ExplainSettings()
    migration: MigrationSettings = MigrationSettings()
    backup: BackupSettings = BackupSettings()
    load: LoadSettings = LoadSettings()
    bypass: dict[str, Annotated[str, Field(min_length=3)]] = {}
    waivers: tuple[Waiver, ...] = ()

    @property
    def traffic(self) -> tuple[Request, ...]:
        """The declared requests that expect success."""
        return tuple(request for request in self.requests if not request.expects_error)

    @property
    def pool_here(self) -> PoolSettings:
        """The pool as the database sees it: of all replicas behind [service] url, of one that we start."""
        if self.service.url is None:
            return self.pool
        processes = self.pool.workers * self.pool.replicas
        return self.pool.model_copy(update={"workers": processes, "replicas": 1})

    @property
    def errors(self) -> tuple[Request, ...]:
        """The declared requests that expect an error."""
        return tuple(request for request in self.requests if request.expects_error)
