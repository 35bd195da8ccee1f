"""The first bytes of a PostgreSQL connection, spoken by hand: with TLS, and without."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.service import Endpoint
from pytest_prodready.probes.impostor_postgres import SSL_REQUEST

TIMEOUT_S = 5.0
VERSION_3 = 3 << 16
LONGEST = 64 * 1024
AUTHENTICATED = 0


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What a server says first to a start-up message: an authentication request, an error, or nothing."""

    kind: str  # "R", "E", or empty when it hung up
    authentication: int | None = None
    sqlstate: str = ""
    message: str = ""


def plain_startup(endpoint: Endpoint, role: str, database: str) -> FirstAnswer:
    """Ask to be let in as this role without TLS, and hang up after the first answer."""
    with _connected(endpoint) as connection:
        return startup(connection, role, database)


def startup(connection: socket.socket, role: str, database: str) -> FirstAnswer:
    """Ask to be let in as this role, and read the first answer."""
    words = b"".join(part.encode() + b"\0" for part in ("user", role, "database", database))
    try:
        connection.sendall(struct.pack("!ii", len(words) + 9, VERSION_3) + words + b"\0")
        return _first_answer(connection)
    except (EOFError, ConnectionError):
        return FirstAnswer("", message="the server hung up")


@contextmanager
def tls(
    endpoint: Endpoint, context: ssl.SSLContext, name: str | None = None
) -> Iterator[ssl.SSLSocket | None]:
    """A connection after a handshake with these settings; None when the server declines TLS.

    Raises SSLError, or another OSError, where the handshake fails.
    """
    with _connected(endpoint) as connection:
        connection.sendall(struct.pack("!ii", 8, SSL_REQUEST))
        if _exactly(connection, 1) != b"S":
            yield None
            return
        with context.wrap_socket(connection, server_hostname=name or endpoint.host) as encrypted:
            yield encrypted


def _connected(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((endpoint.host, endpoint.port), timeout=TIMEOUT_S)


def _first_answer(connection: socket.socket) -> FirstAnswer:
    while True:
        kind, length = struct.unpack("!ci", _exactly(connection, 5))
        body = _exactly(connection, min(max(length - 4, 0), LONGEST))
        if kind == b"R":
            return FirstAnswer("R", authentication=struct.unpack("!i", body[:4])[0])
        if kind == b"E":
            fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
            return FirstAnswer("E", sqlstate=fields.get(b"C", ""), message=fields.get(b"M", ""))
        if kind not in (b"N", b"v"):  # a notice, or another protocol version, may come before
            raise EOFError


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data
