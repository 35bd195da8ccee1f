"""Toxics that slow data down: latency, bandwidth, slicer."""

from __future__ import annotations

import sys
import threading

import pytest

from .conftest import Line
from .peers import LATE_S, Clock, segments_in


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_delays_one_direction(line: Line, stream: str) -> None:
    """Data of the chosen direction is late, of the other it isn't; live connections are affected."""
    client, server = line.connect()
    line.control.add("latency", stream, latency=300)
    slow, fast = ((client, server), (server, client))[:: 1 if stream == "upstream" else -1]
    clock = Clock()
    slow[0].send(b"late")
    fast[0].send(b"soon")
    assert fast[1].receive(4) == b"soon"
    assert clock.took(0, 0.25)
    assert slow[1].receive(4) == b"late"
    assert clock.took(0.3)


def test_latency_counts_from_receipt(line: Line) -> None:
    """Chunks that come together leave together: a long pipe, not a slow one."""
    client, server = line.connect()
    line.control.add("latency", latency=200)
    clock = Clock()
    for number in range(20):
        server.send(bytes([number]))
    assert client.receive(20) == bytes(range(20))
    assert clock.took(0.2)


def test_jitter_keeps_the_order(line: Line) -> None:
    """Delays vary within the jitter, and data never overtakes data."""
    client, server = line.connect()
    line.control.add("latency", latency=60, jitter=60)
    sent = b"".join(bytes([number]) * 10 for number in range(100))
    clock = Clock()
    for start in range(0, len(sent), 10):
        server.send(sent[start : start + 10])
    assert client.receive(len(sent)) == sent
    assert clock.took(0, 0.12 + LATE_S)


def test_negative_latency_is_none(line: Line) -> None:
    """A negative delay is no delay."""
    client, server = line.connect()
    line.control.add("latency", latency=-1000)
    server.send(b"now")
    assert client.receive(3) == b"now"


def test_latency_delays_no_end(line: Line) -> None:
    """An idle connection is closed without delay; what is under way arrives before the end."""
    line.control.add("latency", latency=300)
    client, server = line.connect()
    clock = Clock()
    server.close()
    assert client.ended()
    assert clock.took(0, 0.25)
    client, server = line.connect()
    clock = Clock()
    server.send(b"last words")
    server.close()
    assert client.rest() == b"last words"
    assert clock.took(0.3)


def test_latency_delays_no_connect(line: Line) -> None:
    """Connections are made at once, in both directions."""
    for stream in ("upstream", "downstream"):
        line.control.add("latency", stream, latency=60_000)
    clock = Clock()
    line.connect()
    assert clock.took(0)


def test_jitter_stays_within_its_bounds(line: Line) -> None:
    """No delay is shorter than latency less jitter, and they differ."""
    line.control.add("latency", latency=120, jitter=60)
    pairs = [line.connect() for _ in range(12)]
    clock = Clock()
    for _, server in pairs:
        server.send(b"x")
    assert all(client.is_silent(0) for client, _ in pairs)
    arrived = [client for client, _ in pairs if client.receive(1) and clock.took(0.06)]
    assert len(arrived) == 12
    assert clock.took(0.06, 0.18 + LATE_S)


@pytest.mark.parametrize("change", ["patch", "delete", "reset"])
def test_change_of_latency_flushes(line: Line, change: str) -> None:
    """What is under way doesn't wait for a delay that no longer holds."""
    client, server = line.connect()
    path = line.control.add("latency", latency=60_000)
    server.send(b"stuck")
    assert client.is_silent()
    if change == "patch":
        line.control.change(path, attributes={"latency": 59_000})
    elif change == "delete":
        line.control.delete(path)
    else:
        line.control.ask("POST", "/reset")
    assert client.receive(5) == b"stuck"
    if change == "patch":
        server.send(b"again")
        assert client.is_silent()


def test_latencies_add_up(line: Line) -> None:
    """Toxics apply one after the other."""
    client, server = line.connect()
    for name in ("one", "two"):
        wish = {"name": name, "type": "latency", "attributes": {"latency": 150}}
        assert line.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    clock = Clock()
    server.send(b"x")
    assert client.receive(1) == b"x"
    assert clock.took(0.3)


def test_bandwidth_limits_the_rate(line: Line) -> None:
    """A kilobyte is 1,000 bytes, and a second is a second."""
    client, server = line.connect()
    line.control.add("bandwidth", rate=200)
    sent = bytes(range(250)) * 400
    clock = Clock()
    server.send(sent)
    assert client.receive(len(sent)) == sent
    assert clock.took(0.45)


