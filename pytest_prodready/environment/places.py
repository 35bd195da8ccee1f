"""Where things are kept, and as which user servers run."""

from __future__ import annotations

import functools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_prodready.environment.locks import locked_file
from pytest_prodready.errors import ServerError


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged user that servers run as when we are root."""

    name: str
    uid: int
    gid: int


@functools.cache
def server_user() -> ServerUser | None:
    """The user for servers: none of its own unless we are root, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    raise ServerError(
        "Servers can't run as root, and there is no unprivileged user to run them as.",
        tried=["user postgres", "user nobody"],
        remedy="run as an ordinary user, or create one: useradd --system postgres",
    )


def as_server_user() -> dict[str, Any]:
    """The arguments of subprocess that start a program as the servers' user."""
    user = server_user()
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def give_to_server_user(*paths: Path) -> None:
    """Make these files and folders the servers' own."""
    if user := server_user():
        for path in paths:
            os.chown(path, user.uid, user.gid)


@functools.cache
def cache_folder() -> Path:
    """The folder for what is worth keeping between runs: extracted binaries and templates."""
    for folder in _cache_candidates():
        try:
            _make_folder(folder)
        except OSError:
            continue
        if _usable(folder):
            return folder
    raise ServerError(
        "No folder can be used as the cache.",
        tried=[str(folder) for folder in _cache_candidates()],
        remedy="set PRODREADY_CACHE to a folder that you may write and that lies outside of /root",
    )


def _cache_candidates() -> Iterator[Path]:
    if given := os.environ.get("PRODREADY_CACHE"):
        yield Path(given).expanduser().absolute()
        return
    if os.geteuid() == 0:
        yield Path("/var/cache/pytest-prodready")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        yield Path(base).expanduser().absolute() / "pytest-prodready"
    yield Path(tempfile.gettempdir()).resolve() / f"prodready-cache-{os.geteuid()}"


def _make_folder(folder: Path) -> None:
    """Make a folder that the servers' user may read, whatever the umask says."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)


def _usable(folder: Path) -> bool:
    """Whether the folder is ours alone to write; binaries found there will be run."""
    about = folder.stat()
    ours = about.st_uid == os.geteuid() and not about.st_mode & 0o022
    return ours and os.access(folder, os.W_OK) and reachable(folder)


def reachable(path: Path, *, execute: bool = False) -> bool:
    """Whether the servers' user can get at this path."""
    if server_user() is None:
        return os.access(path, os.X_OK if execute else os.R_OK)
    test = subprocess.run(["test", "-x" if execute else "-r", str(path)], check=False, **as_server_user())
    return test.returncode == 0


@contextmanager
def built_once(folder: Path) -> Iterator[Path | None]:
    """Give a folder to fill when `folder` isn't there yet, else None; it appears whole or not at all."""
    _make_folder(folder.parent)
    with locked_file(folder.parent / f".{folder.name}.lock", within_s=120):
        if folder.is_dir():
            yield None
            return
        for dead in folder.parent.glob(f".{folder.name}.*.draft"):
            shutil.rmtree(dead, ignore_errors=True)
        # A name of its own: a program that a dead owner left behind may still write into the old one.
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.draft")
        _make_folder(draft)
        try:
            yield draft
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
