"""The built-in server's extensions, by its API: what they do, and that a plain client never meets them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Line, builtin_server
from .peers import NOWHERE, Clock, Control, Upstream, connected, eventually

ADMISSION = "/prodready/proxies/p/admission"
TRAFFIC = "/prodready/proxies/p/connections"
ANYWHERE = {
    "connections",
    "connection_age",
    "total_bandwidth",
    "new_refused",
    "open_delay",
    "upstream_down",
    "proxy_with_toxics",
    "keep_live",
}


def test_extensions_are_told(ours: Control) -> None:
    """Each extension works here, or the reason why it doesn't is told."""
    told = ours.ask("GET", "/prodready/extensions").json
    assert set(told["available"]) >= ANYWHERE
    assert set(told["available"]) | set(told["unavailable"]) == ANYWHERE | {"packet_loss", "new_unanswered"}
    assert all(len(reason) > 20 for reason in told["unavailable"].values())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these need Linux")
def test_extensions_are_there_where_they_can_be(ours: Control) -> None:
    """Linux lets every user leave clients unanswered, and those with CAP_NET_ADMIN drop packets."""
    available = ours.ask("GET", "/prodready/extensions").json["available"]
    assert "new_unanswered" in available
    assert "packet_loss" in available or not _may_administer_networks()


