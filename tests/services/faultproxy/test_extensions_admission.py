"""How clients are received, by the built-in server's extension: refused, unanswered, late, reset."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from .conftest import Line
from .peers import Clock, Control, Upstream, address_of, connected, eventually, is_refused, is_reset

ADMISSION = "/prodready/proxies/p/admission"
TRAFFIC = "/prodready/proxies/p/connections"


@contextlib.contextmanager
def _connecting(line: Line, timeout_s: float) -> Iterator[socket.socket]:
    with socket.create_connection(address_of(line.listen), timeout=timeout_s) as sock:
        yield sock


def test_admission_is_toxiproxys_by_default(our_line: Line) -> None:
    """Nothing is on that wasn't asked for, and a reset puts that back."""
    default = {"accepting": "open", "open_delay": 0, "upstream_down": "end"}
    assert our_line.control.ask("GET", ADMISSION).json == default
    changed = our_line.control.change(ADMISSION, accepting="refused", upstream_down="reset", open_delay=7)
    assert changed == {"accepting": "refused", "open_delay": 7, "upstream_down": "reset"}
    our_line.control.ask("POST", "/reset")
    assert our_line.control.ask("GET", ADMISSION).json == default
    assert not is_refused(our_line.listen)


@pytest.mark.parametrize(
    "body",
    [
        '{"accepting":"maybe"}',
        '{"accepting":1}',
        '{"open_delay":-1}',
        '{"open_delay":1.5}',
        '{"upstream_down":""}',
        "[",
    ],
)
def test_impossible_admission_is_refused(our_line: Line, body: str) -> None:
    """What can't be understood changes nothing."""
    before = our_line.control.ask("GET", ADMISSION).json
    assert our_line.control.ask("PATCH", ADMISSION, body).status == 400
    assert our_line.control.ask("GET", ADMISSION).json == before


def test_new_clients_are_refused_while_live_ones_stay(our_line: Line) -> None:
    """The port refuses, those that are connected talk on, and the same port answers afterwards."""
    client, server = our_line.connect()
    our_line.control.change(ADMISSION, accepting="refused")
    assert is_refused(our_line.listen)
    server.send(b"still here")
    assert client.receive(10) == b"still here"
    our_line.control.change("/proxies/p", enabled=False)
    assert client.ended()
    our_line.control.change("/proxies/p", enabled=True)
    assert is_refused(our_line.listen)
    our_line.control.change(ADMISSION, accepting="open")
    client, server = our_line.connect()
    server.send(b"x")
    assert client.receive(1) == b"x"


@pytest.fixture
def unanswered(our_line: Line) -> Line:
    """A proxy that answers no client who wants to connect."""
    reason = our_line.control.ask("GET", "/prodready/extensions").json["unavailable"].get("new_unanswered")
    if reason:
        pytest.skip(reason)
    return our_line


def test_connecting_times_out_while_live_clients_stay(unanswered: Line) -> None:
    """Nobody answers a client's SYN, and those that are connected talk on."""
    client, server = unanswered.connect()
    unanswered.control.change(ADMISSION, accepting="unanswered")
    for _ in range(3):
        with pytest.raises(TimeoutError), _connecting(unanswered, 0.1):
            pass
    server.send(b"still here")
    assert client.receive(10) == b"still here"
    assert unanswered.control.ask("GET", TRAFFIC).json["accepted"] == 1


def test_connecting_is_slow_when_answered_late(unanswered: Line) -> None:
    """A client that still tries when the fault ends is connected by its system's next attempt."""
    unanswered.control.change(ADMISSION, accepting="unanswered")
    with socket.socket() as late:
        late.setblocking(False)
        late.connect_ex(address_of(unanswered.listen))
        unanswered.control.change(ADMISSION, accepting="open")
        with _connecting(unanswered, 5):
            unanswered.upstream.accept().send(b"new")
        served = unanswered.upstream.accept()
        assert late.getpeername() == address_of(unanswered.listen)
        late.settimeout(5)
        served.send(b"late")
        assert late.recv(4) == b"late"


def test_unanswered_survives_disabling(unanswered: Line) -> None:
    """Disabling refuses instead, enabling is silent again, and nothing is left when all is over."""
    unanswered.control.change(ADMISSION, accepting="unanswered")
    unanswered.control.change("/proxies/p", enabled=False)
    assert is_refused(unanswered.listen)
    unanswered.control.change("/proxies/p", enabled=True)
    with pytest.raises(TimeoutError), _connecting(unanswered, 0.1):
        pass
    unanswered.control.ask("POST", "/reset")
    client, server = unanswered.connect()
    server.send(b"x")
    assert client.receive(1) == b"x"


def test_opening_is_delayed(our_line: Line) -> None:
    """The client is accepted at once, and the upstream hears of it that much later."""
    our_line.control.change(ADMISSION, open_delay=300)
    clock = Clock()
    with connected(our_line.listen) as client:
        assert clock.took(0, 0.25)
        client.send(b"early")
        served = our_line.upstream.accept()
        assert clock.took(0.3)
        assert served.receive(5) == b"early"


def test_clients_of_a_dead_upstream_are_reset(ours: Control) -> None:
    """An upstream that is down shows as RST instead of an orderly end."""
    ours.create(_vacant())
    ours.change(ADMISSION, upstream_down="reset")
    assert is_reset(ours.ask("GET", "/proxies/p").json["listen"])


def _vacant() -> str:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"127.0.0.1:{gone.getsockname()[1]}"


def _is_refused_by_now(listen: str) -> bool:
    """Also while the port is being closed, which resets those who are just connecting."""
    try:
        return is_refused(listen)
    except ConnectionResetError:
        return False


def test_clients_are_refused_as_long_as_the_upstream_is_down(ours: Control, upstream: Upstream) -> None:
    """The port refuses from the start, answers when the upstream is back, and refuses when it goes again."""
    address = _vacant()
    listen = ours.create(address)["listen"]
    ours.change(ADMISSION, upstream_down="refuse")
    assert is_refused(listen)
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))):
        assert eventually(lambda: not is_refused(listen))
    with contextlib.suppress(ConnectionResetError), connected(listen) as last:
        last.ended()
    assert eventually(lambda: _is_refused_by_now(listen))
    ours.change(ADMISSION, upstream_down="end")
    with connected(listen) as client:
        assert client.ended()
