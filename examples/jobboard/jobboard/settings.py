"""What the environment may set, with the defaults of production."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self


class SettingsError(Exception):
    """A setting is missing or unusable; the message names it and never repeats a secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of the service; each but the URLs is read from JOBBOARD_ and its name in capitals."""

    # No URL is ever shown: they carry passwords.
    database_url: str = field(repr=False)
    replica_database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)

    pool_size: int = 10
    pool_timeout_s: float = 1.0
    pool_recycle_s: float = 300.0
    max_waiting: int = 500
    statement_timeout_ms: int = 30_000
    lock_timeout_ms: int = 2_000
    idle_in_transaction_timeout_ms: int = 10_000

    replica_stale_after_s: float = 2.0

    request_deadline_s: float = 5.0
    max_body_bytes: int = 65_536
    drain_s: float = 1.0
    shutdown_s: float = 20.0

    cache_ttl_s: float = 30.0
    redis_timeout_s: float = 0.25
    redis_max_connections: int = 20

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from the environment, and refuse what can't be used."""
        database_url = environ.get("DATABASE_URL")
        if not database_url:
            raise SettingsError("DATABASE_URL is not set; it must be a postgresql:// URL")
        tunables = {
            each.name: _number(environ, f"JOBBOARD_{each.name.upper()}", each.default)
            for each in fields(cls)
            if isinstance(each.default, int | float)
        }
        optional = {name: environ.get(name.upper()) or None for name in ("replica_database_url", "redis_url")}
        return cls(database_url=database_url, **optional, **tunables)  # type: ignore[arg-type]


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        raise SettingsError(f"{name} must be of type {type(default).__name__}, not {text!r}") from None
    least = 1 if isinstance(default, int) else 0
    if not least <= value < float("inf"):
        raise SettingsError(f"{name} must be at least {least} and finite, not {text!r}")
    return value
