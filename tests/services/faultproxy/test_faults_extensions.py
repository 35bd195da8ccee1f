"""The faults that need extensions: each works and puts everything back, or says what is lacking and why."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from pytest_prodready.faults import Proxied, UnsupportedFault, older_than, younger_than

from .driven import joined, passes
from .peers import Control, Peer, Upstream, eventually, is_refused, is_reset

Fault = Callable[[Proxied], AbstractContextManager[object]]

# The extension that each fault needs.
FAULTS: dict[str, tuple[str, Fault]] = {
    "packet_loss": ("packet_loss", lambda proxied: proxied.packet_loss(20)),
    "dropped": ("packet_loss", lambda proxied: proxied.dropped()),
    "new_refused": ("new_refused", lambda proxied: proxied.new_refused()),
    "connect_times_out": ("new_unanswered", lambda proxied: proxied.connect_times_out()),
    "slow_open": ("open_delay", lambda proxied: proxied.slow_open(50)),
    "reset": ("upstream_down", lambda proxied: proxied.reset_while_upstream_is_down()),
    "refused": ("upstream_down", lambda proxied: proxied.refused_while_upstream_is_down()),
    "total_bandwidth": ("total_bandwidth", lambda proxied: proxied.total_bandwidth(100)),
    "keep_live": ("keep_live", lambda proxied: proxied.upstream_switched("127.0.0.1:9", keep_live=True)),
    "older_than": ("connection_age", lambda proxied: proxied.latency(1, only=older_than(1))),
    "younger_than": ("connection_age", lambda proxied: proxied.stalled(only=younger_than(0))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_works_or_says_what_it_lacks(
    proxied: Proxied, control: Control, upstream: Upstream, name: str
) -> None:
    """Where a fault is supported it is undone to the letter; elsewhere the error names the extension."""
    extension, fault = FAULTS[name]
    before = state(control)
    if not proxied.supports(extension):
        with pytest.raises(UnsupportedFault, match=extension) as caught, fault(proxied):
            pass
        assert caught.value.extension == extension
        assert len(caught.value.reason) > 20
        assert f":{control.port}" in str(caught.value)
    else:
        with fault(proxied):
            assert state(control) != before
    assert state(control) == before
    with socket.create_connection((proxied.host, proxied.port)) as client:
        client.sendall(b"x")
        # Looking whether the upstream is down makes a connection too, and ends it.
        assert any(upstream.accept().receive(1) == b"x" for _ in range(2))


def state(control: Control) -> tuple[object, object]:
    """All that faults change."""
    return control.ask("GET", "/proxies").json, control.ask("GET", "/prodready/proxies/db/admission").body


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_undone_after_an_error(ours_proxied: Proxied, ours: Control, name: str) -> None:
    """An error in the body is the one that is raised, and everything is put back."""
    extension, fault = FAULTS[name]
    if not ours_proxied.supports(extension):
        pytest.skip(f"{extension} doesn't work here")
    before = state(ours)
    with pytest.raises(ZeroDivisionError), fault(ours_proxied):
        _ = 1 / 0
    assert state(ours) == before


def test_unknown_extensions_are_not_supported(proxied: Proxied) -> None:
    """What nobody has heard of is no support for anything."""
    assert not proxied.supports("time_travel")
    assert "doesn't know it" in proxied.why_not("time_travel")


def test_dropped(ours_proxied: Proxied, upstream: Upstream) -> None:
    """A client's system finds the connection dead, no new one can be made, and then all is well."""
    if not ours_proxied.supports("packet_loss"):
        pytest.skip("packets can't be dropped here")
    with joined(ours_proxied, upstream) as (client, served), joined(ours_proxied, upstream) as patient:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
        with ours_proxied.dropped():
            client.send(b"anyone?")
            patient[0].send(b"later")
            with pytest.raises(TimeoutError) as caught:
                client.receive(1)
            assert caught.value.errno == errno.ETIMEDOUT
            with pytest.raises(TimeoutError):
                socket.create_connection((ours_proxied.host, ours_proxied.port), timeout=0.1)
            assert served.is_silent(0)
        assert patient[1].receive(5) == b"later"
    with joined(ours_proxied, upstream) as (client, served):
        assert passes(client, served)


def test_dropped_for_some(ours_proxied: Proxied, upstream: Upstream) -> None:
    """With `only`, the others live, and new connections can be made."""
    if not ours_proxied.supports("packet_loss"):
        pytest.skip("packets can't be dropped here")
    with joined(ours_proxied, upstream) as (old, served), ours_proxied.dropped(only=older_than(0)):
        old.send(b"x")
        with joined(ours_proxied, upstream) as (client, served_new):
            assert passes(client, served_new)
        assert served.is_silent(0)