def test_bandwidth_is_each_connections_own(line: Line) -> None:
    """Three connections take no longer than one."""
    line.control.add("bandwidth", rate=100)
    pairs = [line.connect() for _ in range(3)]
    clock = Clock()
    for _, server in pairs:
        server.send(bytes(30_000))
    assert [len(client.receive(30_000)) for client, _ in pairs] == [30_000] * 3
    assert clock.took(0.25, 0.8)


def test_stall_holds_back_no_bare_end(line: Line) -> None:
    """An end with no data before it comes at once."""
    client, server = line.connect()
    line.control.add("bandwidth", rate=0)
    server.close()
    assert client.ended()


def test_low_bandwidth_delivers_in_slices(line: Line) -> None:
    """A chunk of several slices doesn't come all at once at its end."""
    client, server = line.connect()
    line.control.add("bandwidth", rate=10)
    clock = Clock()
    server.send(b"x" * 5000)
    assert 0 < len(client.sock.recv(5000)) <= 2000
    assert clock.took(0.1, 0.4)


def test_rate_0_stalls_without_loss(line: Line) -> None:
    """Nothing comes, not even the end, until the toxic goes; then all does."""
    client, server = line.connect()
    path = line.control.add("bandwidth", rate=0)
    server.send(b"held back")
    server.close()
    assert client.is_silent()
    line.control.delete(path)
    assert client.rest() == b"held back"


def test_stalled_data_passes_when_the_rate_rises(line: Line) -> None:
    """A PATCH heals a stalled connection just as well."""
    client, server = line.connect()
    path = line.control.add("bandwidth", "upstream", rate=0)
    client.send(b"held back")
    assert server.is_silent()
    line.control.change(path, attributes={"rate": 1000})
    assert server.receive(9) == b"held back"


def test_high_bandwidth_is_reached(line: Line) -> None:
    """Timers' coarseness doesn't add up to a lower rate."""
    client, server = line.connect()
    line.control.add("bandwidth", rate=20_000)
    clock = Clock()
    sent = bytes(10_000_000)
    sender = threading.Thread(target=server.send, args=(sent,))
    sender.start()
    received = client.receive(len(sent))
    sender.join()
    assert len(received) == len(sent)
    assert clock.took(0.3, 2.5)


def test_slicer_cuts_and_delays(line: Line) -> None:
    """100 bytes of average size 10 make 16 pieces, each followed by the delay."""
    client, server = line.connect()
    line.control.add("slicer", average_size=10, delay=20_000)
    clock = Clock()
    server.send(bytes(range(100)))
    first = client.sock.recv(100)
    assert first in (bytes(range(6)), bytes(range(7)))
    assert first + client.receive(100 - len(first)) == bytes(range(100))
    assert clock.took(15 * 0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counting segments needs Linux")
def test_slicer_makes_so_many_pieces(line: Line) -> None:
    """100 bytes of average size 10 are halved four times, so 16 segments arrive."""
    line.control.add("slicer", average_size=10, delay=5_000)
    client, server = line.connect()
    server.send(bytes(range(100)))
    assert client.receive(100) == bytes(range(100))
    assert segments_in(client) == 16


def test_slicer_leaves_what_is_small_enough(line: Line) -> None:
    """A chunk of the average size, or more by no more than the variation, isn't cut."""
    line.control.add("slicer", average_size=10, size_variation=5, delay=10_000_000)
    client, server = line.connect()
    server.send(bytes(15))
    assert client.receive(15) == bytes(15)


def test_slicer_with_variation_loses_nothing(line: Line) -> None:
    """Pieces of varying size are still the same data."""
    client, server = line.connect()
    line.control.add("slicer", "upstream", average_size=500, size_variation=300)
    sent = bytes(range(256)) * 100
    client.send(sent)
    assert server.receive(len(sent)) == sent


def test_deleted_slicer_flushes(line: Line) -> None:
    """What waits for its turn goes out when the toxic goes."""
    client, server = line.connect()
    path = line.control.add("slicer", average_size=10, delay=10_000_000)
    server.send(bytes(range(100)))
    first = client.sock.recv(100)
    assert client.is_silent()
    line.control.delete(path)
    assert first + client.receive(100 - len(first)) == bytes(range(100))
