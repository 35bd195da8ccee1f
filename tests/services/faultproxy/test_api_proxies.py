"""Proxies as the API shows, takes and refuses them."""

from __future__ import annotations

import re

import pytest

from .peers import NOWHERE, Control, has_ipv6, is_refused, refusal

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


def test_proxy_is_created(control: Control) -> None:
    """A new proxy is enabled, tells its port, and has no toxics."""
    reply = control.ask("POST", "/proxies", {"name": "p", "upstream": NOWHERE, "listen": "localhost:0"})
    assert (reply.status, reply.headers["content-type"]) == (201, JSON)
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", reply.json["listen"])
    rest = {key: value for key, value in reply.json.items() if key != "listen"}
    assert rest == {"name": "p", "upstream": NOWHERE, "enabled": True, "toxics": []}
    assert not reply.body.endswith(b"\n")
    assert control.ask("GET", "/proxies/p").json == reply.json
    assert control.ask("GET", "/proxies").json == {"p": reply.json}


@pytest.mark.parametrize(
    "body",
    [
        '{"NAME":"p","Upstream":"127.0.0.1:9","LISTEN":"127.0.0.1:0","eNabled":true}',
        '{"name":"p","upstream":"127.0.0.1:9","listen":"127.0.0.1:0"} and more',
        '{"name":"p","upstream":"127.0.0.1:9","listen":"127.0.0.1:0","enabled":null,"colour":5}',
        ' \n{"name":"x","name":"p","upstream":"127.0.0.1:9","listen":"127.0.0.1:0","name":null}',
    ],
    ids=["any case", "first value counts", "null and unknown", "last name counts"],
)
def test_bodies_are_read_leniently(control: Control, body: str) -> None:
    """Keys match in any case, the first value counts, unknown keys are ignored and null is the default."""
    reply = control.ask("POST", "/proxies", body, {"Content-Type": "text/csv"})
    assert reply.status == 201, reply.body
    assert (reply.json["name"], reply.json["enabled"]) == ("p", True)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "xyz",
        "[1]",
        "1",
        '"p"',
        '{"name":1}',
        '{"name":"p","upstream":"127.0.0.1:9","enabled":"yes"}',
        '{"name":"p","upstream":[],"listen":"127.0.0.1:0"}',
        '{"name":"p",}',
        '{"name":NaN}',
        '{"name":"p',
    ],
)
def test_malformed_proxy_is_refused(control: Control, body: str) -> None:
    """A body that is no JSON object of the right types is 400, and creates nothing."""
    reply = control.ask("POST", "/proxies", body)
    assert (reply.status, reply.headers["content-type"]) == (400, TEXT)
    assert reply.body.startswith(b'{"error":"bad request body: ')
    assert reply.body.endswith(b',"status":400}\n')
    assert control.ask("GET", "/proxies").json == {}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("null", 400, "missing required field: name"),
        ('{"upstream":""}', 400, "missing required field: name"),
        ('{"name":"new"}', 400, "missing required field: upstream"),
        ('{"name":"p","upstream":"127.0.0.1:9"}', 409, "proxy already exists"),
        (
            '{"name":"new","upstream":"x:1","listen":"nope"}',
            500,
            "listen tcp: address nope: missing port in address",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"::1:0"}',
            500,
            "listen tcp: address ::1:0: too many colons in address",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"[::1"}',
            500,
            "listen tcp: address [::1: missing ']' in address",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"127.0.0.1:99999"}',
            500,
            "listen tcp: address 99999: invalid port",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"127.0.0.1:-1"}',
            500,
            "listen tcp: address -1: invalid port",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"127.0.0.1:abc"}',
            500,
            "listen tcp: lookup tcp/abc: unknown port",
        ),
        (
            '{"name":"new","upstream":"x:1","listen":"192.0.2.1:0"}',
            500,
            "listen tcp 192.0.2.1:0: bind: cannot assign requested address",
        ),
    ],
)
def test_impossible_proxy_is_refused(control: Control, body: str, status: int, message: str) -> None:
    """Missing fields, taken names and impossible addresses have their own words, and store nothing."""
    control.create(NOWHERE)
    reply = control.ask("POST", "/proxies", body)
    assert (reply.status, reply.body) == (status, refusal(message, status))
    assert list(control.ask("GET", "/proxies").json) == ["p"]


def test_taken_port_is_refused(control: Control) -> None:
    """A port that somebody listens on can't be had."""
    wish = {"name": "p", "upstream": NOWHERE, "listen": f"127.0.0.1:{control.port}"}
    reply = control.ask("POST", "/proxies", wish)
    message = f"listen tcp 127.0.0.1:{control.port}: bind: address already in use"
    assert (reply.status, reply.body) == (500, refusal(message, 500))
    assert control.ask("GET", "/proxies").json == {}


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")
@pytest.mark.parametrize("listen", ["127.0.0.1:", "127.0.0.1:0", "[::1]:0", "0.0.0.0:0", ":0", "[::]:0"])
def test_listen_address_is_resolved(control: Control, listen: str) -> None:
    """The address that is told names the port; all interfaces are written [::]."""
    told = control.create(NOWHERE, listen=listen)["listen"]
    host = {"127.0.0.1": "127.0.0.1", "[::1]": "[::1]"}.get(listen.rpartition(":")[0], "[::]")
    assert re.fullmatch(re.escape(host) + r":[1-9]\d*", told)
    assert not is_refused(told)


