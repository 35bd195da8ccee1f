"""Connections without toxics: bytes, ends, back-pressure, ports, descriptors."""

from __future__ import annotations

import contextlib
import hashlib
import random
import select
import socket
import threading
import time

import pytest

from .conftest import Line
from .peers import Control, Upstream, connected, eventually, is_refused


def test_data_passes_unchanged_both_ways(line: Line) -> None:
    """Megabytes in both directions at once arrive as they were sent."""
    client, server = line.connect()
    sent = {peer: random.Random(seed).randbytes(8_000_000) for seed, peer in enumerate((client, server))}
    senders = [threading.Thread(target=peer.send, args=(data,)) for peer, data in sent.items()]
    received = {}
    receivers = [
        threading.Thread(target=lambda p=peer: received.update({p: p.receive(8_000_000)}))
        for peer in (client, server)
    ]
    for thread in senders + receivers:
        thread.start()
    for thread in senders + receivers:
        thread.join()
    assert _digest(received[client]) == _digest(sent[server])
    assert _digest(received[server]) == _digest(sent[client])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_server_may_speak_first(line: Line) -> None:
    """A greeting arrives though the client has sent nothing."""
    client, server = line.connect()
    server.send(b"220 hello")
    assert client.receive(9) == b"220 hello"


def test_client_may_speak_before_the_upstream_is_connected(line: Line) -> None:
    """What the client sends at once is kept until there is someone to hear it."""
    with connected(line.listen) as client:
        client.send(b"early")
        assert line.upstream.accept().receive(5) == b"early"


