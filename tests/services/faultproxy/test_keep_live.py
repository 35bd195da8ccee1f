"""Another upstream for new connections alone, by the built-in server's extension."""

from __future__ import annotations

import contextlib

import pytest

from pytest_prodready.faults import FaultProxy, Proxied

from .conftest import Line
from .driven import joined, passes
from .peers import Control, Upstream, connected

PLACE = "/prodready/proxies/p"


def test_live_connections_stay_where_they_are(ours_proxied: Proxied, upstream: Upstream) -> None:
    """There and back: new connections follow, those that are open talk on with the server they have."""
    with contextlib.closing(Upstream()) as other, joined(ours_proxied, upstream) as (old, served):
        with ours_proxied.upstream_switched(other.address, keep_live=True):
            with joined(ours_proxied, other) as (new, elsewhere):
                assert passes(new, elsewhere)
            assert passes(old, served)
            with joined(ours_proxied, other) as (kept, elsewhere), ours_proxied.latency(ms=1):
                assert passes(kept, elsewhere)
        assert ours_proxied.upstream == upstream.address
        with joined(ours_proxied, upstream) as back:
            assert passes(*back)
        assert passes(served, old)


def test_live_connections_to_the_other_upstream_stay_too(ours_proxied: Proxied, upstream: Upstream) -> None:
    """Leaving closes nothing either."""
    with contextlib.closing(Upstream()) as other, contextlib.ExitStack() as held:
        with ours_proxied.upstream_switched(other.address, keep_live=True):
            client, elsewhere = held.enter_context(joined(ours_proxied, other))
        assert passes(client, elsewhere)


def test_it_nests_with_the_switch_that_closes(ours_proxied: Proxied, upstream: Upstream) -> None:
    """The plain switch still closes all, and each puts back what it found."""
    with contextlib.closing(Upstream()) as other, joined(ours_proxied, upstream) as (client, _served):
        with (
            ours_proxied.upstream_switched(other.address, keep_live=True),
            ours_proxied.upstream_switched(upstream.address),
        ):
            assert client.ended()
        assert ours_proxied.upstream == upstream.address


def test_clients_of_a_dead_upstream_are_let_in_again(our_line: Line) -> None:
    """A proxy that refuses while its upstream is down looks at the new one, and opens."""
    control, dead = our_line.control, Upstream()
    dead.close()
    control.change("/proxies/p", upstream=dead.address)
    control.change("/prodready/proxies/p/admission", upstream_down="refuse")
    control.change(PLACE, upstream=our_line.upstream.address)
    with connected(our_line.listen) as client:
        client.send(b"x")
        # Looking whether the upstream is down makes a connection too, and ends it.
        assert any(our_line.upstream.accept().receive(1) == b"x" for _ in range(2))


@pytest.mark.parametrize("body", ['{"upstream": 5}', "[", "[]"])
def test_what_cannot_be_understood_changes_nothing(our_line: Line, body: str) -> None:
    """The upstream stays, and so do the live connections."""
    client, served = our_line.connect()
    assert our_line.control.ask("PATCH", PLACE, body).status == 400
    assert our_line.control.ask("GET", "/proxies/p").json["upstream"] == our_line.upstream.address
    assert passes(client, served)


def test_a_proxy_that_is_not_there(ours: Control) -> None:
    """It is refused as everywhere."""
    assert ours.ask("PATCH", "/prodready/proxies/nobody", {"upstream": "127.0.0.1:9"}).status == 404


def test_it_is_there_to_be_found(ours: Control) -> None:
    """The extension is named among those that work."""
    with FaultProxy(ours.host, ours.port) as server:
        assert "keep_live" in server.extensions()
