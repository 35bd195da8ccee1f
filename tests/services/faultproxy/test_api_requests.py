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
