"""The HTTP API, request by request."""

from __future__ import annotations

import re
import socket

import pytest

from .peers import Control, Upstream, has_ipv6, is_refused

NOWHERE = "127.0.0.1:9"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


def refusal(message: str, status: int) -> bytes:
    """The body of an error."""
    return f'{{"error":"{message}","status":{status}}}\n'.encode()


def test_version_is_told(control: Control) -> None:
    """The version is JSON with the very spacing that clients look for."""
    reply = control.ask("GET", "/version")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json;charset=utf-8"
    assert re.fullmatch(rb'\{"version": "[^"]+"\}\n', reply.body)


def test_builtin_claims_the_version_it_follows(builtin: Control) -> None:
    """The built-in server names the Toxiproxy version that it is compatible with."""
    assert builtin.ask("GET", "/version").body == b'{"version": "2.12.0"}\n'


@pytest.mark.parametrize("path", ["/", "/nope", "/proxies/", "/proxies/p/", "/proxies/p/toxics/", "/metrics"])
def test_unknown_path_is_not_found(control: Control, path: str) -> None:
    """Unknown paths and trailing slashes are 404 in plain text."""
    reply = control.ask("GET", path)
    assert (reply.status, reply.body) == (404, b"404 page not found\n")
    assert reply.headers["content-type"] == TEXT


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/version"),
        ("POST", "/version"),
        ("GET", "/reset"),
        ("GET", "/populate"),
        ("PUT", "/proxies/p"),
        ("DELETE", "/proxies"),
        ("PATCH", "/proxies/p/toxics"),
        ("PUT", "/proxies/p/toxics/t"),
        ("OPTIONS", "/proxies"),
    ],
)
def test_wrong_method_is_refused(control: Control, method: str, path: str) -> None:
    """A wrong method is 405 without a body."""
    reply = control.ask(method, path)
    assert (reply.status, reply.body) == (405, b"")


def test_browsers_are_refused(control: Control) -> None:
    """A browser's User-Agent is refused, after path and method were looked at."""
    browser = {"User-Agent": "Mozilla/5.0 (X11)"}
    reply = control.ask("GET", "/version", headers=browser)
    assert (reply.status, reply.body) == (403, b"User agent not allowed\n")
    assert control.ask("GET", "/nope", headers=browser).status == 404
    assert control.ask("PUT", "/version", headers=browser).status == 405


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


def test_omitted_listen_stays_on_loopback(builtin: Control) -> None:
    """The built-in server listens where its API does, unless it is told otherwise."""
    reply = builtin.ask("POST", "/proxies", {"name": "p", "upstream": NOWHERE})
    assert reply.json["listen"].startswith("127.0.0.1:")


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


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("latency", ["latency", "jitter"]),
        ("bandwidth", ["rate"]),
        ("slow_close", ["delay"]),
        ("timeout", ["timeout"]),
        ("reset_peer", ["timeout"]),
        ("limit_data", ["bytes"]),
        ("noop", []),
    ],
)
def test_toxic_has_defaults(control: Control, kind: str, attributes: list[str]) -> None:
    """A toxic of which only the type is given works downstream, always, with zeros."""
    control.create(NOWHERE)
    reply = control.ask("POST", "/proxies/p/toxics", {"type": kind})
    zeros = "{" + ",".join(f'"{name}":0' for name in attributes) + "}"
    assert reply.status == 200
    assert reply.body.decode() == (
        f'{{"attributes":{zeros},"name":"{kind}_downstream","type":"{kind}",'
        '"stream":"downstream","toxicity":1}'
    )
    assert control.ask("GET", f"/proxies/p/toxics/{kind}_downstream").body == reply.body
    assert control.ask("GET", "/proxies/p/toxics").body == b"[" + reply.body + b"]"
    assert control.ask("GET", "/proxies/p").json["toxics"] == [reply.json]


