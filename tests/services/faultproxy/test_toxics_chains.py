"""What holds for all toxics: chance, order, directions, changes under load."""

from __future__ import annotations

import hashlib
import random
import threading

from .conftest import Line
from .peers import Clock


def test_noop_does_nothing(line: Line) -> None:
    """A noop lets everything pass."""
    client, server = line.connect()
    line.control.add("noop")
    server.send(b"x")
    assert client.receive(1) == b"x"


def test_toxicity_0_spares_all(line: Line) -> None:
    """A toxic that never strikes changes nothing, until its toxicity does."""
    path = line.control.add("bandwidth", toxicity=0.0, rate=0)
    client, server = line.connect()
    server.send(b"spared")
    assert client.receive(6) == b"spared"
    line.control.change(path, toxicity=1.0)
    server.send(b"struck")
    assert client.is_silent()
    line.control.change(path, toxicity=0.0)
    assert client.receive(6) == b"struck"


def test_toxicity_is_rolled_for_each_connection(line: Line) -> None:
    """With an even chance some connections are struck and some aren't, each for good."""
    line.control.add("limit_data", toxicity=0.5, bytes=0)
    struck = 0
    for _ in range(60):
        client, server = line.connect()
        server.send(b"a")
        struck += client.receive(1) == b""
    assert 5 <= struck <= 55


def test_deleted_timeout_closes_the_spared_too(line: Line) -> None:
    """Closing on deletion doesn't ask what chance decided."""
    client, server = line.connect()
    path = line.control.add("timeout", toxicity=0.0)
    server.send(b"spared")
    assert client.receive(6) == b"spared"
    line.control.delete(path)
    assert client.ended()


def test_toxics_apply_in_order(line: Line) -> None:
    """A limit before a stall still closes, but its end waits behind the stalled data."""
    client, server = line.connect()
    line.control.add("limit_data", bytes=4)
    path = line.control.add("bandwidth", rate=0)
    server.send(b"0123456789")
    assert client.is_silent()
    line.control.delete(path)
    assert client.rest() == b"0123"


def test_toxics_of_both_directions_are_independent(line: Line) -> None:
    """Each direction has its own chain."""
    client, server = line.connect()
    up = line.control.add("bandwidth", "upstream", rate=0)
    down = line.control.add("bandwidth", "downstream", rate=0)
    client.send(b"up")
    server.send(b"down")
    assert client.is_silent()
    line.control.delete(up)
    assert server.receive(2) == b"up"
    assert client.is_silent()
    line.control.delete(down)
    assert client.receive(4) == b"down"


def test_disabling_ignores_toxics(line: Line) -> None:
    """Nothing delays the closing by hand: not a slow close, not stalled data."""
    client, server = line.connect()
    line.control.add("slow_close", delay=60_000)
    line.control.add("bandwidth", rate=0)
    server.send(b"stalled")
    assert client.is_silent()
    clock = Clock()
    line.control.change("/proxies/p", enabled=False)
    assert client.ended()
    assert clock.took(0)


def test_changes_under_load_lose_nothing(line: Line) -> None:
    """Toxics that only delay come, change and go while data flows, and every byte arrives in order."""
    client, server = line.connect()
    enough, sent, received = threading.Event(), hashlib.sha256(), bytearray()

    def send() -> None:
        source = random.Random(1)
        while not enough.is_set():
            block = source.randbytes(10_000)
            sent.update(block)
            server.send(block)
        server.close()

    threads = [threading.Thread(target=send), threading.Thread(target=lambda: received.extend(client.rest()))]
    for thread in threads:
        thread.start()
    for turn in range(12):
        paths = [
            line.control.add("latency", latency=5, jitter=5),
            line.control.add("slicer", average_size=20_000, size_variation=5000, delay=100),
            line.control.add("bandwidth", toxicity=0.5, rate=5000),
        ]
        line.control.change(paths[turn % 3], toxicity=0.7)
        for path in paths[:: 1 if turn % 2 else -1]:
            line.control.delete(path)
    enough.set()
    for thread in threads:
        thread.join()
    assert hashlib.sha256(received).digest() == sent.digest()
    assert len(received) > 10_000
