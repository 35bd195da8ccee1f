"""Packets dropped for real, and what the peers' systems make of it. Needs Linux and CAP_NET_ADMIN."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from pytest_prodready.faultproxy import packet_filter

from .conftest import Line
from .peers import Peer, eventually

LOSS = "/proxies/p/toxics/packet_loss_upstream"
TRAFFIC = "/prodready/proxies/p/connections"


@pytest.fixture
def lossy(our_line: Line) -> Line:
    """A proxy that can drop packets."""
    reason = our_line.control.ask("GET", "/prodready/extensions").json["unavailable"].get("packet_loss")
    if reason:
        pytest.skip(reason)
    return our_line


def retransmitted(peer: Peer) -> int:
    """How many segments this end's system had to send again (tcpi_total_retrans)."""
    told = peer.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", told, 100)[0])


def lose_all(line: Line) -> list[str]:
    """Drop everything that either peer sends."""
    return [line.control.add("packet_loss", stream, percent=100) for stream in ("upstream", "downstream")]


def gave_up(peer: Peer) -> bool:
    """Whether this end's system declares the other one dead; not just that we have waited long enough."""
    with pytest.raises(TimeoutError) as caught:
        peer.receive(1)
    return caught.value.errno == errno.ETIMEDOUT


def watched_by_keepalive(peer: Peer) -> Peer:
    """The peer, whose system asks the other end after a second, and gives up after another."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT):
        peer.sock.setsockopt(socket.IPPROTO_TCP, option, 1)
    return peer


@pytest.mark.parametrize("speaker", ["client", "server"])
def test_dropped_data_is_sent_again_and_arrives_when_healed(lossy: Line, speaker: str) -> None:
    """What is dropped isn't lost: its sender retransmits, and it arrives once the toxic is gone."""
    client, server = lossy.connect()
    sender, receiver = (client, server) if speaker == "client" else (server, client)
    paths = lose_all(lossy)
    sender.send(b"again and again")
    assert eventually(lambda: retransmitted(sender) >= 2)
    assert receiver.is_silent(0)
    for path in paths:
        lossy.control.delete(path)
    assert receiver.receive(15) == b"again and again"
    receiver.send(b"heard")
    assert sender.receive(5) == b"heard"


def test_one_direction_is_dropped_alone(lossy: Line) -> None:
    """Loss upstream drops what clients send, not what servers send."""
    client, server = lossy.connect()
    lossy.control.add("packet_loss", "upstream", percent=100)
    server.send(b"down")
    assert client.receive(4) == b"down"
    client.send(b"up")
    assert eventually(lambda: retransmitted(client) >= 1)
    assert server.is_silent(0)


@pytest.mark.parametrize("speaker", ["client", "server"])
def test_tcp_user_timeout_fires(lossy: Line, speaker: str) -> None:
    """A peer with TCP_USER_TIMEOUT gives up on data that nobody acknowledges."""
    ends = dict(zip(("client", "server"), lossy.connect(), strict=True))
    lose_all(lossy)
    peer = ends[speaker]
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 400)
    peer.send(b"anyone?")
    assert gave_up(peer)


@pytest.mark.parametrize("speaker", ["client", "server"])
def test_keepalive_fires(lossy: Line, speaker: str) -> None:
    """An idle peer with keepalive notices that the other end doesn't answer any more."""
    ends = dict(zip(("client", "server"), lossy.connect(), strict=True))
    lose_all(lossy)
    assert gave_up(watched_by_keepalive(ends[speaker]))


def test_keepalive_does_not_fire_without_loss(lossy: Line) -> None:
    """A stall alone is invisible to TCP: the proxy's system answers, though nothing is delivered."""
    client, server = lossy.connect()
    lossy.control.add("bandwidth", "upstream", rate=0)
    watched_by_keepalive(client).send(b"held back")
    assert client.is_silent(2.5)
    assert server.is_silent(0)


def test_those_who_gave_up_are_noticed_after_healing(lossy: Line) -> None:
    """A client that died unheard leaves no connection behind for long."""
    client, server = lossy.connect()
    paths = lose_all(lossy)
    client.reset()
    assert server.is_silent()
    for path in paths:
        lossy.control.delete(path)
    assert server.ended()
    assert eventually(lambda: lossy.control.ask("GET", TRAFFIC).json["open"] == 0)


def test_a_fifth_of_the_packets_is_lost(lossy: Line) -> None:
    """Of 200 connections that send one packet each, about 40 have to send it again; all arrive."""
    pairs = [lossy.connect() for _ in range(200)]
    lossy.control.add("packet_loss", "upstream", percent=20)
    for client, _ in pairs:
        client.send(b"x")
    assert all(server.receive(1) == b"x" for _, server in pairs)
    lost = sum(retransmitted(client) > 0 for client, _ in pairs)
    assert 10 <= lost <= 70


def test_losses_add_up(lossy: Line) -> None:
    """Two toxics drop more than one, and one of them healed leaves the other."""
    client, server = lossy.connect()
    lossy.control.add("packet_loss", "upstream", percent=0)
    wish = {"type": "packet_loss", "name": "more", "stream": "upstream", "attributes": {"percent": 100}}
    assert lossy.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    client.send(b"x")
    assert eventually(lambda: retransmitted(client) >= 1)
    lossy.control.change(LOSS, attributes={"percent": 100})
    lossy.control.delete("/proxies/p/toxics/more")
    seen = retransmitted(client)
    assert eventually(lambda: retransmitted(client) > seen)
    assert server.is_silent(0)
    lossy.control.change(LOSS, attributes={"percent": 0})
    assert server.receive(1) == b"x"


def test_chance_and_age_choose_whose_packets_are_lost(lossy: Line) -> None:
    """Toxicity and `only` hold for packet loss as for any toxic."""
    (old, served_old) = lossy.connect()
    only = {"type": "packet_loss", "stream": "upstream", "attributes": {"percent": 100}}
    chosen = lossy.control.ask("POST", "/proxies/p/toxics", {**only, "only": {"older_than": 0}})
    spared = lossy.control.ask("POST", "/proxies/p/toxics", {**only, "name": "never", "toxicity": 0})
    assert (chosen.status, spared.status) == (200, 200)
    new, served_new = lossy.connect()
    for client in (old, new):
        client.send(b"x")
    assert served_new.receive(1) == b"x"
    assert eventually(lambda: retransmitted(old) >= 1)
    assert served_old.is_silent(0)


def test_disabling_heals(lossy: Line) -> None:
    """Closing by hand reaches both peers, though their packets were dropped."""
    client, server = lossy.connect()
    lose_all(lossy)
    client.send(b"unheard")
    lossy.control.change("/proxies/p", enabled=False)
    for peer in (client, server):
        assert peer.was_reset() or peer.ended()


@pytest.mark.parametrize("percent", [-1, 101])
def test_impossible_loss_is_refused(lossy: Line, percent: int) -> None:
    """There is no more than all, and no less than nothing."""
    wish = {"type": "packet_loss", "attributes": {"percent": percent}}
    assert lossy.control.ask("POST", "/proxies/p/toxics", wish).status == 400


@pytest.mark.usefixtures("lossy")
def test_the_proxy_asks_for_the_dead_only_where_they_can_answer() -> None:
    """Keepalive of our own would end a connection that is dropped a second time, so it rests meanwhile."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
    ):
        for fraction, asks in ((1, 0), (0, 1), (0.5, 0)):
            packet_filter.lose(sock, fraction)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == asks
