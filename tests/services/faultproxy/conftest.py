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

from .peers import Control, Peer, Upstream, address_of, eventually


def _binary() -> str | None:
    return os.environ.get("PRODREADY_TOXIPROXY") or shutil.which("toxiproxy-server")


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextlib.contextmanager
def builtin_server() -> Iterator[Control]:
    """The built-in server, on a port of its own choice."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_prodready.faultproxy", "--port", "0", "--die-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
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


@pytest.fixture(scope="session", params=["builtin", "toxiproxy"])
def _server(request: pytest.FixtureRequest) -> Iterator[Control]:
    if request.param == "builtin":
        with builtin_server() as control:
            yield control
        return
    binary = _binary()
    if binary is None:
        pytest.skip("no Toxiproxy: neither PRODREADY_TOXIPROXY nor toxiproxy-server on PATH")
    with _real_server(binary) as control:
        yield control


@pytest.fixture
def control(_server: Control) -> Iterator[Control]:
    """One of the servers, without proxies."""
    yield _server
    _server.delete_everything()


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


@pytest.fixture
def line(control: Control, upstream: Upstream) -> Iterator[Line]:
    """A proxy in front of an upstream."""
    opened = Line(control, upstream, control.create(upstream.address), [])
    yield opened
    for client in opened.clients:
        client.close()
