"""What the generator's requests are on the wire, where they are the same each time and where they aren't."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

import pytest

from pytest_prodready.environment.runs import Run
from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.plan import Ask, Stage
from tests.serving import served

from .test_generator import plan_for, sent

PER_S, SECONDS = 400, 1.0
BY_LOCUST = """
import sys
from locust import FastHttpUser
from locust.env import Environment

user = type("User", (FastHttpUser,), {"host": sys.argv[1]})(Environment())
user.client.request("PUT", "/ü b?q=a%20b&r=[1]", data='{"name": "ü"}', headers={"Content-Type": "text/x"})
user.client.request("GET", "/plain")
"""


class Seen(NamedTuple):
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@contextmanager
def site() -> Iterator[tuple[str, list[Seen]]]:
    """A server that answers everything, and what came to it."""
    seen: list[Seen] = []

    class Site(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append(Seen(self.command, self.path, headers, body))
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"items")

        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with served(Site) as url:
        yield url, seen


def sent_for(run: Run, *asks: Ask) -> list[Seen]:
    """What comes of a mix of requests, all of them answered."""
    with site() as (url, seen):
        plan = replace(plan_for(Stage("a", url, PER_S, SECONDS), users=20, deadline_s=20), asks=asks)
        samples, _ = sent(run, plan)
    assert {each.verdict for each in samples} == {RIGHT}
    assert len(samples) == len(seen) == PER_S * SECONDS
    return seen


def test_every_token_is_another_one(run: Run) -> None:
    """In path, headers and body at once, and the same in all three of one request."""
    word = "x-{token}"
    seen = sent_for(run, Ask("all", f"/p/{word}?q=1", "POST", {"X-Word": word}, {"name": word}))
    tokens = {re.fullmatch(r"/p/x-(\w+)\?q=1", each.path)[1] for each in seen}  # type: ignore[index]
    assert len(tokens) == len(seen)
    for each in seen:
        assert each.path == f"/p/{each.headers['x-word']}?q=1"
        assert each.body == f'{{"name": "{each.headers["x-word"]}"}}'
        assert each.headers["content-type"] == "application/json"


def test_requests_of_a_mix_are_not_mixed_up(run: Run) -> None:
    """Those alike but for a header, the body, its length or the method keep what is theirs."""
    asks = (
        Ask("a", "/same", headers={"X-Who": "a"}),
        Ask("b", "/same", headers={"X-Who": "b"}),
        Ask("c", "/same", "PUT", {"X-Who": "c", "content-type": "text/x"}, json=["c"]),
        Ask("d", "/same", "PUT", {"X-Who": "d", "content-type": "text/x"}, json=["d"]),
        Ask("e", "/same", "POST", {"X-Who": "e"}, json=["eee"]),
        Ask("f", "/same", "POST", {"X-Who": "f"}, json=["f"], weight=2),
        Ask("g", "/same", "POST", {"X-Who": "f"}, json=["{token}"]),
        Ask("h", "/same", "PUT", {"X-Who": "h"}),
        Ask("i", "/same", "DELETE", {"X-Who": "h"}),
    )
    seen = sent_for(run, *asks)
    for who, *told in (
        ("a", "GET", None, ""),
        ("b", "GET", None, ""),
        ("c", "PUT", "text/x", '["c"]'),
        ("d", "PUT", "text/x", '["d"]'),
        ("e", "POST", "application/json", '["eee"]'),
    ):
        theirs = [each for each in seen if each.headers["x-who"] == who]
        assert theirs
        assert all([each.method, each.headers.get("content-type"), each.body] == told for each in theirs)
    assert len({each.body for each in seen if each.headers["x-who"] == "f"}) > len(asks)
    assert {each.method for each in seen if each.headers["x-who"] == "h"} == {"PUT", "DELETE"}


@pytest.mark.parametrize(
    "ask",
    [
        Ask("odd", "/ü b?q=a%20b&r=[1]", "PUT", {"Content-Type": "text/x"}, {"name": "ü"}),
        Ask("plain", "/plain"),
    ],
    ids=lambda ask: ask.label,
)
def test_requests_are_locusts_own(run: Run, ask: Ask) -> None:
    """Path and headers are what Locust's client sends when it is asked for the same."""
    seen = sent_for(run, ask)
    with site() as (url, by_locust):
        subprocess.run([sys.executable, "-c", BY_LOCUST, url], check=True, timeout=30)
    (told,) = (each for each in by_locust if each.method == ask.method)
    assert {(each.path, tuple(sorted(alike(each.headers)))) for each in seen} == {
        (told.path, tuple(sorted(alike(told.headers))))
    }


def alike(headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What doesn't depend on the server's port or the length of the body."""
    return ((name, value) for name, value in headers.items() if name not in ("host", "content-length"))
