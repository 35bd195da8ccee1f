"""What a configuration promises, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pytest_prodready.environment.placeholders import replica_named, servers_named
from pytest_prodready.environment.sql_migrations import leads_back
from pytest_prodready.findings import Capability
from pytest_prodready.settings import PostgresSettings, RedisSettings, Settings

Origin = Literal["gate", "external"]


def postgres_origin(settings: Settings) -> Origin | None:
    """Whose Postgres the service uses: the gate's, the user's own, or none."""
    return _origin(settings, settings.postgres, "postgres")


def redis_origin(settings: Settings) -> Origin | None:
    """Whose Redis the service uses: the gate's, the user's own, or none."""
    return _origin(settings, settings.redis, "redis")


def configured(
    settings: Settings, allow_destructive: bool = False, folder: Path = Path()
) -> frozenset[Capability]:
    """The capabilities that this configuration has when all of it starts; `folder` is prodready.toml's."""
    has = {
        Capability.SERVICE: True,
        Capability.PROCESS: settings.service.url is None,
        Capability.REQUESTS: bool(settings.traffic),
        Capability.ERROR_REQUESTS: bool(settings.errors),
        Capability.CACHEABLE: any(request.cacheable for request in settings.traffic),
        Capability.COUNTER: settings.failover.counter is not None,
        Capability.WRITES: settings.writes is not None,
        Capability.POOL: settings.pool.size is not None,
        Capability.ENGINE: settings.service.engine is not None,
        Capability.LIVENESS: settings.health.liveness is not None,
        Capability.READINESS: settings.health.readiness is not None,
        Capability.DEEP: settings.health.deep is not None,
        Capability.STANDBY: postgres_origin(settings) == "gate" and settings.failover.standby is not None,
        Capability.PLAN_DATA: postgres_origin(settings) == "gate" and settings.explain.has_data,
        Capability.RESTORING: _restoring(settings, allow_destructive),
        Capability.RTO: settings.backup.rto_s is not None and settings.backup.database_gb is not None,
        Capability.LOAD: settings.load.expected_rps is not None,
        Capability.VALIDATORS: settings.writes is not None
        or any(each.contains for each in settings.requests),
        Capability.REPLICA: postgres_origin(settings) == "gate" and replica_named(settings),
        **_of_migration(settings, folder),
        **_of_postgres(settings),
        **_of_redis(settings),
        **_of_all_servers(settings, allow_destructive),
    }
    return frozenset(capability for capability, there in has.items() if there)


def _origin(settings: Settings, table: PostgresSettings | RedisSettings | None, name: str) -> Origin | None:
    if table is not None and table.url is not None:
        return "external"
    if settings.service.url is not None:
        return None  # a server of ours would be one that the service doesn't know
    return "gate" if table is not None or name in servers_named(settings) else None


def _of_migration(settings: Settings, folder: Path) -> dict[Capability, bool]:
    migration = settings.migration
    there = postgres_origin(settings) == "gate" and migration.given
    pairs = migration.files is not None and leads_back(folder / settings.service.cwd / migration.files)
    return {
        Capability.MIGRATION: there,
        Capability.MIGRATION_COMMAND: there and migration.runs_itself,
        Capability.MIGRATION_HISTORY: there and migration.has_history,
        Capability.MIGRATION_DOWNGRADE: there and (migration.can_go_back or pairs),
        Capability.PREVIOUS_CODE: there and migration.previous is not None,
        Capability.MIGRATION_CHECK: there and migration.can_check,
    }


def _restoring(settings: Settings, allow_destructive: bool) -> bool:
    """Whether restoring is harmless: it only ever fills servers of ours, but commands are the user's own."""
    if not settings.backup.by_commands:
        return True
    ours = postgres_origin(settings) == "gate" or allow_destructive
    return ours and settings.service.url is None and not settings.service.in_container


def _of_postgres(settings: Settings) -> dict[Capability, bool]:
    origin, table = postgres_origin(settings), settings.postgres or PostgresSettings()
    external = origin == "external"
    return {
        Capability.DATABASE: origin is not None,
        Capability.ADMIN: origin == "gate" or (external and table.admin_url is not None),
        Capability.SERVER_HBA: external or (origin == "gate" and table.hba is not None),
        Capability.SERVER_SETTINGS: external or (origin == "gate" and table.settings is not None),
        Capability.PHYSICAL: origin == "gate" and table.settings is not None,
        Capability.POINT_IN_TIME: origin == "gate" and settings.backup.point_in_time,
        Capability.SERVER_CERTIFICATE: external or (origin == "gate" and table.certificate is not None),
    }


def _of_redis(settings: Settings) -> dict[Capability, bool]:
    origin, table = redis_origin(settings), settings.redis or RedisSettings()
    by_url = table.url is not None and table.url.get_secret_value().startswith("rediss:")
    return {
        Capability.REDIS: origin is not None,
        Capability.REDIS_OPTIONAL: origin is not None and table.optional,
        Capability.REDIS_DISPENSABLE: origin is not None
        and (table.optional or any(request.cacheable for request in settings.traffic)),
        Capability.REDIS_TLS: origin is not None and (table.tls or by_url),
    }


def _of_all_servers(settings: Settings, allow_destructive: bool) -> dict[Capability, bool]:
    origins = {postgres_origin(settings), redis_origin(settings)}
    all_ours = settings.service.url is None and "external" not in origins
    return {
        Capability.FAULT_PROXY: "gate" in origins and "external" not in origins,
        Capability.DESTRUCTIVE: all_ours or allow_destructive,
    }