def test_slow_reader_pauses_the_sender(line: Line) -> None:
    """A reader that doesn't read stops the sender before long, and then gets every byte."""
    client, server = line.connect()
    block = bytes(1 << 20)
    server.sock.setblocking(False)
    sent = 0
    while sent < 1 << 30 and select.select([], [server.sock], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            sent += server.sock.send(block)
    assert sent < 64 << 20
    server.close()
    assert len(client.rest()) == sent


def test_stalled_connection_pauses_the_sender(line: Line) -> None:
    """What a stall holds back is limited; the rest waits with its sender."""
    client, server = line.connect()
    path = line.control.add("bandwidth", rate=0)
    server.sock.setblocking(False)
    sent = 0
    while sent < 1 << 30 and select.select([], [server.sock], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            sent += server.sock.send(bytes(1 << 20))
    assert sent < 64 << 20
    server.close()
    line.control.delete(path)
    assert len(client.rest()) == sent


@pytest.mark.parametrize("leaver", ["client", "server"])
@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
def test_one_end_closes_both(line: Line, leaver: str, how: str) -> None:
    """There is no half-close, and a reset arrives as an orderly end."""
    ends = dict(zip(("client", "server"), line.connect(), strict=True))
    leaving = ends.pop(leaver)
    (staying,) = ends.values()
    leaving.send(b"last words")
    if how == "shutdown":
        leaving.sock.shutdown(socket.SHUT_WR)
    elif how == "close":
        leaving.close()
    else:
        assert staying.receive(10) == b"last words"
        leaving.reset()
    assert staying.rest() == (b"" if how == "reset" else b"last words")
    if how == "shutdown":
        assert leaving.ended()


def test_refused_upstream_ends_the_client(control: Control) -> None:
    """Where the upstream is down, clients connect and read the end."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    listen = control.create(address)["listen"]
    with connected(listen) as client:
        assert client.ended()


@pytest.mark.parametrize("upstream", ["nonsense", "no.such.host.invalid:1", "127.0.0.1:99999"])
def test_impossible_upstream_ends_the_client(control: Control, upstream: str) -> None:
    """An upstream that can't be reached is found out by its clients."""
    listen = control.create(upstream)["listen"]
    with connected(listen) as client:
        assert client.ended()


def test_upstream_may_be_a_name(control: Control, upstream: Upstream) -> None:
    """Names of hosts are looked up when a client comes."""
    listen = control.create(upstream.address.replace("127.0.0.1", "localhost"))["listen"]
    with connected(listen) as client:
        client.send(b"x")
        assert upstream.accept().receive(1) == b"x"


def test_disabling_closes_and_refuses(line: Line) -> None:
    """Live connections close at once, new ones are refused, and the port comes back."""
    client, server = line.connect()
    line.control.change("/proxies/p", enabled=False)
    assert client.ended()
    assert server.ended()
    assert is_refused(line.listen)
    assert line.control.change("/proxies/p", enabled=True)["listen"] == line.listen
    client, server = line.connect()
    server.send(b"x")
    assert client.receive(1) == b"x"


def test_deleting_closes_and_frees_the_port(line: Line) -> None:
    """A deleted proxy's connections close, and its port can be had by another."""
    client, server = line.connect()
    line.control.delete("/proxies/p")
    assert client.ended()
    assert server.ended()
    assert is_refused(line.listen)
    assert line.control.create(line.upstream.address, listen=line.listen)["listen"] == line.listen


def test_changed_upstream_closes_and_leads_elsewhere(line: Line) -> None:
    """Live connections close, new ones go to the new upstream, on the same port."""
    client, server = line.connect()
    other = Upstream()
    with contextlib.closing(other):
        changed = line.control.change("/proxies/p", upstream=other.address)
        assert client.ended()
        assert server.ended()
        assert changed["listen"] == line.listen
        with connected(line.listen) as client:
            client.send(b"x")
            assert other.accept().receive(1) == b"x"


def test_changed_listen_closes_and_moves(line: Line) -> None:
    """Live connections close, and clients connect at the new port."""
    client, server = line.connect()
    moved = line.control.change("/proxies/p", listen="127.0.0.1:0")["listen"]
    assert client.ended()
    assert server.ended()
    assert is_refused(line.listen)
    with connected(moved) as again:
        again.send(b"x")
        assert line.upstream.accept().receive(1) == b"x"


def test_unchanged_proxy_keeps_its_connections(line: Line) -> None:
    """A PATCH that changes nothing closes nothing."""
    client, server = line.connect()
    line.control.change("/proxies/p", listen=line.listen, upstream=line.upstream.address, enabled=True)
    server.send(b"still here")
    assert client.receive(10) == b"still here"


def test_port_survives_many_switches(line: Line) -> None:
    """Disabling and enabling again and again, with live connections, never loses the port."""
    for _ in range(20):
        client, _server = line.connect()
        line.control.change("/proxies/p", enabled=False)
        assert is_refused(line.listen)
        assert line.control.change("/proxies/p", enabled=True)["listen"] == line.listen
        assert client.ended()


def test_disabled_port_may_be_taken_by_another_proxy(line: Line) -> None:
    """A disabled proxy gives its port to one that asks for it, and can't be enabled meanwhile."""
    line.control.change("/proxies/p", enabled=False)
    line.control.create(line.upstream.address, name="q", listen=line.listen)
    assert line.control.ask("PATCH", "/proxies/p", {"enabled": True}).status == 500
    assert line.control.ask("GET", "/proxies/p").json["enabled"] is False
    line.control.delete("/proxies/q")
    assert line.control.change("/proxies/p", enabled=True)["listen"] == line.listen


def test_connections_are_told(builtin: Control, upstream: Upstream) -> None:
    """The extension counts clients and tells when they came."""
    path = "/prodready/proxies/p/connections"
    assert builtin.ask("GET", path).status == 404
    listen = builtin.create(upstream.address)["listen"]
    before = time.time()
    with connected(listen), connected(listen):
        assert eventually(lambda: builtin.ask("GET", path).json["open"] == 2)
    assert eventually(lambda: builtin.ask("GET", path).json["open"] == 0)
    told = builtin.ask("GET", path).json
    assert (told["accepted"], told["refused_upstream"]) == (2, 0)
    assert before - 1 <= told["accepted_at"][0] <= told["accepted_at"][1] <= time.time() + 1
    upstream.close()
    with connected(listen) as client:
        assert client.ended()
    assert builtin.ask("GET", path).json["refused_upstream"] == 1