def test_stream_is_echoed(control: Control) -> None:
    """The stream is understood in any case, and shown as it was given."""
    control.create(NOWHERE)
    toxic = control.ask("POST", "/proxies/p/toxics", {"type": "noop", "stream": "UPSTREAM"}).json
    assert (toxic["stream"], toxic["name"]) == ("UPSTREAM", "noop_UPSTREAM")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ('{"type":"noop","stream":""}', 400, "stream was invalid, can be either upstream or downstream"),
        ('{"type":"nope","stream":"side"}', 400, "stream was invalid, can be either upstream or downstream"),
        ("{}", 400, "invalid toxic type"),
        ('{"type":"down"}', 400, "invalid toxic type"),
        ('{"type":"nope","name":"t"}', 400, "invalid toxic type"),
        ('{"type":"latency","name":"t"}', 409, "toxic already exists"),
        ('{"type":"latency","name":"t","attributes":{"latency":"x"}}', 409, "toxic already exists"),
    ],
)
def test_impossible_toxic_is_refused(control: Control, body: str, status: int, message: str) -> None:
    """The stream is looked at before the type, the type before the name, the name before the attributes."""
    control.create(NOWHERE)
    control.ask("POST", "/proxies/p/toxics", {"name": "t", "type": "noop", "stream": "upstream"})
    reply = control.ask("POST", "/proxies/p/toxics", body)
    assert (reply.status, reply.body) == (status, refusal(message, status))


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        '{"type":"latency","stream":1}',
        '{"type":5}',
        '{"type":"nope","toxicity":"x"}',
        '{"type":"latency","attributes":[]}',
        '{"type":"latency","attributes":{"latency":1.5}}',
        '{"type":"latency","attributes":{"latency":1.0}}',
        '{"type":"latency","attributes":{"latency":1e3}}',
        '{"type":"latency","attributes":{"latency":"1"}}',
        '{"type":"latency","attributes":{"latency":true}}',
        '{"type":"latency","attributes":{"latency":9223372036854775808}}',
        '{"type":"latency","toxicity":1e39}',
    ],
)
def test_malformed_toxic_is_refused(control: Control, body: str) -> None:
    """Wrong types are 400, and no toxic comes of them; a number with a fraction is no integer."""
    control.create(NOWHERE)
    reply = control.ask("POST", "/proxies/p/toxics", body)
    assert reply.status == 400
    assert reply.json["error"].startswith("bad request body: ")
    assert control.ask("GET", "/proxies/p/toxics").body == b"[]"


@pytest.mark.parametrize(
    ("given", "shown"), [("0.1", 0.1), ("0.123456789", 0.12345679), ("1", 1), ("-5", -5), ("1e30", 1e30)]
)
def test_toxicity_is_single_precision(control: Control, given: str, shown: float) -> None:
    """Toxicity is shown as rounded to single precision, and its range isn't looked at."""
    control.create(NOWHERE)
    reply = control.ask("POST", "/proxies/p/toxics", f'{{"type":"noop","toxicity":{given}}}')
    assert reply.json["toxicity"] == shown


def test_upstream_toxics_are_listed_first(control: Control) -> None:
    """Toxics are listed by direction, then in the order they were added."""
    control.create(NOWHERE)
    for name, stream in [("d1", "downstream"), ("u1", "upstream"), ("d2", "downstream"), ("u2", "Upstream")]:
        control.ask("POST", "/proxies/p/toxics", {"name": name, "type": "noop", "stream": stream})
    listed = control.ask("GET", "/proxies/p/toxics").json
    assert [toxic["name"] for toxic in listed] == ["u1", "u2", "d1", "d2"]


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_toxic_is_changed(control: Control, method: str) -> None:
    """Attributes are merged, toxicity changes, and everything else is ignored."""
    control.create(NOWHERE)
    path = control.add("latency", latency=5, jitter=1)
    body = {"name": 5, "type": "noop", "stream": "x", "toxicity": 0.5, "attributes": {"JITTER": 7, "no": 1}}
    reply = control.ask(method, path, body)
    assert reply.status == 200
    assert reply.json == {
        "attributes": {"latency": 5, "jitter": 7},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 0.5,
    }
    assert control.ask("GET", path).json == reply.json
    assert control.ask(method, path, {}).json == reply.json


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
def test_missing_toxic_is_told_first(control: Control, method: str) -> None:
    """A missing toxic is 404, whatever the body is."""
    control.create(NOWHERE)
    reply = control.ask(method, "/proxies/p/toxics/none", "{")
    assert (reply.status, reply.body) == (404, refusal("toxic not found", 404))


