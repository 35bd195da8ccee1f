"""Superuser's connections, kept for reuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[], Connection]
KEPT = 2


class AdminConnections:
    """Lends connections to one database; keeps a few open and replaces those that broke."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, *, within_s: float) -> Iterator[Connection]:
        """A connection whose statements end after this time."""
        connection = self._working(int(within_s * 1000))
        try:
            yield connection
        finally:
            self._take_back(connection)

    def close(self) -> list[int]:
        """Close those that nobody uses; returns the server's processes of these."""
        with self._lock:
            idle, self._idle = self._idle, []
        pids = [connection.info.backend_pid for connection in idle if not connection.closed]
        for connection in idle:
            _close(connection)
        return pids

    def _working(self, limit_ms: int) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect()
            elif connection.closed:
                continue
            try:
                connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(limit_ms)))
            except psycopg.OperationalError:
                _close(connection)  # the server was restarted meanwhile; the next one is tried
                with self._lock:
                    if self._idle:
                        continue
                connection = self._connect()
            return connection

    def _take_back(self, connection: Connection) -> None:
        status = connection.info.transaction_status
        clean = not connection.closed and status == psycopg.pq.TransactionStatus.IDLE
        with self._lock:
            if clean and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        _close(connection)


def _close(connection: Connection) -> None:
    with suppress(psycopg.Error):
        connection.close()
