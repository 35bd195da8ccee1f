"""What each toxic does to data, to the end of a stream, and to connections that are live already."""

from __future__ import annotations

import hashlib
import random
import threading
import time

import pytest

from .conftest import Line
from .peers import Control, Upstream, eventually

LATE_S = 1.5  # how late a busy machine may be


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


# latency


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


# bandwidth


def test_bandwidth_limits_the_rate(line: Line) -> None:
    """A kilobyte is 1,000 bytes, and a second is a second."""
    client, server = line.connect()
    line.control.add("bandwidth", rate=200)
    sent = bytes(range(250)) * 400
    clock = Clock()
    server.send(sent)
    assert client.receive(len(sent)) == sent
    assert clock.took(0.45)


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


# slow_close


def test_slow_close_delays_the_end(line: Line) -> None:
    """Data passes, the end comes later."""
    client, server = line.connect()
    line.control.add("slow_close", delay=300)
    clock = Clock()
    server.send(b"bye")
    server.close()
    assert client.receive(3) == b"bye"
    assert clock.took(0, 0.25)
    assert client.ended()
    assert clock.took(0.3)


def test_slow_close_delays_its_direction_alone(line: Line) -> None:
    """The client's end goes to the server without delay; only the way back waits."""
    client, server = line.connect()
    line.control.add("slow_close", delay=300)
    clock = Clock()
    client.close()
    assert server.ended()
    assert clock.took(0, 0.25)


def test_deleted_slow_close_closes_now(line: Line) -> None:
    """An end that waits does so no longer than the toxic is there."""
    client, server = line.connect()
    path = line.control.add("slow_close", delay=60_000)
    server.close()
    assert client.is_silent()
    line.control.delete(path)
    assert client.ended()


def test_changed_slow_close_starts_again(line: Line) -> None:
    """A PATCH makes the end wait for the new delay."""
    client, server = line.connect()
    path = line.control.add("slow_close", delay=60_000)
    server.close()
    assert client.is_silent()
    clock = Clock()
    line.control.change(path, attributes={"delay": 300})
    assert client.ended()
    assert clock.took(0.3)


# timeout


def test_timeout_0_discards_for_ever(line: Line) -> None:
    """Data vanishes, the connection stays, the other direction works."""
    client, server = line.connect()
    line.control.add("timeout", timeout=0)
    server.send(b"lost")
    assert client.is_silent()
    client.send(b"heard")
    assert server.receive(5) == b"heard"


@pytest.mark.parametrize("change", ["delete", "reset"])
def test_deleted_timeout_closes(line: Line, change: str) -> None:
    """A stream that lost data isn't continued: connections close, new ones work."""
    client, server = line.connect()
    path = line.control.add("timeout", timeout=0)
    server.send(b"lost")
    assert client.is_silent()
    if change == "delete":
        line.control.delete(path)
    else:
        line.control.ask("POST", "/reset")
    assert client.ended()
    assert server.ended()
    client, server = line.connect()
    server.send(b"fine")
    assert client.receive(4) == b"fine"


def test_timeout_closes_after_silence(line: Line) -> None:
    """The connection closes after the time without data; data starts it again."""
    client, server = line.connect()
    clock = Clock()
    line.control.add("timeout", timeout=400)
    assert client.is_silent(0.25)
    server.send(b"lost")
    assert client.ended()
    assert clock.took(0.6)
    assert server.ended()


def test_timeout_lets_the_end_through(line: Line) -> None:
    """A peer that closes is noticed."""
    client, server = line.connect()
    line.control.add("timeout", timeout=0)
    server.send(b"lost")
    server.close()
    assert client.ended()


# reset_peer


@pytest.mark.parametrize("timeout", [0, 200])
def test_reset_peer_resets_both(line: Line, timeout: int) -> None:
    """The first data brings RST to both ends, after the time."""
    line.control.add("reset_peer", timeout=timeout)
    client, server = line.connect()
    clock = Clock()
    server.send(b"x")
    assert client.was_reset()
    assert clock.took(timeout / 1000)
    assert server.was_reset()


def test_reset_peer_leaves_the_idle(line: Line) -> None:
    """Connections without traffic in that direction are untouched."""
    line.control.add("reset_peer", "downstream")
    client, server = line.connect()
    client.send(b"one way")
    assert server.receive(7) == b"one way"
    assert client.is_silent()


def test_reset_peer_takes_an_end_for_traffic(line: Line) -> None:
    """The end of a direction is its first sign too."""
    line.control.add("reset_peer", "upstream")
    client, server = line.connect()
    client.sock.shutdown(1)
    assert client.was_reset()
    assert server.was_reset()


def test_reset_peer_resets_live_connections(builtin: Control, upstream: Upstream) -> None:
    """The built-in server sends RST on connections that are older than the toxic, too."""
    line = Line(builtin, upstream, builtin.create(upstream.address), [])
    client, server = line.connect()
    builtin.add("reset_peer")
    server.send(b"x")
    assert client.was_reset()
    assert server.was_reset()
    client.close()


def test_reset_peer_keeps_its_word(builtin: Control, upstream: Upstream) -> None:
    """A reset that is under way happens in time, though the toxic is deleted, at once, meanwhile."""
    line = Line(builtin, upstream, builtin.create(upstream.address), [])
    client, server = line.connect()
    path = builtin.add("reset_peer", timeout=400)
    clock = Clock()
    server.send(b"x")
    assert client.is_silent()
    builtin.delete(path)
    assert clock.took(0, 0.35)
    assert client.was_reset()
    assert clock.took(0.4)
    client.close()


# slicer


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


# limit_data


def test_limit_data_closes_after_its_bytes(line: Line) -> None:
    """Exactly so many bytes pass, then both ends are closed."""
    client, server = line.connect()
    line.control.add("limit_data", bytes=10)
    server.send(b"0123")
    server.send(b"456789abc")
    assert client.rest() == b"0123456789"
    assert eventually(lambda: not server.is_silent(0))


def test_limit_data_counts_from_its_coming(line: Line) -> None:
    """What passed before the toxic doesn't count."""
    client, server = line.connect()
    server.send(b"before")
    assert client.receive(6) == b"before"
    line.control.add("limit_data", bytes=3)
    server.send(b"after")
    assert client.rest() == b"aft"


def test_limit_data_0_closes_at_the_first_byte(line: Line) -> None:
    """An idle connection stays open, data closes it."""
    client, server = line.connect()
    line.control.add("limit_data", bytes=0)
    assert client.is_silent()
    server.send(b"x")
    assert client.rest() == b""


def test_limit_data_keeps_counting_when_changed(line: Line) -> None:
    """A PATCH changes the limit, not the count."""
    client, server = line.connect()
    path = line.control.add("limit_data", bytes=10)
    server.send(b"01234")
    assert client.receive(5) == b"01234"
    line.control.change(path, attributes={"bytes": 7})
    server.send(b"56789")
    assert client.rest() == b"56"


# all of them


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
