"""Placeholders such as {postgres.url} in prodready.toml: finding, checking and filling them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_prodready.errors import ConfigError
from pytest_prodready.settings import Settings

REPLICA = tuple(f"postgres.replica_{part}" for part in ("url", "host", "port"))
POSTGRES = (
    *(f"postgres.{part}" for part in ("url", "host", "port", "user", "password", "database", "ca_file")),
    *REPLICA,
)
REDIS = tuple(f"redis.{part}" for part in ("url", "host", "port", "password", "ca_file"))
FOR_SERVICE = ("port", "python", *POSTGRES, *REDIS)
SUPERUSER = ("postgres.admin_url", "postgres.server_url")
FOR_BACKUP = ("backup", "python", *POSTGRES, *SUPERUSER, *REDIS)
FOR_MIGRATIONS = ("revision",)
FOR_REQUESTS = ("token",)

# Only what looks like a name counts, so that JSON in a value stays as it is; {{name}} stands for {name}.
PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][\w.]*)\}\}|\{([A-Za-z_][\w.]*)\}")


def names_in(text: str) -> tuple[str, ...]:
    """The names of the placeholders in a text."""
    return tuple(name for _, name in PLACEHOLDER.findall(text) if name)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder replaced; one without a value is an error."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "{" + found[1] + "}"
        if found[2] not in values:
            raise unknown(found[2], values, text)
        return values[found[2]]

    return PLACEHOLDER.sub(value, text)


def check(settings: Settings) -> None:
    """Raise ConfigError for the first placeholder that nothing would fill."""
    for allowed, texts in (
        (FOR_SERVICE, _service_texts(settings)),
        ((*FOR_SERVICE, *FOR_MIGRATIONS), _migration_texts(settings)),
        (FOR_SERVICE, _previous_texts(settings)),
        (FOR_BACKUP, _backup_texts(settings)),
        (FOR_REQUESTS, _request_texts(settings)),
    ):
        for source, text in texts:
            for name in names_in(text):
                if name not in allowed:
                    raise unknown(name, allowed, text, source)


def servers_named(settings: Settings) -> frozenset[str]:
    """Which servers the service's placeholders name: postgres, redis."""
    return frozenset(name.partition(".")[0] for name in _named(settings) if "." in name)


def replica_named(settings: Settings) -> bool:
    """Whether the service is told where a replica of its database is."""
    return any(name in REPLICA for name in _named(settings))


def unknown(name: str, allowed: Iterable[str], text: str, source: str | None = None) -> ConfigError:
    """The error for a placeholder that doesn't exist."""
    known = list(allowed)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    advice = f"did you mean {{{near[0]}}}?" if near else f"known here: {', '.join(f'{{{k}}}' for k in known)}"
    return ConfigError(
        f"Unknown placeholder {{{name}}}.",
        value=text,
        source=source,
        remedy=f"{advice} For the literal text {{{name}}} write {{{{{name}}}}}",
    )


def _named(settings: Settings) -> Iterator[str]:
    return (name for _, text in _service_texts(settings) for name in names_in(text))


def _service_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    service = settings.service
    if service.command is not None:
        yield "service.command", service.command
    for name, value in service.env.items():
        yield f"service.env.{name}", value
    for number, command in enumerate(service.setup):
        yield f"service.setup[{number}]", command


def _previous_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.migration.previous is not None:
        yield "migration.previous", settings.migration.previous


def _migration_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    for key, command in settings.migration.commands.items():
        yield f"migration.{key}", command


def _backup_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("backup", "restore"):
        command = getattr(settings.backup, name)
        if command is not None:
            yield f"backup.{name}", command


def _request_texts(settings: Settings) -> Iterator[tuple[str, str]]:
    for number, request in enumerate(settings.requests):
        yield from _strings(f"requests[{number}]", request.model_dump())
    if settings.writes is not None:
        yield from _strings("writes", settings.writes.model_dump())


def _strings(source: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield source, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(f"{source}.{str(name).rstrip('_')}", inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _strings(f"{source}[{number}]", inner)
