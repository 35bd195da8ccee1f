"""One request of a benchmark: it is timed when it is answered as declared, by status and by content."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from pytest_prodready.errors import ApplicationError
from pytest_prodready.findings import Capability
from pytest_prodready.fixtures.benchmark import not_sent
from pytest_prodready.probes.benchmarks import asking
from pytest_prodready.settings import Request
from tests.serving import served


class Echo(BaseHTTPRequestHandler):
    """Answers with the path that was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer it."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


@pytest.fixture
def address() -> Iterator[str]:
    """Where a server listens."""
    with served(Echo) as url:
        yield url


def test_what_is_answered_as_declared(address: str) -> None:
    """The content may have the token of this very request in it."""
    for contains in ("", "/jobs", "title={token}"):
        with asking(address, Request(path="/jobs?title={token}", contains=contains)) as once:
            once()
            once()


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request(path="/jobs", expect=(404,)), "got 200, and 404 is declared"),
        (Request(path="/jobs", contains="42"), "200 with another body, and 2xx or 3xx with '42' is declared"),
    ],
)
def test_what_is_answered_otherwise(request_: Request, says: str, address: str) -> None:
    """Another status, and another content: neither is a time of what was declared."""
    with asking(address, request_) as once, pytest.raises(ApplicationError, match=says):
        once()


def test_what_may_write_is_not_sent_to_a_server_of_the_users() -> None:
    """A thousand POSTs would leave a thousand rows: the user has to allow it."""
    post, get = Request(path="/jobs", method="POST"), Request(path="/jobs")
    assert "a POST may write" in not_sent(post, {Capability.SERVICE})
    assert "--prodready-allow-destructive" in not_sent(post, set())
    assert not_sent(post, {Capability.DESTRUCTIVE}) == not_sent(get, set()) == ""
