"""What must hold under strain: every byte in order, memory that stays flat, ends that come."""

from __future__ import annotations

import contextlib
import hashlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from .conftest import Line
from .peers import Clock, Control, Peer, Upstream, address_of, connected, eventually

MIB = 1 << 20
TURNS = 30

# Toxics that delay and lose nothing, with attributes drawn from these ranges.
HARMLESS: dict[str, dict[str, tuple[int, int]]] = {
    "latency": {"latency": (0, 20), "jitter": (0, 20)},
    "bandwidth": {"rate": (2_000, 50_000)},
    "slicer": {"average_size": (2_000, 30_000), "size_variation": (0, 1_500), "delay": (0, 200)},
    "slow_close": {"delay": (0, 20)},
    "noop": {},
}


class Transfer:
    """Random bytes from one end to the other, until told to stop; and what arrives."""

    _marker = bytes(range(256)) * 4  # the end of what is sent; random bytes don't look like this

    def __init__(self, sender: Peer, receiver: Peer, seed: str) -> None:
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()
        self.size = 0
        self._enough = threading.Event()
        self._ends = sender, receiver
        self._source = random.Random(seed)
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> bool:
        """Stop sending; whether everything arrived, in order."""
        self._enough.set()
        for thread in self._threads:
            thread.join()
        return self.sent.digest() == self.received.digest()

    def _send(self) -> None:
        while not self._enough.is_set():
            block = self._source.randbytes(self._source.randrange(1, 60_000))
            self.sent.update(block)
            self.size += len(block)
            self._ends[0].send(block)
        self._ends[0].send(self._marker)
        self.sent.update(self._marker)

    def _receive(self) -> None:
        tail = b""
        while tail != self._marker:
            data = self._ends[1].sock.recv(MIB)
            if not data:
                return
            self.received.update(data)
            tail = (tail + data)[-len(self._marker) :]


def change_something(control: Control, dice: random.Random) -> None:
    """Add, change or remove a toxic, any of them."""
    names = [toxic["name"] for toxic in control.ask("GET", "/proxies/p/toxics").json]
    action = dice.choice(["add", "add", "change", "remove"])
    if action == "add" and len(names) < 5:
        kind = dice.choice(list(HARMLESS))
        wish = {"name": str(dice.random()), "type": kind, "toxicity": dice.choice([1, 1, 0.5])}
        way = {"stream": dice.choice(["upstream", "downstream"]), "attributes": drawn(kind, dice)}
        assert control.ask("POST", "/proxies/p/toxics", {**wish, **way}).status == 200
    elif names and action == "change":
        path = f"/proxies/p/toxics/{dice.choice(names)}"
        kind = control.ask("GET", path).json["type"]
        control.change(path, toxicity=dice.choice([0, 0.5, 1]), attributes=drawn(kind, dice))
    elif names:
        control.delete(f"/proxies/p/toxics/{dice.choice(names)}")


def drawn(kind: str, dice: random.Random) -> dict[str, int]:
    """Attributes for a toxic."""
    return {name: dice.randint(*between) for name, between in HARMLESS[kind].items()}


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_lose_and_reorder_nothing(line: Line, seed: int) -> None:
    """Toxics come, change and go during transfers in both directions, and every byte arrives in order."""
    dice = random.Random(seed)
    transfers = []
    for number in range(3):
        client, server = line.connect()
        transfers += [
            Transfer(client, server, f"{seed} {number} up"),
            Transfer(server, client, f"{seed} {number}"),
        ]
    for _ in range(TURNS):
        change_something(line.control, dice)
        eventually(lambda: dice.random() < 0.5, 1)  # of varying length, for changes in quick succession too
    assert line.control.ask("POST", "/reset").status == 204
    assert all([transfer.finish() for transfer in transfers])  # noqa: C419  (each has to be finished)
    assert all(transfer.size > 60_000 for transfer in transfers)


@pytest.mark.parametrize("way", ["delete", "disable"])
def test_proxy_with_200_connections_can_be_stopped(line: Line, way: str) -> None:
    """Both ends of each connection are closed, data under way or not."""
    pairs = [line.connect() for _ in range(200)]
    for client, server in pairs[:100]:
        client.send(b"x" * 1000)
        server.send(b"x" * 1000)
    if way == "delete":
        line.control.delete("/proxies/p")
    else:
        line.control.change("/proxies/p", enabled=False)
    for client, server in pairs:
        assert closed(client)
        assert closed(server)
    assert line.control.ask("GET", "/version").status == 200


def closed(peer: Peer) -> bool:
    """Whether the connection is over, in good order or not."""
    with contextlib.suppress(ConnectionError):
        peer.rest()
    return True


@pytest.fixture
def unanswering() -> Iterator[str]:
    """The address of an upstream that never answers: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_unanswering_upstream_disturbs_nobody(builtin: Control, upstream: Upstream, unanswering: str) -> None:
    """Clients wait; other proxies work; and stopping doesn't wait for the upstream."""
    stuck = builtin.create(unanswering, name="stuck")["listen"]
    fine = builtin.create(upstream.address, name="fine")["listen"]
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connected(stuck)) for _ in range(50)]
        for client in waiting:
            client.send(b"hello?")
        with connected(fine) as client:
            client.send(b"x")
            assert upstream.accept().receive(1) == b"x"
        assert waiting[0].is_silent()
        clock = Clock()
        builtin.change("/proxies/stuck", enabled=False)
        assert clock.took(0, 1.5)
        assert all(closed(client) for client in waiting)


