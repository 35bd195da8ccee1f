"""Each deliberate difference from Toxiproxy, shown on both servers: ours does one thing, theirs another."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from .conftest import Line
from .differences import DIFFERENCES
from .peers import NOWHERE, Clock, Control, Upstream, address_of, connected, eventually


def test_every_difference_is_tested() -> None:
    """The list and the tests have the same names."""
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert tests == set(DIFFERENCES) | {"every_difference_is_tested"}


def test_omitted_listen(control: Control) -> None:
    """Ours stays on loopback unless told otherwise."""
    listen = control.ask("POST", "/proxies", {"name": "p", "upstream": NOWHERE}).json["listen"]
    assert listen.startswith("127.0.0.1:" if control.builtin else "[::]:")


@pytest.mark.parametrize(
    ("server", "kind", "attributes"),
    [
        ("ours", "bandwidth", {"rate": -1}),
        ("ours", "slicer", {}),
        ("ours", "slicer", {"average_size": 0, "size_variation": 0}),
        ("ours", "slicer", {"average_size": 10, "size_variation": 11}),
        ("ours", "slicer", {"average_size": 10, "size_variation": -10}),
        ("toxiproxy", "bandwidth", {"rate": -1}),
        ("toxiproxy", "slicer", {}),
        ("toxiproxy", "slicer", {"average_size": 10, "size_variation": 500}),
    ],
)
def test_deadly_attributes(
    request: pytest.FixtureRequest, upstream: Upstream, server: str, kind: str, attributes: dict[str, int]
) -> None:
    """Ours refuses what no toxic could work with; theirs takes it, and is gone after some data."""
    control: Control = request.getfixturevalue(server)
    listen = control.create(upstream.address)["listen"]
    reply = control.ask("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})
    assert reply.status == (400 if control.builtin else 200)
    if control.builtin:
        assert control.ask("GET", "/proxies/p/toxics").json == []
        return
    process = psutil.Process(control.pid)
    with connected(listen), contextlib.suppress(OSError):
        served = upstream.accept()
        served.send(bytes(1000))
        # Where chance has a part in it, it may take more than the first data.
        assert eventually(lambda: not _alive(process) or served.sock.send(bytes(1000)) < 1, 20)
    assert eventually(lambda: not _alive(process))


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def test_refused_change(control: Control) -> None:
    """Ours changes all of a toxic or nothing."""
    control.create(NOWHERE)
    path = control.add("latency", latency=1)
    refused = control.ask("PATCH", path, '{"attributes":{"jitter":9,"latency":"x"}}')
    assert refused.status == 400
    jitter = control.ask("GET", path).json["attributes"]["jitter"]
    assert jitter == (0 if control.builtin else 9)


def test_reset_of_live_connections(line: Line) -> None:
    """Ours sends RST to those that were there, too."""
    client, server = line.connect()
    line.control.add("reset_peer")
    server.send(b"x")
    assert [client.was_reset(), server.was_reset()] == [line.control.builtin] * 2


def test_end_of_spared_connections(line: Line) -> None:
    """An end that has nothing to do with the toxic is an orderly one with ours."""
    line.control.add("reset_peer", toxicity=0.0)
    client, server = line.connect()
    server.send(b"spared")
    assert client.receive(6) == b"spared"
    server.close()
    assert client.was_reset() != line.control.builtin


def test_deletion_during_reset(line: Line) -> None:
    """Ours answers at once, and keeps its word."""
    path = line.control.add("reset_peer", timeout=400)
    client, server = line.connect()
    clock = Clock()
    server.send(b"x")
    assert client.is_silent(0.05)
    line.control.delete(path)
    assert clock.took(0, 0.3) if line.control.builtin else clock.took(0.4)
    assert client.was_reset()
    assert clock.took(0.4)


@pytest.mark.parametrize("change", ["add", "remove"])
def test_neighbours(line: Line, change: str) -> None:
    """What a latency holds back stays there with ours, whatever comes or goes behind it."""
    line.control.add("latency", latency=60_000)
    if change == "remove":
        line.control.add("noop")
    client, server = line.connect()
    server.send(b"late")
    assert client.is_silent()
    if change == "add":
        line.control.add("noop")
    else:
        line.control.delete("/proxies/p/toxics/noop_downstream")
    assert client.is_silent() == line.control.builtin


def test_toxicity_of_neighbours(line: Line) -> None:
    """Of connections that chance had spared, ours strikes none when a neighbour comes and goes."""
    line.control.add("limit_data", toxicity=0.5, bytes=0)
    spared = []
    for _ in range(24):
        client, server = line.connect()
        server.send(b"1")
        if client.receive(1) == b"1":
            spared.append((client, server))
    line.control.add("noop")
    line.control.delete("/proxies/p/toxics/noop_downstream")
    for _client, server in spared:
        server.send(b"2")
    struck = [client for client, _ in spared if client.receive(1) == b""]
    assert spared
    assert bool(struck) != line.control.builtin


def test_latencies_in_a_row(line: Line) -> None:
    """Ten pieces, sent one after the other: with ours, the last is as late as the first."""
    for name in ("one", "two"):
        wish = {"name": name, "type": "latency", "attributes": {"latency": 150}}
        assert line.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    client, server = line.connect()
    for piece in range(10):
        sent_at = time.monotonic()
        server.send(bytes([piece]))
        select.select([client.sock], [], [], 0.01)
    assert client.receive(10) == bytes(range(10))
    assert (time.monotonic() - sent_at >= 0.298) == line.control.builtin


def test_disabled_port(control: Control) -> None:
    """Ours stays bound to a disabled proxy's port, so that no stranger is given it."""
    listen = control.create(NOWHERE)["listen"]
    control.change("/proxies/p", enabled=False)
    assert _can_be_taken(listen) != control.builtin
    control.delete("/proxies/p")
    assert _can_be_taken(listen)


