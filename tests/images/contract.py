"""What the gate relies upon in each official image; the images made here are held to the same table.

Official images document these: `docker image inspect` shows the first half, a command inside the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contract:
    """One official image, as far as the gate may use it."""

    # The name of it in Images, and the image that users have.
    name: str
    official: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    port: int | None = None
    volume: str | None = None
    folder: str = ""
    # None is the engine's own default, SIGTERM.
    stop_signal: str | None = None
    # What the image sets; a test of behaviour covers what it reads.
    variables: dict[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    # What can be run by name inside, and who the server runs as.
    commands: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    user: tuple[str, int] | None = None


CONTRACTS = (
    Contract(
        "postgres",
        "postgres:17",
        entrypoint=("docker-entrypoint.sh",),
        command=("postgres",),
        port=5432,
        volume="/var/lib/postgresql/data",
        stop_signal="SIGINT",
        variables={"PGDATA": "/var/lib/postgresql/data", "LANG": "en_US.utf8"},
        reads=(
            "POSTGRES_PASSWORD",
            "POSTGRES_USER",
            "POSTGRES_DB",
            "POSTGRES_INITDB_ARGS",
            "POSTGRES_HOST_AUTH_METHOD",
            "PGDATA",
        ),
        commands=(
            "docker-entrypoint.sh",
            "postgres",
            "initdb",
            "psql",
            "pg_isready",
            "pg_basebackup",
            "pg_ctl",
            "pg_dump",
            "pg_restore",
        ),
        folders=("/docker-entrypoint-initdb.d", "/var/run/postgresql"),
        user=("postgres", 999),
    ),
    Contract(
        "redis",
        "redis:7.4",
        entrypoint=("docker-entrypoint.sh",),
        command=("redis-server",),
        port=6379,
        volume="/data",
        folder="/data",
        commands=("docker-entrypoint.sh", "redis-server", "redis-cli"),
        folders=("/data",),
        user=("redis", 999),
    ),
    Contract(
        "toxiproxy",
        "ghcr.io/shopify/toxiproxy:2.12.0",
        entrypoint=("/toxiproxy",),
        command=("-host=0.0.0.0",),
        port=8474,
        variables={"LOG_LEVEL": "info"},
        reads=("LOG_LEVEL",),
    ),
    Contract(
        "ryuk",
        "testcontainers/ryuk:0.8.1",
        entrypoint=("/bin/ryuk",),
        reads=("RYUK_PORT", "RYUK_CONNECTION_TIMEOUT", "RYUK_RECONNECTION_TIMEOUT"),
    ),
    Contract("python", "python:3.13-slim", entrypoint=(), command=("python3",), commands=("python", "pip")),
)
