"""Connections through a proxy that `pytest_prodready.faults` drives."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from pytest_prodready.faults import Proxied

from .peers import Peer, Upstream


@contextlib.contextmanager
def joined(proxied: Proxied, upstream: Upstream) -> Iterator[tuple[Peer, Peer]]:
    """A new connection: the client's end and the server's end."""
    client = Peer(socket.create_connection((proxied.host, proxied.port), timeout=10))
    try:
        yield client, upstream.accept()
    finally:
        client.close()


def passes(sender: Peer, receiver: Peer) -> bool:
    """Whether data gets through soon."""
    sender.send(b"x")
    return not receiver.is_silent(2) and receiver.receive(1) == b"x"