def test_toxic_is_deleted(control: Control) -> None:
    """A deleted toxic is gone."""
    control.create(NOWHERE)
    path = control.add("latency")
    reply = control.ask("DELETE", path)
    assert (reply.status, reply.body) == (204, b"")
    assert control.ask("GET", path).status == 404


def test_toxics_survive_disabling_and_change(control: Control) -> None:
    """Toxics belong to the proxy, whatever happens to its port."""
    control.create(NOWHERE)
    control.add("latency", latency=5)
    before = control.ask("GET", "/proxies/p/toxics").json
    control.change("/proxies/p", enabled=False)
    control.change("/proxies/p", enabled=True, upstream="127.0.0.1:10")
    assert control.ask("GET", "/proxies/p/toxics").json == before


def test_reset_enables_and_removes_toxics(control: Control) -> None:
    """After a reset all proxies are enabled, and none has toxics."""
    listen = control.create(NOWHERE)["listen"]
    control.add("latency")
    control.add("timeout", "upstream")
    control.change("/proxies/p", enabled=False)
    reply = control.ask("POST", "/reset")
    assert (reply.status, reply.body) == (204, b"")
    shown = control.ask("GET", "/proxies/p").json
    assert (shown["enabled"], shown["toxics"], shown["listen"]) == (True, [], listen)


def test_populate_creates_a_list(control: Control) -> None:
    """All proxies of the list are there afterwards, and are told in its order."""
    wishes = [
        {"name": "b", "upstream": NOWHERE, "listen": "127.0.0.1:0"},
        {"name": "a", "upstream": NOWHERE, "listen": "127.0.0.1:0", "enabled": False},
    ]
    reply = control.ask("POST", "/populate", wishes)
    assert (reply.status, reply.headers["content-type"]) == (201, JSON)
    assert [(p["name"], p["enabled"]) for p in reply.json["proxies"]] == [("b", True), ("a", False)]
    assert set(control.ask("GET", "/proxies").json) == {"a", "b"}


def test_populate_leaves_what_is_the_same(control: Control) -> None:
    """A proxy of the same address and upstream stays, with its toxics; another is replaced without."""
    before = control.create(NOWHERE)
    control.add("latency")
    same = {"name": "p", "upstream": NOWHERE, "listen": before["listen"].replace("127.0.0.1", "localhost")}
    kept = control.ask("POST", "/populate", [same]).json["proxies"][0]
    assert (kept["listen"], len(kept["toxics"])) == (before["listen"], 1)
    other = {**same, "upstream": "127.0.0.1:10"}
    replaced = control.ask("POST", "/populate", [other]).json["proxies"][0]
    assert (replaced["upstream"], replaced["toxics"]) == ("127.0.0.1:10", [])
    assert not is_refused(replaced["listen"])


def test_populate_tells_the_end_state(control: Control) -> None:
    """Of two proxies of a name in one list, the first is told as disabled: the second has replaced it."""
    wishes = [{"name": "p", "upstream": NOWHERE, "listen": "127.0.0.1:0"}] * 2
    told = control.ask("POST", "/populate", wishes).json["proxies"]
    assert [proxy["enabled"] for proxy in told] == [False, True]
    assert not is_refused(told[1]["listen"])


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ("[]", 201, '{"proxies":null}'),
        ("null", 201, '{"proxies":null}'),
        ("[null]", 400, '{"error":"missing required field: name at proxy 1","status":400,"proxies":null}'),
        (
            '[{"name":"a","upstream":"x:1","listen":"127.0.0.1:0"},{"name":"b"}]',
            400,
            '{"error":"missing required field: upstream at proxy 2","status":400,"proxies":null}',
        ),
        ("", 400, '{"error":"bad request body: EOF","status":400,"proxies":null}'),
        (
            '[{"name":"a","upstream":"x:1","listen":"bad"}]',
            500,
            '{"error":"listen tcp: address bad: missing port in address","status":500,"proxies":null}',
        ),
    ],
)
def test_populate_checks_all_first(control: Control, body: str, status: int, answer: str) -> None:
    """A list with a fault in it creates nothing, and the answer is JSON."""
    reply = control.ask("POST", "/populate", body)
    assert (reply.status, reply.body.decode(), reply.headers["content-type"]) == (status, answer, JSON)
    assert control.ask("GET", "/proxies").json == {}