def test_new_refused(ours_proxied: Proxied, upstream: Upstream) -> None:
    """Live connections stay, new ones are refused; nested, the outer one still holds."""
    address = f"{ours_proxied.host}:{ours_proxied.port}"
    with joined(ours_proxied, upstream) as (client, served), ours_proxied.new_refused():
        assert is_refused(address)
        assert passes(served, client)
        with ours_proxied.new_refused(), ours_proxied.slow_open(1):
            assert is_refused(address)
        assert is_refused(address)
    assert not is_refused(address)


def test_connect_times_out(ours_proxied: Proxied, upstream: Upstream) -> None:
    """Nobody answers who connects, and those who are connected don't notice."""
    if not ours_proxied.supports("new_unanswered"):
        pytest.skip("clients can't be left unanswered here")
    with joined(ours_proxied, upstream) as (client, served):
        with ours_proxied.connect_times_out(), pytest.raises(TimeoutError):
            socket.create_connection((ours_proxied.host, ours_proxied.port), timeout=0.1)
        assert passes(client, served)


def test_slow_open(ours_proxied: Proxied, upstream: Upstream) -> None:
    """The client is connected, and the upstream hears of it later."""
    with (
        ours_proxied.slow_open(200),
        contextlib.closing(socket.create_connection((ours_proxied.host, ours_proxied.port))) as client,
    ):
        assert Peer(upstream.listener).is_silent(0.1)
        client.sendall(b"x")
        assert upstream.accept().receive(1) == b"x"


def test_upstream_down(ours: Control, ours_proxied: Proxied) -> None:
    """A dead upstream shows as RST, or as a refusal."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    here = f"{ours_proxied.host}:{ours_proxied.port}"
    with ours_proxied.upstream_switched(address):
        with ours_proxied.reset_while_upstream_is_down():
            assert is_reset(here)
        with ours_proxied.refused_while_upstream_is_down():
            assert is_refused(here)
        assert not is_refused(here)


def test_faults_for_connections_of_an_age(ours_proxied: Proxied, upstream: Upstream) -> None:
    """Old connections are struck and new ones aren't, or the other way round."""
    with joined(ours_proxied, upstream) as (old, served_old):
        with ours_proxied.stalled(only=older_than(0)), joined(ours_proxied, upstream) as (new, served_new):
            assert passes(served_new, new)
            served_old.send(b"x")
            assert old.is_silent()
        assert old.receive(1) == b"x"
        with (
            ours_proxied.limit_data(0, only=younger_than(0)),
            joined(ours_proxied, upstream) as (new, served),
        ):
            served.send(b"x")
            assert new.rest() == b""
            assert passes(served_old, old)


def test_faults_can_be_changed(proxied: Proxied, upstream: Upstream, control: Control) -> None:
    """A handle changes what it is told to, of each of the fault's toxics, and leaves the rest."""
    with proxied.latency(60_000, jitter_ms=3) as fault:
        fault.update(latency=0)
        (toxic,) = control.ask("GET", "/proxies/db/toxics").json
        assert toxic["attributes"] == {"latency": 0, "jitter": 3}
        with joined(proxied, upstream) as (client, served):
            assert passes(served, client)
        fault.update(toxicity=0.25)
        (toxic,) = control.ask("GET", "/proxies/db/toxics").json
        assert (toxic["toxicity"], toxic["attributes"]) == (0.25, {"latency": 0, "jitter": 3})
    with proxied.reset_connections(after_ms=5, toxicity=0.5) as fault:
        fault.update(timeout=7)
        toxics = control.ask("GET", "/proxies/db/toxics").json
        assert [(t["attributes"]["timeout"], t["toxicity"]) for t in toxics] == [(7, 0.5)] * 2


def test_traffic_is_told(ours_proxied: Proxied, upstream: Upstream) -> None:
    """Bytes each way, and clients by the second."""
    with joined(ours_proxied, upstream) as (client, served):
        assert passes(client, served)
        assert passes(client, served)
        assert passes(served, client)
    told = ours_proxied.connections()
    assert told is not None
    assert (told.bytes_upstream, told.bytes_downstream) == (2, 1)
    assert [count for _, count in told.accepted_per_second] == [1]
    assert eventually(lambda: ours_proxied.connections().open == 0)  # type: ignore[union-attr]
