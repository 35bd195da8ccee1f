"""The faults that probes use, on the built-in server and on Toxiproxy alike."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
import toxiproxy

from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import FaultProxy, FaultProxyError, Proxied

from .peers import Control, Peer, Upstream, eventually, is_refused


@pytest.fixture
def faults(control: Control) -> Iterator[FaultProxy]:
    """The control side of a server."""
    with FaultProxy(control.host, control.port) as server:
        yield server


@pytest.fixture
def proxied(faults: FaultProxy, upstream: Upstream) -> Proxied:
    """An upstream behind a proxy."""
    return faults.create("db", upstream.address)


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


def test_taken_name_is_an_error(faults: FaultProxy, proxied: Proxied) -> None:
    """A second proxy of a name is refused with its name and the server's address."""
    with pytest.raises(FaultProxyError) as caught:
        faults.create(proxied.name, "127.0.0.1:9")
    assert "db" in str(caught.value)
    assert f":{faults.port}" in str(caught.value)


def test_names_of_any_characters_work_but_slashes(faults: FaultProxy, upstream: Upstream) -> None:
    """A name is escaped in paths; a slash can't be, and is refused."""
    proxied = faults.create("main db: 50% <é>", upstream.address)
    with proxied.latency(ms=1), proxied.down():
        pass
    with pytest.raises(FaultProxyError, match="a/b"):
        faults.create("a/b", upstream.address)


def test_refusal_tells_what_came_back(faults: FaultProxy, control: Control) -> None:
    """What was asked, of whom, and the server's own words are in the error."""
    with pytest.raises(ProdreadyError) as caught:
        faults.create("db", "127.0.0.1:9", listen=f"127.0.0.1:{control.port}")
    text = str(caught.value)
    for part in ("500", "address already in use", "POST /proxies", f"http://127.0.0.1:{control.port}"):
        assert part in text


def test_failed_healing_is_an_error(faults: FaultProxy, upstream: Upstream) -> None:
    """A port that is taken meanwhile can't be listened on again, and that isn't passed over."""
    proxied = faults.create("db", upstream.address)
    thief = FaultProxy(faults.host, faults.port)
    with contextlib.ExitStack() as stack:
        stack.callback(thief.close)
        with pytest.raises(FaultProxyError, match="status 500"), proxied.down():
            thief.create("thief", upstream.address, listen=f"127.0.0.1:{proxied.port}")


def test_silent_server_times_out() -> None:
    """A server that accepts and says nothing isn't waited for longer than the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        faults = FaultProxy("127.0.0.1", silent.getsockname()[1], timeout_s=0.2)
        for call in (faults.version, faults.reset, lambda: faults.create("db", "127.0.0.1:9")):
            started = time.monotonic()
            with pytest.raises(FaultProxyError, match=r"0\.2 s") as caught:
                call()
            assert time.monotonic() - started < 2
            assert caught.value.status is None


def test_gone_server_is_an_error_but_not_when_closing(builtin: Control, upstream: Upstream) -> None:
    """A dead server is told about, except by cleaning up: its proxies are gone with it."""
    faults = FaultProxy(builtin.host, builtin.port)
    faults.create("db", upstream.address)
    psutil.Process(builtin.pid).terminate()
    assert eventually(lambda: is_refused(f"{builtin.host}:{builtin.port}"))
    with pytest.raises(FaultProxyError) as caught:
        faults.version()
    assert f"http://{builtin.host}:{builtin.port}" in str(caught.value)
    faults.close()


def test_two_servers_at_once(control: Control, builtin: Control, upstream: Upstream) -> None:
    """Several servers are driven from several threads, each getting its own orders."""
    servers = [FaultProxy(each.host, each.port) for each in (control, builtin)]
    failures: list[Exception] = []

    def drive(server: FaultProxy) -> None:
        try:
            proxied = server.create(f"on-{server.port}", upstream.address)
            for _ in range(15):
                with proxied.latency(ms=1), proxied.down():
                    pass
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=drive, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for each in (control, builtin):
        shown = each.ask("GET", "/proxies").json
        assert list(shown) == [f"on-{each.port}"]
        assert shown[f"on-{each.port}"]["toxics"] == []
    for server in servers:
        server.close()


def test_foreign_use_of_the_package_is_undisturbed(faults: FaultProxy, proxied: Proxied) -> None:
    """The package's global address is what it was, for whoever else uses it."""
    before = toxiproxy.api.APIConsumer.host, toxiproxy.api.APIConsumer.port, toxiproxy.api.requests
    with proxied.latency(ms=1):
        faults.version()
    consumer = toxiproxy.api.APIConsumer
    assert (consumer.host, consumer.port, toxiproxy.api.requests) == before
