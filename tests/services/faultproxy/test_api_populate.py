"""POST /populate: a list of proxies at once."""

from __future__ import annotations

import pytest

from .peers import NOWHERE, Control, is_refused

JSON = "application/json"


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


@pytest.mark.parametrize("enabled", [True, False])
def test_populate_leaves_enabled_as_it_is(control: Control, enabled: bool) -> None:
    """A proxy of the same address and upstream is neither enabled nor disabled."""
    before = control.create(NOWHERE)
    control.change("/proxies/p", enabled=enabled)
    same = {"name": "p", "upstream": NOWHERE, "listen": before["listen"], "enabled": not enabled}
    (told,) = control.ask("POST", "/populate", [same]).json["proxies"]
    assert (told["listen"], told["enabled"]) == (before["listen"], enabled)


def test_populate_leaves_those_it_does_not_name(control: Control) -> None:
    """Proxies that aren't in the list stay as they are."""
    before = control.create(NOWHERE, name="other")
    wish = {"name": "p", "upstream": NOWHERE, "listen": "127.0.0.1:0"}
    assert control.ask("POST", "/populate", [wish]).status == 201
    assert control.ask("GET", "/proxies/other").json == before


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
