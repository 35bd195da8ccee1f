"""Both ends of a proxied connection, and the control side, for tests to play."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

DEADLINE_S = 10.0
LATE_S = 1.5  # how late a busy machine may be
NOWHERE = "127.0.0.1:9"  # an upstream that nobody will ask for
QUIET_S = 0.15  # how long nothing must arrive to count as silence


def eventually(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> bool:
    """Whether a condition came true before the deadline."""
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            return False
        select.select([], [], [], 0.005)
    return True


class Peer:
    """One end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(DEADLINE_S)

    def send(self, data: bytes) -> None:
        """Send everything."""
        self.sock.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes, or what came before the end."""
        received = bytearray()
        while len(received) < size:
            data = self.sock.recv(min(size - len(received), 1 << 20))
            if not data:
                break
            received += data
        return bytes(received)

    def rest(self) -> bytes:
        """Everything until the end."""
        return self.receive(1 << 40)

    def ended(self) -> bool:
        """Whether the other end closed in good order (FIN), with nothing left to read."""
        return self.sock.recv(1) == b""

    def was_reset(self) -> bool:
        """Whether the other end closed with RST."""
        try:
            self.sock.recv(1)
        except ConnectionResetError:
            return True
        return False

    def is_silent(self, for_s: float = QUIET_S) -> bool:
        """Whether neither data nor an end arrives for a while."""
        return not select.select([self.sock], [], [], for_s)[0]

    def close(self) -> None:
        """Close with FIN."""
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


def segments_in(peer: Peer) -> int:
    """How many segments with data this end's system has received (tcpi_data_segs_in; Linux)."""
    told = peer.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 156)
    return int(struct.unpack_from("I", told, 152)[0])


class Upstream:
    """A server whose connections the test answers itself."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(DEADLINE_S)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted: list[Peer] = []

    def accept(self) -> Peer:
        """The next connection."""
        peer = Peer(self.listener.accept()[0])
        self.accepted.append(peer)
        return peer

    def close(self) -> None:
        """Close the listener and all connections."""
        self.listener.close()
        for peer in self.accepted:
            peer.close()


@dataclass(frozen=True)
class Reply:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded; without what only the Go server tells."""
        return _without_logger(json.loads(self.body))


def _without_logger(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_logger(inner) for key, inner in value.items() if key != "Logger"}
    return [_without_logger(inner) for inner in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Control:
    """A server's API, and the means to make connections through it."""

    host: str
    port: int
    pid: int
    builtin: bool

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send a request; a body that is text goes as it is, else as JSON."""
        sent = body if isinstance(body, str | bytes | None) else json.dumps(body)
        sent = sent.encode() if isinstance(sent, str) else sent
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request(method, path, sent, headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())

    def create(self, upstream: str, name: str = "p", **fields: object) -> dict[str, Any]:
        """A proxy on loopback."""
        wish = {"name": name, "upstream": upstream, "listen": "127.0.0.1:0", **fields}
        reply = self.ask("POST", "/proxies", wish)
        assert reply.status == 201, reply.body
        created: dict[str, Any] = reply.json
        return created

    def change(self, path: str, **fields: object) -> dict[str, Any]:
        """PATCH, which must succeed."""
        reply = self.ask("PATCH", path, fields)
        assert reply.status == 200, reply.body
        changed: dict[str, Any] = reply.json
        return changed

    def add(self, kind: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> str:
        """Add a toxic to the proxy `p`; its path."""
        wish = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        reply = self.ask("POST", "/proxies/p/toxics", wish)
        assert reply.status == 200, reply.body
        return f"/proxies/p/toxics/{reply.json['name']}"

    def delete(self, path: str) -> None:
        """DELETE, which must succeed."""
        assert self.ask("DELETE", path).status == 204

    def delete_everything(self) -> None:
        """Leave no proxy behind."""
        for name in self.ask("GET", "/proxies").json:
            if "/" not in name:
                self.delete(f"/proxies/{name}")


def address_of(listen: str) -> tuple[str, int]:
    """Host and port that a client connects to."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    return "127.0.0.1" if host in ("", "::") else host, int(port)


@contextlib.contextmanager
def connected(listen: str) -> Iterator[Peer]:
    """A client's connection."""
    peer = Peer(socket.create_connection(address_of(listen), timeout=DEADLINE_S))
    try:
        yield peer
    finally:
        peer.close()


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def is_refused(listen: str) -> bool:
    """Whether clients are refused; one that is reset still came as far as the queue of one that closes."""
    try:
        with connected(listen):
            return False
    except ConnectionResetError:
        return False
    except ConnectionRefusedError:
        return True


def is_reset(listen: str) -> bool:
    """Whether clients are accepted and then reset, be it in the middle of connecting."""
    try:
        with connected(listen) as client:
            return client.was_reset()
    except ConnectionResetError:
        return True


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def took(self, at_least_s: float, at_most_s: float | None = None) -> bool:
        """Whether so long has gone by, and not much more."""
        seconds = time.monotonic() - self.started
        most = at_least_s + LATE_S if at_most_s is None else at_most_s
        assert at_least_s - 0.005 <= seconds <= most, seconds
        return True


def refusal(message: str, status: int) -> bytes:
    """The body of an error."""
    return f'{{"error":"{message}","status":{status}}}\n'.encode()
