"""Whether a server answers through its proxy, from here: nothing is handed out before that is known."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from pytest_prodready.environment.roles import PostgresRole, RedisRole, Server
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import Proxied

WITHIN_S = 10.0
ATTEMPT_S = 2.0
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, message SSLRequest


def check_postgres(server: PostgresRole, proxied: Proxied) -> None:
    """Raise ServerError unless PostgreSQL says through the proxy whether it speaks TLS."""
    _check(server, proxied, lambda address: _answer(address, SSL_REQUEST) in (b"S", b"N"))


def check_redis(server: RedisRole, proxied: Proxied) -> None:
    """Raise ServerError unless Redis answers through the proxy."""
    _check(
        server, proxied, _shakes_hands if server.tls else lambda address: _answer(address, b"PING\r\n") != b""
    )


def _check(server: Server, proxied: Proxied, answers: Callable[[tuple[str, int]], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not answers((proxied.host, proxied.port)):
        if time.monotonic() > deadline:
            raise ServerError(
                f"{server} runs, but gives no answer through the fault proxy.",
                value=f"{proxied.host}:{proxied.port} in front of {proxied.upstream}",
                tried=[f"connected to the proxy for {WITHIN_S:g} s"],
                remedy="see that this machine may connect to the proxy, and the proxy to the server",
            )
        time.sleep(0.02)


def _answer(address: tuple[str, int], question: bytes) -> bytes:
    """The first byte of the answer; empty without one."""
    with suppress(OSError), socket.create_connection(address, ATTEMPT_S) as connection:
        connection.sendall(question)
        return connection.recv(1)
    return b""


def _shakes_hands(address: tuple[str, int]) -> bool:
    """Whether a TLS handshake comes to its end; whom the certificate names is for clients to check."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError), socket.create_connection(address, ATTEMPT_S) as connection:
        context.wrap_socket(connection).close()
        return True
    return False
