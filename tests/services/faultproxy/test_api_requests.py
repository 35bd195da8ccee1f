"""Requests as such: paths, methods, versions, and what isn't HTTP at all."""

from __future__ import annotations

import re
import socket

import pytest

from .peers import Control, Upstream

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


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


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("//version", "/version"),
        ("/proxies//", "/proxies/"),
        ("/proxies/../version?x=1", "/version?x=1"),
        ("/proxies/%2E%2E/a%20b", "/a%20b"),
        ("/proxies/p//toxics", "/proxies/p/toxics"),
    ],
)
def test_untidy_paths_lead_to_tidy_ones(control: Control, method: str, path: str, leads_to: str) -> None:
    """Doubled slashes and dots are answered by the path without them, whether anything is there or not."""
    reply = control.ask(method, path)
    assert (reply.status, reply.headers["location"], reply.body) == (301, leads_to, b"")


@pytest.mark.parametrize("path", ["/proxies?x=1", "/version?"])
def test_queries_are_ignored(control: Control, path: str) -> None:
    """What follows a question mark changes nothing."""
    assert control.ask("GET", path).status == 200


@pytest.mark.parametrize("path", ["/Proxies", "/VERSION", "/proxies/p/Toxics"])
def test_paths_are_case_sensitive(control: Control, path: str) -> None:
    """A path in another case is another path."""
    assert control.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "path", ["/proxies", "/proxies/p", "/proxies/p/toxics", "/proxies/p/toxics/t", "/reset", "/populate"]
)
def test_head_is_refused(control: Control, path: str) -> None:
    """HEAD is no method of any path."""
    reply = control.ask("HEAD", path)
    assert (reply.status, reply.body) == (405, b"")
    assert "content-type" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/proxies/none", None),
        ("GET", "/proxies/p/toxics/none", None),
        ("POST", "/proxies", {"name": "p", "upstream": "x:1"}),
        ("POST", "/proxies", {"name": "q", "upstream": "x:1", "listen": "x"}),
        ("POST", "/proxies/p/toxics", {"type": "nope"}),
    ],
)
def test_errors_are_text(control: Control, method: str, path: str, body: object) -> None:
    """Errors are JSON with a newline, and say that they are text."""
    control.create("127.0.0.1:9")
    reply = control.ask(method, path, body)
    assert reply.json["status"] == reply.status >= 400
    assert (reply.headers["content-type"], reply.body[-1:]) == (TEXT, b"\n")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize("agent", ["mozilla/5.0", "curl Mozilla/5.0", "Mozilla"])
def test_other_agents_are_welcome(control: Control, agent: str) -> None:
    """Only a User-Agent that begins with `Mozilla/` is a browser's."""
    assert control.ask("GET", "/version", headers={"User-Agent": agent}).status == 200


def test_browsers_are_refused(control: Control) -> None:
    """A browser's User-Agent is refused, after path and method were looked at."""
    browser = {"User-Agent": "Mozilla/5.0 (X11)"}
    reply = control.ask("GET", "/version", headers=browser)
    assert (reply.status, reply.body) == (403, b"User agent not allowed\n")
    assert control.ask("GET", "/nope", headers=browser).status == 404
    assert control.ask("PUT", "/version", headers=browser).status == 405


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


@pytest.mark.parametrize("garbage", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nnonsense\r\n\r\n"])
def test_garbage_ends_the_conversation(builtin: Control, garbage: bytes) -> None:
    """What isn't HTTP is answered at most by 400, and the server goes on."""
    with socket.create_connection((builtin.host, builtin.port), timeout=5) as sock:
        sock.sendall(garbage)
        assert sock.recv(65536)[:12] in (b"", b"HTTP/1.1 400")
    assert builtin.ask("GET", "/version").status == 200