@pytest.mark.parametrize("body", ["{}", '[{"name":5}]', '[{"name":"a","enabled":0}]', "[5]"])
def test_malformed_list_is_refused(control: Control, body: str) -> None:
    """A list of wrong types is 400."""
    reply = control.ask("POST", "/populate", body)
    assert reply.status == 400
    assert reply.json["error"].startswith("bad request body: ")
    assert reply.json["proxies"] is None


def test_populate_stops_at_the_first_failure(control: Control) -> None:
    """The proxies before one that can't listen stay, those after it aren't tried."""
    listens = ["127.0.0.1:0", f"127.0.0.1:{control.port}", "127.0.0.1:0"]
    wishes = [{"name": f"p{i}", "upstream": NOWHERE, "listen": at} for i, at in enumerate(listens)]
    reply = control.ask("POST", "/populate", wishes)
    assert reply.status == 500
    assert [proxy["name"] for proxy in reply.json["proxies"]] == ["p0"]
    assert list(control.ask("GET", "/proxies").json) == ["p0"]


def test_names_are_escaped(control: Control) -> None:
    """Names of any characters are reached by their escaped path, and shown as Go's encoder would."""
    control.create(NOWHERE, name="<é & b>")
    path = "/proxies/%3C%C3%A9%20%26%20b%3E"
    reply = control.ask("GET", path)
    assert reply.json["name"] == "<é & b>"
    assert '"\\u003cé \\u0026 b\\u003e"'.encode() in reply.body
    control.delete(path)


def test_connection_serves_many_requests(control: Control, upstream: Upstream) -> None:
    """Requests follow one another on one connection, also in pieces and with chunked bodies."""
    body = f'{{"name":"p","upstream":"{upstream.address}","listen":"127.0.0.1:0"}}'
    pieces = [
        b"GET /version HTTP/1.1\r\nHost: x\r\n\r\nPOST /prox",
        b"ies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        f"5\r\n{body[:5]}\r\n{len(body) - 5:x}\r\n{body[5:]}\r\n0\r\n\r\n".encode(),
        b"GET /proxies/p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ]
    with socket.create_connection((control.host, control.port), timeout=5) as sock:
        for piece in pieces:
            sock.sendall(piece)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.count(b"HTTP/1.1 201 Created\r\n") == 1


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("bandwidth", {"rate": -1}),
        ("slicer", {}),
        ("slicer", {"average_size": 0, "size_variation": 0}),
        ("slicer", {"average_size": 10, "size_variation": 11}),
        ("slicer", {"average_size": 10, "size_variation": -10}),
    ],
)
def test_deadly_attributes_are_refused(builtin: Control, kind: str, attributes: dict[str, int]) -> None:
    """The built-in server refuses attributes that no toxic could work with."""
    builtin.create(NOWHERE)
    reply = builtin.ask("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})
    assert reply.status == 400
    assert builtin.ask("GET", "/proxies/p/toxics").body == b"[]"


def test_refused_change_leaves_the_toxic(builtin: Control) -> None:
    """The built-in server changes all of a toxic or nothing."""
    builtin.create(NOWHERE)
    path = builtin.add("latency", latency=1)
    assert builtin.ask("PATCH", path, {"attributes": {"jitter": 9, "latency": "x"}}).status == 400
    assert builtin.ask("GET", path).json["attributes"] == {"latency": 1, "jitter": 0}


@pytest.mark.parametrize("garbage", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n"])
def test_garbage_ends_the_conversation(builtin: Control, garbage: bytes) -> None:
    """What isn't HTTP is answered at most by 400, and the server goes on."""
    with socket.create_connection((builtin.host, builtin.port), timeout=5) as sock:
        sock.sendall(garbage)
        assert sock.recv(65536)[:12] in (b"", b"HTTP/1.1 400")
    assert builtin.ask("GET", "/version").status == 200
