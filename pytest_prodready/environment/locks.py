"""Locks between processes, on files."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_prodready.errors import ServerError


def try_lock(path: Path) -> int | None:
    """Lock the file for as long as the returned descriptor is open; None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def locked_file(path: Path, *, within_s: float) -> Iterator[None]:
    """Hold the lock on this file; the system frees it if we die."""
    deadline = time.monotonic() + within_s
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise ServerError(
                f"Another process has held a lock for more than {within_s:g} s.",
                value=path,
                remedy="wait for it, or end the process that holds the file open (fuser shows it)",
            )
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)
