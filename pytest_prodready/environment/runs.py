"""The folder of one run, everything that was started in it, and the sweep of those whose owner has died."""

from __future__ import annotations

import functools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pytest_prodready.environment.leftovers import LABEL, end, identity, is_alive, remember
from pytest_prodready.environment.locks import locked_file, try_lock
from pytest_prodready.environment.places import as_server_user, reachable, server_user
from pytest_prodready.environment.ports import Ports
from pytest_prodready.environment.spreading import spread
from pytest_prodready.errors import ServerError

OWNER = "owner.json"
ENGINE_RECORD = "engine.json"  # in the run's folder while it may have containers: which engine has them
LONGEST_PARENT = 40  # the path of a Unix socket may have about 100 bytes, ours adds less than 55
REAPED_WITHIN_S = 10.0
_ports: dict[Path, Ports] = {}


@dataclass(frozen=True, slots=True)
class Swept:
    """An abandoned run that was cleaned up."""

    run: str
    processes: int
    containers: int = 0

    @property
    def what(self) -> str:
        """What there was, in words."""
        removed = f", {self.containers} containers removed" if self.containers else ""
        return f"{self.processes} processes ended{removed}"


class Run:
    """A folder for everything that one environment starts, and the only way to start it."""

    def __init__(self, folder: Path, owner_lock: int, ports: Ports) -> None:
        self.id = folder.name
        self.folder = folder
        self.ports = ports
        self._owner_lock = owner_lock
        self._closing = threading.Lock()
        self._closed = False
        self._spawned: list[subprocess.Popen[bytes]] = []

    @classmethod
    def open(cls) -> Run:
        """Make the folder and write down who owns it."""
        base = base_folder()
        with locked_file(base / "sweep.lock", within_s=60):
            folder = base / secrets.token_hex(4)
            # As root the servers run as another user, who has to pass through.
            folder.mkdir(mode=0o711 if server_user() else 0o700)
            lock = try_lock(folder / OWNER)
            if lock is None:
                raise ServerError("A new run's folder is already locked.", value=folder)
            os.write(lock, json.dumps(_ourselves()).encode())
        return cls(folder, lock, _ports.setdefault(base, Ports(base / "ports.lock")))

    def subfolder(self, name: str, *, for_server: bool = False) -> Path:
        """A new private folder inside the run's; the servers' own if wanted."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        user = server_user()
        if for_server and user:
            os.chown(folder, user.uid, user.gid)
        return folder

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path | int,
        as_server: bool = False,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a process that leads its own group, carries the run's label and is remembered.

        What it prints goes to a file, or into a pipe's end.
        """
        options.setdefault("stdin", subprocess.DEVNULL)
        with nullcontext(log) if isinstance(log, int) else _private(log) as output:
            options.setdefault("stdout", output)
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**env, LABEL: self.id},
                cwd=cwd,
                stderr=output,
                start_new_session=True,
                **(as_server_user() if as_server else {}),
                **options,
            )
        remember(self.folder, process.pid)
        self._spawned.append(process)
        return process

    def close(self) -> None:
        """End what is still running and remove the folder; harmless when done before."""
        with self._closing:
            if self._closed:
                return
            end(self.folder)
            for process in self._spawned:
                process.wait(REAPED_WITHIN_S)
                close_pipes(process)
            _remove(self.folder)
            os.close(self._owner_lock)
            self._closed = True

    def abandon(self) -> None:
        """Leave everything running; the next sweep cleans it up."""
        with self._closing:
            if not self._closed:
                os.close(self._owner_lock)
                self._closed = True
                for process in self._spawned:
                    process.returncode = process.poll() or 0  # else Python warns of what it leaves behind


def sweep() -> tuple[Swept, ...]:
    """Clean up after runs of ours whose owner has died; safe while others start, run and sweep."""
    base = base_folder()
    swept = []
    with locked_file(base / "sweep.lock", within_s=60):
        for folder in sorted(path for path in base.iterdir() if path.is_dir()):
            if not _has_owner(folder):
                processes, containers = end(folder), _sweep_engine(folder)
                if containers is None:
                    continue  # the next sweep that can ask its engine tries again
                _remove(folder)
                swept.append(Swept(folder.name, processes, containers))
    return tuple(swept)


def _private(log: Path) -> BinaryIO:
    """A log to append to, for this user's eyes alone."""
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close our ends of a process's standard input and output; it may notice, so not before its end."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # the last it was told came too late
                pipe.close()


def base_folder() -> Path:
    """The folder of all runs of this user: short, because socket paths are limited, and nobody else's."""
    base = _temporary_folder() / f"prodready-{os.geteuid()}"
    with suppress(FileExistsError):
        base.mkdir(mode=0o711 if server_user() else 0o700)
    about = base.lstat()
    if not base.is_dir() or base.is_symlink() or about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise ServerError(
            "The folder for runs isn't ours alone.",
            value=base,
            remedy="remove it, or set TMPDIR to a folder of your own",
        )
    spread(base)
    return base


@functools.cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.gettempdir()).resolve()
    if len(os.fsencode(folder)) <= LONGEST_PARENT and reachable(folder):
        return folder
    return Path("/tmp")  # noqa: S108 (shared, hence the test of the owner)


def _ourselves() -> dict[str, Any]:
    known = identity(os.getpid())
    return {"pid": os.getpid(), "created": known[1] if known else 0.0, "namespace": _namespace()}


def _namespace() -> str:
    """Which processes we see; their numbers mean nothing elsewhere."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _has_owner(folder: Path) -> bool:
    """Whether the run's owner lives: it holds a lock that the system frees when it dies."""
    try:
        lock = try_lock(folder / OWNER)
    except FileNotFoundError:
        return True  # its owner is closing it at this moment, or has done so
    if lock is not None:
        os.close(lock)
        return False
    try:
        owner = json.loads((folder / OWNER).read_text())
        # A child of a dead owner may have inherited the lock.
        return owner["namespace"] != _namespace() or is_alive(owner["pid"], owner["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _sweep_engine(folder: Path) -> int | None:
    """Remove the containers of a dead run; None when their engine can't be asked now."""
    record = folder / ENGINE_RECORD
    if not record.exists():
        return 0
    try:
        from pytest_prodready.environment.containers.leftovers import (  # noqa: PLC0415 (an extra)
            sweep as sweep_engine,
        )
    except ImportError:
        return None  # it was made by another installation, one with the extra

    return sweep_engine(record, folder.name)


def _remove(folder: Path, *, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists() and time.monotonic() > deadline:
            raise ServerError("A run's folder could not be removed.", value=folder)
