"""Which process holds which socket, on real ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pytest_prodready.environment.sockets import sockets_to

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells it on Linux only")

Link = tuple[socket.socket, tuple[str, int]]


@pytest.fixture(params=["127.0.0.1", "::1"])
def link(request: pytest.FixtureRequest) -> Iterator[Link]:
    """A connection to a listener, and the listener's address."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind((request.param, 0))
        listener.listen()
        client.connect(listener.getsockname())
        yield client, (request.param, listener.getsockname()[1])


def test_own_socket(link: Link) -> None:
    """A connection to the address is found by its inode, others are not."""
    client, address = link
    assert sockets_to(os.getpid(), frozenset({address})) == {os.fstat(client.fileno()).st_ino}
    assert not sockets_to(os.getpid(), frozenset({(address[0], 1)}))


def test_inherited_socket(link: Link) -> None:
    """A process that inherited the connection holds the same inode."""
    client, address = link
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[client.fileno()]) as child:
        held = sockets_to(child.pid, frozenset({address}))
        child.communicate()
    assert held == sockets_to(os.getpid(), frozenset({address}))


def test_process_that_is_gone() -> None:
    """A process that has ended holds nothing."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not sockets_to(child.pid, frozenset({("127.0.0.1", 1)}))
