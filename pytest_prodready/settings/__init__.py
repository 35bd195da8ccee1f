"""What prodready.toml may say: every table, key, unit and default."""

from pytest_prodready.settings.backup import BackupSettings
from pytest_prodready.settings.base import Count, Image, Name, RowCount, Seconds, Table, UrlPath
from pytest_prodready.settings.explain import ExplainSettings, QuerySettings
from pytest_prodready.settings.limits import (
    CounterSettings,
    FailoverSettings,
    HealthSettings,
    PoolSettings,
    SslSettings,
)
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
from pytest_prodready.settings.target import Settings, Waiver

__all__ = [
    "BackupSettings",
    "Count",
    "CounterSettings",
    "ExplainSettings",
    "FailoverSettings",
    "FaultProxySettings",
    "HealthSettings",
    "Image",
    "LoadSettings",
    "MigrationSettings",
    "Name",
    "PoolSettings",
    "PostgresSettings",
    "QuerySettings",
    "RedisSettings",
    "Request",
    "RowCount",
    "Seconds",
    "ServiceSettings",
    "Settings",
    "SslSettings",
    "Table",
    "UrlPath",
    "Waiver",
    "WritesSettings",
]
