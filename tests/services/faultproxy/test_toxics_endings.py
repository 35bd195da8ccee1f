"""Toxics that end connections, or keep them from ending: slow_close, timeout, reset_peer, limit_data."""

from __future__ import annotations

import pytest

from .conftest import Line
from .peers import Clock, eventually


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


def test_reset_ends_a_slow_close(line: Line) -> None:
    """An end that waits comes at once when all toxics go."""
    client, server = line.connect()
    line.control.add("slow_close", delay=60_000)
    server.close()
    assert client.is_silent()
    line.control.ask("POST", "/reset")
    assert client.ended()


@pytest.mark.parametrize(
    ("kind", "attribute"), [("slow_close", "delay"), ("reset_peer", "timeout"), ("limit_data", "bytes")]
)
def test_negative_is_none(line: Line, kind: str, attribute: str) -> None:
    """A negative time is no time, and a negative limit is none at all."""
    wish = {"type": kind, "attributes": {attribute: -5000}}
    assert line.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    client, server = line.connect()
    server.send(b"x")
    server.close()
    if kind == "reset_peer":
        assert client.was_reset()
    else:
        assert client.rest() == (b"x" if kind == "slow_close" else b"")


def test_negative_timeout_never_closes(line: Line) -> None:
    """A timeout below 0 discards for ever, as 0 does."""
    line.control.add("timeout", timeout=-1)
    client, server = line.connect()
    server.send(b"lost")
    assert client.is_silent()


def test_changed_timeout_closes(line: Line) -> None:
    """A timeout that was for ever can be made a short one."""
    line.control.add("timeout", timeout=0)
    client, server = line.connect()
    server.send(b"lost")
    assert client.is_silent()
    clock = Clock()
    line.control.change("/proxies/p/toxics/timeout_downstream", attributes={"timeout": 200})
    assert client.ended()
    assert clock.took(0.2)


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


def test_reset_peer_waits_for_the_first_data(line: Line) -> None:
    """The time runs from the first data, not from the connection's beginning."""
    line.control.add("reset_peer", timeout=200)
    client, server = line.connect()
    assert client.is_silent(0.3)
    clock = Clock()
    server.send(b"x")
    assert client.was_reset()
    assert clock.took(0.2)


def test_toxics_survive_disabling(line: Line) -> None:
    """A proxy that was disabled and enabled meets new connections with its old toxics."""
    line.control.add("limit_data", bytes=2)
    line.control.change("/proxies/p", enabled=False)
    line.control.change("/proxies/p", enabled=True)
    client, server = line.connect()
    server.send(b"1234")
    assert client.rest() == b"12"


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


def test_limit_data_lowered_below_its_count_waits_for_data(line: Line) -> None:
    """A PATCH to less than what has passed closes at the next data, of which nothing passes."""
    client, server = line.connect()
    path = line.control.add("limit_data", bytes=10)
    server.send(b"01234")
    assert client.receive(5) == b"01234"
    line.control.change(path, attributes={"bytes": 3})
    assert client.is_silent()
    server.send(b"56789")
    assert client.rest() == b""


def test_new_limit_data_counts_anew(line: Line) -> None:
    """A limit that comes after another was deleted begins at 0."""
    client, server = line.connect()
    path = line.control.add("limit_data", bytes=5)
    server.send(b"012")
    assert client.receive(3) == b"012"
    line.control.delete(path)
    server.send(b"unlimited")
    assert client.receive(9) == b"unlimited"
    line.control.add("limit_data", bytes=5)
    server.send(b"0123456")
    assert client.rest() == b"01234"
