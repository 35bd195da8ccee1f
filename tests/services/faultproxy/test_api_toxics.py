"""Toxics as the API shows, takes and refuses them."""

from __future__ import annotations

import pytest

from .peers import NOWHERE, Control, refusal


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
        ('{"type":"LATENCY"}', 400, "invalid toxic type"),
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
    ("given", "shown"),
    [
        ("0.1", "0.1"),
        ("0.123456789", "0.12345679"),
        ("1.0", "1"),
        ("-5", "-5"),
        ("1e-6", "0.000001"),
        ("0.00001234", "0.00001234"),
        ("1.5e-9", "1.5e-9"),
        ("16777217", "16777216"),
        ("123456789", "123456790"),
        ("1e20", "100000000000000000000"),
        ("1e30", "1e+30"),
    ],
)
def test_toxicity_is_single_precision(control: Control, given: str, shown: str) -> None:
    """Toxicity is shown as rounded to single precision, and its range isn't looked at."""
    control.create(NOWHERE)
    reply = control.ask("POST", "/proxies/p/toxics", f'{{"type":"noop","toxicity":{given}}}')
    assert reply.body.decode().endswith(f'"toxicity":{shown}}}')


@pytest.mark.parametrize(
    "body",
    [
        '{"type":"latency","name":"t","attributes":null,"stream":null,"toxicity":null}',
        '{"type":"latency","name":"t","ATTRIBUTES":{"Latency":null,"unknown":5}}',
        '{"type":"latency","name":"t","attributes":{"latency":-0}} and more',
    ],
)
def test_new_toxics_are_read_leniently(control: Control, body: str) -> None:
    """Null is the default, keys match in any case, unknown ones and what follows are ignored."""
    control.create(NOWHERE)
    toxic = control.ask("POST", "/proxies/p/toxics", body).json
    assert toxic["attributes"] == {"latency": 0, "jitter": 0}
    assert (toxic["stream"], toxic["toxicity"]) == ("downstream", 1)


@pytest.mark.parametrize("body", ["null", "{}", '{"attributes":null,"toxicity":null}', '{"attributes":{}}'])
def test_empty_change_changes_nothing(control: Control, body: str) -> None:
    """A PATCH that says nothing leaves everything."""
    control.create(NOWHERE)
    path = control.add("latency", latency=5, toxicity=0.5)
    before = control.ask("GET", path).body
    assert control.ask("PATCH", path, body).body == before


@pytest.mark.parametrize("body", ["", "{", "[]", "5", '{"toxicity":"x"}', '{"attributes":{"latency":0.5}}'])
def test_malformed_change_is_refused(control: Control, body: str) -> None:
    """A PATCH that can't be understood is 400, and changes nothing."""
    control.create(NOWHERE)
    path = control.add("latency", latency=5)
    before = control.ask("GET", path).body
    reply = control.ask("PATCH", path, body)
    assert reply.status == 400
    assert reply.json["error"].startswith("bad request body: ")
    assert control.ask("GET", path).body == before


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_names_are_unique_over_both_streams(control: Control, stream: str) -> None:
    """A name taken in one direction is taken in the other; a default name is like any other."""
    control.create(NOWHERE)
    control.ask("POST", "/proxies/p/toxics", {"name": "noop_downstream", "type": "noop", "stream": stream})
    reply = control.ask("POST", "/proxies/p/toxics", {"type": "noop"})
    assert (reply.status, reply.body) == (409, refusal("toxic already exists", 409))


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
