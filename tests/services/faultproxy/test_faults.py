"""The faults that probes use, on the built-in server and on Toxiproxy alike."""

from __future__ import annotations

import contextlib
import time

import pytest

from pytest_prodready.faults import FaultProxy, Proxied

from .driven import joined, passes
from .peers import Control, Upstream, eventually, is_refused


def test_server_tells_what_it_is(faults: FaultProxy, control: Control) -> None:
    """Version and extensions are known; Toxiproxy has none of the latter."""
    assert faults.version() == ("2.12.0" if control.builtin else faults.version())
    assert isinstance(faults.version(), str)
    assert ("connections" in faults.extensions()) == control.builtin
    assert control.builtin or not faults.extensions()


def test_proxy_is_created_and_deleted(control: Control, upstream: Upstream) -> None:
    """A proxy is reached at its address, and goes with its server's control side."""
    with FaultProxy(control.host, control.port) as server:
        proxied = server.create("db", upstream.address)
        assert (proxied.name, proxied.host, proxied.upstream) == ("db", "127.0.0.1", upstream.address)
        with joined(proxied, upstream) as (client, served):
            assert passes(client, served)
    assert is_refused(f"{proxied.host}:{proxied.port}")
    assert control.ask("GET", "/proxies").json == {}
    server.close()


def test_proxy_elsewhere_is_reached_elsewhere(faults: FaultProxy, upstream: Upstream) -> None:
    """All interfaces are reached at the server's host, and published ports where one says."""
    everywhere = faults.create("one", upstream.address, listen="0.0.0.0:0")
    assert everywhere.host == "127.0.0.1"
    published = faults.create("two", upstream.address, reached_at="docker.example:32768")
    assert (published.host, published.port) == ("docker.example", 32768)


def test_latency(proxied: Proxied, upstream: Upstream) -> None:
    """Answers are late while the fault holds, and not afterwards."""
    with joined(proxied, upstream) as (client, served):
        with proxied.latency(ms=200):
            started = time.monotonic()
            assert passes(served, client)
            assert 0.2 <= time.monotonic() - started < 1.5
        with proxied.latency(ms=60_000, stream="upstream"):
            assert passes(served, client)
            client.send(b"y")
            assert served.is_silent()
        assert served.receive(1) == b"y"


def test_bandwidth(proxied: Proxied, upstream: Upstream) -> None:
    """The rate is limited while the fault holds."""
    with joined(proxied, upstream) as (client, served), proxied.bandwidth(100):
        started = time.monotonic()
        served.send(bytes(30_000))
        assert len(client.receive(30_000)) == 30_000
        assert 0.28 <= time.monotonic() - started < 2


def test_stalled(proxied: Proxied, upstream: Upstream) -> None:
    """Nothing is delivered meanwhile, nothing is lost, and the connection lives on."""
    with joined(proxied, upstream) as (client, served):
        with proxied.stalled():
            client.send(b"up")
            served.send(b"down")
            assert client.is_silent()
            assert served.is_silent(0)
        assert served.receive(2) == b"up"
        assert client.receive(4) == b"down"
        assert passes(client, served)


def test_black_hole(proxied: Proxied, upstream: Upstream) -> None:
    """Data vanishes; the connections are closed afterwards, and new ones work."""
    with joined(proxied, upstream) as (client, served):
        with proxied.black_hole():
            client.send(b"up")
            served.send(b"down")
            assert client.is_silent()
            assert served.is_silent(0)
        assert client.ended()
        assert served.ended()
    with joined(proxied, upstream) as (client, served):
        assert passes(client, served)


def test_answers_lost(proxied: Proxied, upstream: Upstream) -> None:
    """The upstream hears everything and its answers vanish; the connections are closed afterwards."""
    with joined(proxied, upstream) as (client, served):
        with proxied.answers_lost():
            client.send(b"up")
            assert served.receive(2) == b"up"
            served.send(b"down")
            assert client.is_silent()
        assert client.ended()
        assert served.ended()
    with joined(proxied, upstream) as (client, served):
        assert passes(client, served)