def _can_be_taken(listen: str) -> bool:
    with socket.socket() as stranger:
        try:
            stranger.bind(address_of(listen))
        except OSError:
            return False
    return True


def test_slow_upstream(control: Control) -> None:
    """While one client waits for an upstream that doesn't answer, ours tries for another, too."""
    with _unanswering() as address:
        listen = control.create(address)["listen"]
        with connected(listen), connected(listen):
            assert (_tries(control, address) == 2) == control.builtin


@contextlib.contextmanager
def _unanswering() -> Iterator[str]:
    """The address of a listener whose queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield f"127.0.0.1:{listener.getsockname()[1]}"


def _tries(control: Control, address: str) -> int:
    """How many connections to an upstream the server is trying to make."""
    port = int(address.rpartition(":")[2])

    def trying() -> int:
        found = psutil.Process(control.pid).net_connections("tcp")
        return sum(c.status == "SYN_SENT" and c.raddr.port == port for c in found)

    eventually(lambda: trying() >= 2, 0.5)
    return trying()


def test_failed_reset(control: Control) -> None:
    """Of four proxies before one that can't be enabled, ours resets all; theirs misses some, in the end."""
    if control.builtin:
        assert not any(_missed_by_reset(control) for _ in range(5))
    else:
        assert eventually(lambda: _missed_by_reset(control))


def _missed_by_reset(control: Control) -> bool:
    control.delete_everything()
    names = ["a", "b", "c", "d"]
    for name in [*names, "p"]:
        control.create(NOWHERE, name=name, enabled=False)
    taken = f"127.0.0.1:{control.port}"
    assert control.ask("PATCH", "/proxies/p", {"listen": taken, "enabled": False}).status == 200
    assert control.ask("POST", "/reset").status == 500
    shown = control.ask("GET", "/proxies").json
    return not all(shown[name]["enabled"] for name in names)


def test_logger(control: Control) -> None:
    """Only theirs knows of a logger."""
    control.create(NOWHERE)
    assert (b"Logger" in control.ask("GET", "/proxies/p").body) != control.builtin
    wish = {"name": "q", "upstream": NOWHERE, "listen": "127.0.0.1:0", "Logger": 5}
    assert control.ask("POST", "/proxies", wish).status == (201 if control.builtin else 400)


def test_extensions(control: Control) -> None:
    """Theirs has neither the paths nor the toxics, and passes over the field."""
    control.create(NOWHERE)
    assert (control.ask("GET", "/prodready/extensions").status == 404) != control.builtin
    wish = {"type": "total_bandwidth", "only": {"older_than": 0}}
    assert control.ask("POST", "/proxies/p/toxics", wish).status == (200 if control.builtin else 400)
    reply = control.ask("POST", "/proxies/p/toxics", {**wish, "type": "noop"})
    assert ("only" in reply.json) == control.builtin


def test_left_out(request: pytest.FixtureRequest, control: Control) -> None:
    """Their command has options for metrics and a configuration file, ours hasn't."""
    command = [sys.executable, "-m", "pytest_prodready.faultproxy"]
    if not control.builtin:
        command = [request.getfixturevalue("_binary_of_theirs")]
    told = subprocess.run([*command, "-h"], capture_output=True, text=True, check=False, timeout=20)
    shown = told.stdout + told.stderr
    assert "port" in shown
    for option in ("config", "metrics"):
        assert (option in shown) != control.builtin
