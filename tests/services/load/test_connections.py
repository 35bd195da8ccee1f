"""How the generator's users keep connections and cookies, as browsers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from pytest_prodready.environment.runs import Run
from pytest_prodready.generator.answers import RIGHT
from pytest_prodready.generator.plan import Stage
from tests.serving import served

from .test_generator import plan_for, sent

REQUESTS = 20


class Site(BaseHTTPRequestHandler):
    """Sets a cookie, and closes a connection without a word after so many requests."""

    protocol_version = "HTTP/1.1"
    lasts: ClassVar[int]
    connections: ClassVar[list[int]]  # how many requests came on each
    cookies: ClassVar[list[str]]

    def setup(self) -> None:
        """One more connection."""
        super().setup()
        self.connections.append(0)
        self._number = len(self.connections) - 1

    def do_GET(self) -> None:
        """Answer."""
        self.connections[self._number] += 1
        self.cookies.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        if not self.cookies[-1]:
            self.send_header("Set-Cookie", "visitor=7")
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b'["items"]')
        self.close_connection = self.connections[self._number] >= self.lasts

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site(lasts: int) -> Iterator[tuple[str, type[Site]]]:
    """Such a server, and what came to it."""
    kind = type("ThisSite", (Site,), {"lasts": lasts, "connections": [], "cookies": []})
    with served(kind) as url:
        yield url, kind


def test_connection_and_cookie_are_kept(run: Run) -> None:
    """One user sends everything over one connection, and its cookie from the second request on."""
    with site(lasts=1000) as (url, seen):
        samples, _ = sent(run, plan_for(Stage("a", url, 20, 1), users=1))
    assert {each.verdict for each in samples} == {RIGHT}
    assert seen.connections == [REQUESTS]
    assert seen.cookies == ["", *["visitor=7"] * (REQUESTS - 1)]


def test_a_closed_connection_is_not_used(run: Run) -> None:
    """One that the server has closed while it was idle is known, and costs no request."""
    with site(lasts=5) as (url, seen):
        samples, _ = sent(run, plan_for(Stage("a", url, 20, 1), users=1))
    assert sum(each.verdict == RIGHT for each in samples) >= REQUESTS - 2  # unless its end came that late
    assert len(seen.connections) >= REQUESTS // 5
    assert max(seen.connections) == 5