def _may_administer_networks() -> bool:
    (effective,) = re.findall(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(int(effective, 16) >> 12 & 1)


@pytest.mark.parametrize("path", ["/prodready/extensions", "/prodready/proxies", ADMISSION, TRAFFIC])
def test_toxiproxy_has_no_extensions(control: Control, path: str) -> None:
    """Where there are no extensions, their paths are unknown; where there are, no 404 says so."""
    control.create(NOWHERE)
    assert (control.ask("GET", path).status == 404) != control.builtin


@pytest.mark.parametrize("path", [ADMISSION, TRAFFIC])
def test_extensions_of_missing_proxies(ours: Control, path: str) -> None:
    """A proxy that isn't there has none."""
    assert ours.ask("GET", path).json == {"error": "proxy not found", "status": 404}


def test_plain_clients_see_nothing_of_extensions(our_line: Line) -> None:
    """What is off isn't shown, and what is on shows in no field that Toxiproxy has."""
    path = our_line.control.add("latency")
    fields = {"attributes", "name", "type", "stream", "toxicity"}
    assert set(our_line.control.ask("GET", path).json) == fields
    our_line.control.change(ADMISSION, accepting="refused", open_delay=5)
    shown = our_line.control.ask("GET", "/proxies/p").json
    assert set(shown) == {"name", "listen", "upstream", "enabled", "toxics"}
    assert (shown["enabled"], shown["listen"]) == (True, our_line.listen)


def test_traffic_is_counted(our_line: Line) -> None:
    """Clients now, ever and by the second, and bytes each way, of open and closed connections."""
    before = time.time()
    client, server = our_line.connect()
    client.send(b"12345")
    server.send(b"123")
    assert server.receive(5) == b"12345"
    assert client.receive(3) == b"123"
    told = _traffic(our_line)
    assert (told["open"], told["accepted"]) == (1, 1)
    assert told["bytes"] == {"upstream": 5, "downstream": 3}
    assert sum(count for _, count in told["accepted_per_second"]) == 1
    assert before - 1 <= told["accepted_per_second"][0][0] <= time.time()
    client.close()
    assert eventually(lambda: _traffic(our_line) == {**told, "open": 0})


def _traffic(line: Line) -> Any:
    return line.control.ask("GET", TRAFFIC).json


@pytest.mark.parametrize(("only", "struck"), [("older_than", "old"), ("younger_than", "new")])
def test_toxics_choose_connections_by_age(our_line: Line, only: str, struck: str) -> None:
    """A toxic strikes the connections that were there, or those that come, for good."""
    pairs = {"old": our_line.connect()}
    wish = {"type": "bandwidth", "attributes": {"rate": 0}, "only": {only: 0}}
    told = our_line.control.ask("POST", "/proxies/p/toxics", wish).json
    assert told["only"] == {only: 0}
    pairs["new"] = our_line.connect()
    for _client, server in pairs.values():
        server.send(b"data")
    spared = next(pair for name, pair in pairs.items() if name != struck)
    assert spared[0].receive(4) == b"data"
    assert pairs[struck][0].is_silent()
    path = f"/proxies/p/toxics/{told['name']}"
    assert our_line.control.change(path, toxicity=0.0)["only"] == {only: 0}
    assert pairs[struck][0].receive(4) == b"data"


def test_ages_make_a_span(our_line: Line) -> None:
    """Older than one age and younger than another is between; of an age that none has, none is struck."""
    client, server = our_line.connect()
    wish = {
        "type": "limit_data",
        "attributes": {},
        "only": {"older_than": 3_600_000, "younger_than": 7_200_000},
    }
    assert our_line.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    server.send(b"spared")
    assert client.receive(6) == b"spared"


@pytest.mark.parametrize("only", ['{"older_than":-1}', '{"younger_than":"1"}', "[]", '{"older_than":1.5}'])
def test_impossible_ages_are_refused(our_line: Line, only: str) -> None:
    """An age that is none is 400, and no toxic comes of it."""
    reply = our_line.control.ask("POST", "/proxies/p/toxics", f'{{"type":"noop","only":{only}}}')
    assert reply.status == 400
    assert our_line.control.ask("GET", "/proxies/p/toxics").json == []


def test_deleted_timeout_spares_those_it_did_not_concern(our_line: Line) -> None:
    """Chance aside, a toxic that was never theirs closes no connections when it goes."""
    wish = {"type": "timeout", "attributes": {}, "only": {"older_than": 0}}
    assert our_line.control.ask("POST", "/proxies/p/toxics", wish).status == 200
    client, server = our_line.connect()
    our_line.control.delete("/proxies/p/toxics/timeout_downstream")
    server.send(b"spared")
    assert client.receive(6) == b"spared"


def test_total_bandwidth_is_shared(our_line: Line) -> None:
    """Four connections together take as long as one would for all of it, and take turns."""
    our_line.control.add("total_bandwidth", rate=200)
    pairs = [our_line.connect() for _ in range(4)]
    clock = Clock()
    for _, server in pairs:
        server.send(bytes(25_000))
    assert [len(client.receive(10_000)) for client, _ in pairs] == [10_000] * 4
    assert clock.took(0.15)
    assert [len(client.receive(15_000)) for client, _ in pairs] == [15_000] * 4
    assert clock.took(0.45)


def test_total_bandwidth_is_left_by_those_that_go(our_line: Line) -> None:
    """A connection that ends in the middle leaves its share to the others."""
    path = our_line.control.add("total_bandwidth", rate=0)
    (leaving, one), (staying, other) = our_line.connect(), our_line.connect()
    one.send(bytes(50_000))
    other.send(bytes(20_000))
    assert leaving.is_silent()
    leaving.close()
    our_line.control.change(path, attributes={"rate": 400})
    assert len(staying.receive(20_000)) == 20_000


def test_negative_total_bandwidth_is_refused(our_line: Line) -> None:
    """Less than nothing can't pass."""
    wish = {"type": "total_bandwidth", "attributes": {"rate": -1}}
    assert our_line.control.ask("POST", "/proxies/p/toxics", wish).status == 400


def test_proxy_comes_with_its_toxics(ours: Control, upstream: Upstream) -> None:
    """One request makes a proxy whose very first connection meets its toxics."""
    toxics = [{"type": "limit_data", "attributes": {"bytes": 2}}, {"type": "noop", "stream": "upstream"}]
    wish = {"name": "p", "upstream": upstream.address, "listen": "127.0.0.1:0", "toxics": toxics}
    reply = ours.ask("POST", "/prodready/proxies", wish)
    assert reply.status == 201
    assert [toxic["type"] for toxic in reply.json["toxics"]] == ["noop", "limit_data"]
    with connected(reply.json["listen"]) as client:
        upstream.accept().send(b"12345")
        assert client.rest() == b"12"


@pytest.mark.parametrize(
    ("toxics", "status"),
    [
        ('[{"type":"nope"}]', 400),
        ('[{"type":"noop"},{"type":"noop"}]', 409),
        ('{"type":"noop"}', 400),
        ('[{"type":"latency","attributes":{"latency":"x"}}]', 400),
        ("[1]", 400),
    ],
)
def test_proxy_with_impossible_toxics_is_refused(ours: Control, toxics: str, status: int) -> None:
    """Neither the proxy nor a toxic comes of it."""
    body = f'{{"name":"p","upstream":"{NOWHERE}","listen":"127.0.0.1:0","toxics":{toxics}}}'
    assert ours.ask("POST", "/prodready/proxies", body).status == status
    assert ours.ask("GET", "/proxies").json == {}


def test_toxics_of_a_plain_creation_are_ignored(control: Control) -> None:
    """Toxiproxy's own request for a proxy has no toxics, and those given are passed over, by both."""
    assert control.create(NOWHERE, toxics=[{"type": "latency"}, 5])["toxics"] == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="taking CAP_NET_ADMIN away takes root and setpriv",
)
def test_missing_privilege_is_told() -> None:
    """Without CAP_NET_ADMIN packet loss is not available, is told as such, and refused with the reason."""
    drop = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--")
    with builtin_server(*drop) as control:
        told = control.ask("GET", "/prodready/extensions").json
        assert "CAP_NET_ADMIN" in told["unavailable"]["packet_loss"]
        assert "packet_loss" not in told["available"]
        control.create(NOWHERE)
        reply = control.ask("POST", "/proxies/p/toxics", {"type": "packet_loss"})
        assert reply.status == 501
        assert "CAP_NET_ADMIN" in reply.json["error"]
        assert control.ask("GET", "/proxies/p/toxics").json == []