def flood(servers: list[Peer]) -> int:
    """Send until nothing goes any more; how much it was."""
    sent, block = 0, bytes(MIB)
    for server in servers:
        server.sock.setblocking(False)
    while ready := select.select([], [server.sock for server in servers], [], 0.3)[1]:
        for sock in ready:
            with contextlib.suppress(BlockingIOError):
                sent += sock.send(block)
        assert sent < 4096 * MIB
    return sent


@pytest.mark.parametrize("toxic", [None, "noop", "slicer", "bandwidth"])
def test_clients_that_never_read_cost_little(builtin: Control, upstream: Upstream, toxic: str | None) -> None:
    """Servers that send without end to clients that don't read are held back, and memory stays flat."""
    line = Line(builtin, upstream, builtin.create(upstream.address), [])
    attributes = {"slicer": {"average_size": 10_000}, "bandwidth": {"rate": 0}}.get(toxic or "", {})
    if toxic:
        builtin.add(toxic, **attributes)  # type: ignore[arg-type]
    process = psutil.Process(builtin.pid)
    pairs = [line.connect() for _ in range(20)]
    before = process.memory_info().rss
    flood([server for _, server in pairs])
    assert process.memory_info().rss - before < 20 * 2 * MIB
    assert flood([server for _, server in pairs]) == 0
    builtin.ask("POST", "/reset")  # an end waits behind stalled data
    for client, _ in pairs:
        client.close()
    path = "/prodready/proxies/p/connections"
    assert eventually(lambda: builtin.ask("GET", path).json["open"] == 0)


def _descriptors(process: psutil.Process) -> int:
    """How many there are once the last request's connection is closed."""
    counts = [-1, process.num_fds()]

    def steady() -> bool:
        select.select([], [], [], 0.02)
        counts.append(process.num_fds())
        return len(set(counts[-4:])) == 1

    assert eventually(steady)
    return counts[-1]


def _crowd(listen: str, size: int) -> list[Peer]:
    return [Peer(socket.create_connection(address_of(listen), timeout=10)) for _ in range(size)]


@pytest.fixture
def same_descriptors(builtin: Control) -> Iterator[Callable[[], None]]:
    """Afterwards the server has as many descriptors as at the moment that this was called."""
    process = psutil.Process(builtin.pid)
    before: list[int] = []
    yield lambda: before.append(_descriptors(process))
    assert eventually(lambda: process.num_fds() == before[0]), (before, process.num_fds())


def test_crowds_leave_nothing(
    builtin: Control, upstream: Upstream, same_descriptors: Callable[[], None]
) -> None:
    """500 connections at once, 20 times, leave the server as it was: descriptors, counts, memory."""
    listen = builtin.create(upstream.address)["listen"]
    server = psutil.Process(builtin.pid)
    same_descriptors()
    before = server.num_fds()
    sizes = []
    for _ in range(20):
        crowd = _crowd(listen, 500)
        assert eventually(lambda: server.num_fds() >= before + 2 * 500), (before, server.num_fds())
        sizes.append(server.memory_info().rss)
        for client in crowd:
            client.close()
        for _ in range(500):  # they waited in the listener's backlog, costing this process nothing
            upstream.listener.accept()[0].close()
    path = "/prodready/proxies/p/connections"
    assert eventually(lambda: builtin.ask("GET", path).json["open"] == 0)
    assert builtin.ask("GET", path).json["accepted"] == 20 * 500
    assert max(sizes) - sizes[0] < 16 * MIB


def test_idle_connections_cost_little(builtin: Control, upstream: Upstream) -> None:
    """A connection that does nothing takes some kilobytes, not a buffer of its own."""
    listen = builtin.create(upstream.address)["listen"]
    server = psutil.Process(builtin.pid)
    path = "/prodready/proxies/p/connections"
    before = server.memory_info().rss
    crowd = _crowd(listen, 400)
    assert eventually(lambda: builtin.ask("GET", path).json["open"] == 400)
    assert server.memory_info().rss - before < 400 * 64 * 1024
    for client in crowd:
        client.close()


def test_stopped_crowd_leaves_no_descriptors(builtin: Control, same_descriptors: Callable[[], None]) -> None:
    """Connections with stalled data, cut off by disabling, leave nothing either."""
    listen = builtin.create(f"{builtin.host}:{builtin.port}")["listen"]
    same_descriptors()
    builtin.add("bandwidth", "upstream", rate=0)
    crowd = _crowd(listen, 100)
    for client in crowd:
        client.send(b"stalled")
    builtin.change("/proxies/p", enabled=False)
    for client in crowd:
        assert closed(client)
        client.close()
    builtin.change("/proxies/p", enabled=True)
