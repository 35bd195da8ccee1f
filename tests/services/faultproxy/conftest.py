"""The servers under test: the built-in one always, Toxiproxy's own where there is a binary."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_prodready.faults import FaultProxy, Proxied
from tests.images.golang import toxiproxy_server

from .peers import Control, Peer, Upstream, address_of, eventually

NONE = "no Toxiproxy: neither PRODREADY_TOXIPROXY, nor toxiproxy-server on PATH, nor Go to build it with"


def _binary() -> str | None:
    given = os.environ.get("PRODREADY_TOXIPROXY") or shutil.which("toxiproxy-server")
    built = None if given else toxiproxy_server()
    return given or (str(built) if built else None)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextlib.contextmanager
def builtin_server(*prefix: str) -> Iterator[Control]:
    """The built-in server, on a port of its own choice; started by way of another command if one is given."""
    command = [sys.executable, "-m", "pytest_prodready.faultproxy", "--port", "0", "--die-with-stdin"]
    process = subprocess.Popen([*prefix, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with _ended(process):
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Control(told["host"], told["port"], process.pid, builtin=True)


@contextlib.contextmanager
def _real_server(binary: str) -> Iterator[Control]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [binary, "-host", "127.0.0.1", "-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    control = Control("127.0.0.1", port, process.pid, builtin=False)

    def answers() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return control.ask("GET", "/version").status == 200
        return False

    with _ended(process):
        assert eventually(answers)
        yield control


@pytest.fixture(scope="session")
def _ours() -> Iterator[Control]:
    with builtin_server() as control:
        yield control


@pytest.fixture(scope="session")
def _binary_of_theirs() -> str:
    binary = _binary()
    if binary is None:
        pytest.skip(NONE)
    return binary


@pytest.fixture(scope="session")
def _theirs(_binary_of_theirs: str) -> Iterator[Control]:
    with _real_server(_binary_of_theirs) as control:
        yield control


@pytest.fixture(params=["builtin", "toxiproxy"])
def control(request: pytest.FixtureRequest) -> Iterator[Control]:
    """One of the servers, without proxies."""
    server: Control = request.getfixturevalue("_ours" if request.param == "builtin" else "_theirs")
    yield server
    server.delete_everything()


@pytest.fixture
def ours(_ours: Control) -> Iterator[Control]:
    """The built-in server, without proxies."""
    yield _ours
    _ours.delete_everything()


@pytest.fixture
def toxiproxy(_binary_of_theirs: str) -> Iterator[Control]:
    """A Toxiproxy for one test alone, which may kill it."""
    with _real_server(_binary_of_theirs) as control:
        yield control


@pytest.fixture
def builtin() -> Iterator[Control]:
    """A built-in server for one test alone."""
    with builtin_server() as control:
        yield control


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server to connect to."""
    server = Upstream()
    yield server
    server.close()


@dataclass
class Line:
    """The proxy `p` between clients and an upstream."""

    control: Control
    upstream: Upstream
    proxy: dict[str, Any]
    clients: list[Peer]

    @property
    def listen(self) -> str:
        """Where clients connect."""
        return str(self.proxy["listen"])

    def connect(self) -> tuple[Peer, Peer]:
        """A new connection: the client's end and the server's end."""
        client = Peer(socket.create_connection(address_of(self.listen), timeout=10))
        self.clients.append(client)
        return client, self.upstream.accept()


@contextlib.contextmanager
def _line(control: Control, upstream: Upstream) -> Iterator[Line]:
    opened = Line(control, upstream, control.create(upstream.address), [])
    yield opened
    for client in opened.clients:
        client.close()


@pytest.fixture
def line(control: Control, upstream: Upstream) -> Iterator[Line]:
    """A proxy in front of an upstream."""
    with _line(control, upstream) as opened:
        yield opened


@pytest.fixture
def our_line(ours: Control, upstream: Upstream) -> Iterator[Line]:
    """A proxy of the built-in server in front of an upstream."""
    with _line(ours, upstream) as opened:
        yield opened


@pytest.fixture
def faults(control: Control) -> Iterator[FaultProxy]:
    """The control side of a server."""
    with FaultProxy(control.host, control.port) as server:
        yield server


@pytest.fixture
def proxied(faults: FaultProxy, upstream: Upstream) -> Proxied:
    """An upstream behind a proxy of either server."""
    return faults.create("db", upstream.address)


@pytest.fixture
def ours_proxied(ours: Control, upstream: Upstream) -> Iterator[Proxied]:
    """An upstream behind a proxy of the built-in server."""
    with FaultProxy(ours.host, ours.port) as server:
        yield server.create("db", upstream.address)
