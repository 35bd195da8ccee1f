"""Free ports on loopback that nobody else takes between choosing and listening."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

LOOPBACK = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_000
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Ports:
    """Ports reserved between all processes of this user, until released or until we die.

    Every port is a byte of one file, locked while it is ours. Only one descriptor of that file may exist in
    a process: closing any of them would free all of the process's locks.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._mine: set[int] = set()
        self._lock = threading.Lock()

    def reserve(self) -> int:
        """A port that nobody listens on and that no client is given by the system."""
        with self._lock:
            for port in _candidates():
                if port not in self._mine and self._lock_byte(port):
                    if is_free(port):
                        self._mine.add(port)
                        return port
                    self._free_byte(port)
        raise ServerError(
            "No free port was found on loopback.",
            tried=[f"{LOOPBACK}:{LOWEST}-{HIGHEST}"],
            remedy="end some of the servers that listen there",
        )

    def release(self, port: int) -> None:
        """Give a port back; harmless when it isn't ours."""
        with self._lock:
            if port in self._mine:
                self._mine.remove(port)
                self._free_byte(port)

    def _lock_byte(self, port: int) -> bool:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._file, flags, 0o600)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        return True

    def _free_byte(self, port: int) -> None:
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, port)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: old connections in TIME_WAIT don't count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_ours(host: str) -> bool:
    """Whether an address is one of this machine's."""
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        return False
    return True


def answers(endpoint: Endpoint, *, within_s: float = 1.0) -> bool:
    """Whether something accepts a TCP connection there."""
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=within_s).close()
    except OSError:
        return False
    return True


def _candidates() -> Iterator[int]:
    """Ports in random order, outside of the range from which clients are given theirs.

    A client that keeps connecting to a closed port inside that range ends connected to itself, and then
    the server can't listen there again.
    """
    low, high = 32_768, 60_999
    with suppress(OSError, ValueError):
        low, high = map(int, RANGE_FILE.read_text().split())
    ports = [port for port in range(LOWEST, HIGHEST) if not low <= port <= high]
    if not ports:
        ports = [port for port in range(10_000, 65_536) if not low <= port <= high]
    random.shuffle(ports)
    return iter(ports)