def test_proxy_created_disabled_echoes_its_address(control: Control) -> None:
    """A disabled proxy has no port until it is enabled, and keeps that one."""
    assert control.create(NOWHERE, enabled=False)["listen"] == "127.0.0.1:0"
    listen = control.change("/proxies/p", enabled=True)["listen"]
    assert listen != "127.0.0.1:0"
    assert control.change("/proxies/p", enabled=False)["listen"] == listen
    assert is_refused(listen)
    assert control.change("/proxies/p", enabled=True)["listen"] == listen
    assert not is_refused(listen)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/proxies/none"),
        ("DELETE", "/proxies/none"),
        ("PATCH", "/proxies/none"),
        ("POST", "/proxies/none"),
        ("GET", "/proxies/none/toxics"),
        ("POST", "/proxies/none/toxics"),
        ("DELETE", "/proxies/none/toxics/t"),
    ],
)
def test_missing_proxy_is_told_first(control: Control, method: str, path: str) -> None:
    """A missing proxy is 404, whatever the body is."""
    reply = control.ask(method, path, "{")
    assert (reply.status, reply.body) == (404, refusal("proxy not found", 404))


def test_proxy_is_deleted(control: Control) -> None:
    """A deleted proxy is gone, and its port is free."""
    listen = control.create(NOWHERE)["listen"]
    reply = control.ask("DELETE", "/proxies/p")
    assert (reply.status, reply.body) == (204, b"")
    assert is_refused(listen)
    assert control.ask("DELETE", "/proxies/p").status == 404


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_proxy_is_changed(control: Control, method: str) -> None:
    """Upstream and listen can change; the name can't."""
    before = control.create(NOWHERE)
    reply = control.ask(method, "/proxies/p", {"name": "q", "upstream": "127.0.0.1:10"})
    assert reply.status == 200
    assert reply.json == {**before, "upstream": "127.0.0.1:10"}
    moved = control.ask(method, "/proxies/p", {"listen": "127.0.0.1:0"}).json["listen"]
    assert moved != before["listen"]
    assert is_refused(before["listen"])
    assert not is_refused(moved)


@pytest.mark.parametrize("body", ["null", "{}", '{"enabled":null,"listen":null,"upstream":null}', "{} x"])
def test_empty_change_leaves_the_proxy(control: Control, body: str) -> None:
    """A change that says nothing, or null, changes nothing."""
    before = control.create(NOWHERE)
    reply = control.ask("PATCH", "/proxies/p", body)
    assert (reply.status, reply.json) == (200, before)


def test_upstream_may_be_changed_to_nothing(control: Control) -> None:
    """A change isn't checked as a creation is."""
    control.create(NOWHERE)
    assert control.change("/proxies/p", upstream="")["upstream"] == ""


def test_proxies_are_listed_by_name(control: Control) -> None:
    """All proxies are told in the order of their names."""
    for name in ("b", "c", "a"):
        control.create(NOWHERE, name=name)
    assert list(control.ask("GET", "/proxies").json) == ["a", "b", "c"]


def test_malformed_change_leaves_the_proxy(control: Control) -> None:
    """A change that can't be understood changes nothing."""
    before = control.create(NOWHERE)
    reply = control.ask("PATCH", "/proxies/p", {"listen": "nope", "upstream": "127.0.0.1:10"})
    assert (reply.status, reply.body) == (500, refusal("address nope: missing port in address", 500))
    assert control.ask("PATCH", "/proxies/p", {"enabled": 1}).status == 400
    assert control.ask("PATCH", "/proxies/p", "").body == refusal("bad request body: EOF", 400)
    assert control.ask("GET", "/proxies/p").json == before


def test_change_to_a_taken_port_disables(control: Control) -> None:
    """When the new address can't be had, the proxy is left disabled with it."""
    control.create(NOWHERE)
    taken = f"127.0.0.1:{control.port}"
    assert control.ask("PATCH", "/proxies/p", {"listen": taken}).status == 500
    shown = control.ask("GET", "/proxies/p").json
    assert (shown["listen"], shown["enabled"]) == (taken, False)
    assert control.ask("PATCH", "/proxies/p", {"enabled": True}).status == 500


def test_names_are_escaped(control: Control) -> None:
    """Names of any characters are reached by their escaped path, and shown as Go's encoder would."""
    control.create(NOWHERE, name="<é & b>")
    path = "/proxies/%3C%C3%A9%20%26%20b%3E"
    reply = control.ask("GET", path)
    assert reply.json["name"] == "<é & b>"
    assert '"\\u003cé \\u0026 b\\u003e"'.encode() in reply.body
    control.delete(path)