@pytest.mark.parametrize("speaker", [0, 1])
def test_reset_connections(proxied: Proxied, upstream: Upstream, speaker: int) -> None:
    """The first data in either direction brings RST to both ends."""
    with proxied.reset_connections(), joined(proxied, upstream) as ends:
        ends[speaker].send(b"x")
        assert ends[0].was_reset()
        assert ends[1].was_reset()
    with joined(proxied, upstream) as (client, served):
        assert passes(client, served)


def test_limit_data(proxied: Proxied, upstream: Upstream) -> None:
    """So many bytes pass, then the connection closes."""
    with proxied.limit_data(3), joined(proxied, upstream) as (client, served):
        served.send(b"12345")
        assert client.rest() == b"123"


def test_down(proxied: Proxied, upstream: Upstream) -> None:
    """Live connections are closed and new ones refused, until the same port answers again."""
    address = f"{proxied.host}:{proxied.port}"
    with joined(proxied, upstream) as (client, served):
        with proxied.down():
            assert client.ended()
            assert served.ended()
            assert is_refused(address)
        assert not is_refused(address)


def test_downs_nest(proxied: Proxied) -> None:
    """Leaving an inner fault doesn't heal the outer one."""
    address = f"{proxied.host}:{proxied.port}"
    with proxied.down():
        with proxied.down():
            assert is_refused(address)
        proxied.cut()
        assert is_refused(address)
    assert not is_refused(address)


def test_equal_faults_nest(proxied: Proxied, upstream: Upstream) -> None:
    """The same fault twice is twice the fault, and each is undone by itself."""
    with joined(proxied, upstream) as (client, served), proxied.latency(ms=150):
        with proxied.latency(ms=150):
            started = time.monotonic()
            assert passes(served, client)
            assert time.monotonic() - started >= 0.3
        started = time.monotonic()
        assert passes(served, client)
        assert time.monotonic() - started >= 0.15


def test_upstream_switched(proxied: Proxied, upstream: Upstream) -> None:
    """New connections go elsewhere meanwhile; live ones are closed, there and back."""
    before = proxied.upstream
    with contextlib.closing(Upstream()) as other:
        with joined(proxied, upstream) as (client, _served), proxied.upstream_switched(other.address):
            assert client.ended()
            assert proxied.upstream == other.address
            with joined(proxied, other) as (switched, elsewhere):
                assert passes(switched, elsewhere)
        assert proxied.upstream == before
        with joined(proxied, upstream) as (client, served):
            assert passes(client, served)


def test_cut(proxied: Proxied, upstream: Upstream) -> None:
    """Live connections are closed once, and new ones work."""
    with joined(proxied, upstream) as (client, served):
        proxied.cut()
        assert client.ended()
        assert served.ended()
    with joined(proxied, upstream) as (client, served):
        assert passes(client, served)


def test_connections(proxied: Proxied, upstream: Upstream, control: Control) -> None:
    """Clients are counted where the server can do that."""
    if not control.builtin:
        assert proxied.connections() is None
        return

    def seen() -> tuple[int, int]:
        told = proxied.connections()
        assert told is not None
        assert len(told.accepted_at) == told.accepted
        return told.open, told.accepted

    with joined(proxied, upstream):
        assert eventually(lambda: seen() == (1, 1))
    assert eventually(lambda: seen() == (0, 1))


def test_faults_are_undone_after_an_error(proxied: Proxied, control: Control) -> None:
    """An error in the body is the one that is raised, and everything is put back."""
    before = control.ask("GET", "/proxies/db").json
    with (
        pytest.raises(ZeroDivisionError),
        proxied.latency(ms=5),
        proxied.stalled(),
        proxied.upstream_switched("127.0.0.1:9"),
        proxied.down(),
    ):
        _ = 1 / 0
    assert control.ask("GET", "/proxies/db").json == before


def test_what_is_undone_already_is_no_error(faults: FaultProxy, proxied: Proxied) -> None:
    """A reset in the midst, or a deleted proxy, leaves nothing to undo."""
    with proxied.latency(ms=5), proxied.stalled():
        faults.reset()
    with proxied.latency(ms=5):
        proxied.delete()
    proxied.delete()
