"""As much of HTTP/1.1 as the API needs; the standard library's server costs too much to import."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

PLAIN = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    301: "Moved Permanently",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Request Entity Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}
_MAX_BODY = 16 * 1024 * 1024
_MAX_HEADERS = 200
_ESCAPED = re.compile(rb"%([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    query: str  # with its question mark, if there is one
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Response:
    """What it is answered."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    location: str = ""


class BadRequest(Exception):
    """Bytes that aren't HTTP."""


Handler = Callable[[Request], Awaitable[Response]]


async def converse(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one client's requests until it leaves."""
    try:
        while True:
            request = await _read_request(reader, writer)
            if request is None:
                break
            writer.write(_render(request, await handler(request)))
            await writer.drain()
            if not request.keep_alive:
                break
    except BadRequest as error:
        reason = f"400 Bad Request: {error}".encode()
        writer.write(_head(400, len(reason), PLAIN, False) + reason)
    except (OSError, EOFError):  # the client has gone, in the middle of something
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    line = await _line(reader)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("malformed request line")
    method, target, version = parts
    headers = await _read_headers(reader)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    asked = headers.get("connection", "").lower()
    keep_alive = asked == "keep-alive" if version == "HTTP/1.0" else asked != "close"
    path, mark, query = target.partition("?")
    return Request(method, _unescaped(path), mark + query, headers, body, keep_alive)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readline()).rstrip(b"\r\n")
    except ValueError as error:
        raise BadRequest("line too long") from error


async def _read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := await _line(reader):
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or len(headers) >= _MAX_HEADERS:
            raise BadRequest("malformed header")
        headers[name.strip().lower()] = value.strip()
    return headers


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _MAX_BODY:
        raise BadRequest("bad Content-Length")
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := await _chunk_size(reader):
        if len(body) + size > _MAX_BODY:
            raise BadRequest("body too large")
        body += await reader.readexactly(size)
        await _line(reader)
    while await _line(reader):
        pass
    return body


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    try:
        return int((await _line(reader)).split(b";")[0], 16)
    except ValueError as error:
        raise BadRequest("malformed chunk") from error


def _unescaped(path: str) -> str:
    raw = path.encode("latin-1")
    return _ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), raw).decode("utf-8", "replace")


def _render(request: Request, response: Response) -> bytes:
    to_head = request.method == "HEAD"
    length = None if to_head and not response.body else len(response.body)
    head = _head(response.status, length, response.content_type, request.keep_alive, response.location)
    return head if to_head else head + response.body


def _head(status: int, length: int | None, content_type: str, keep_alive: bool, location: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}"]
    if location:
        lines.append(f"Location: {location}")
    if length:
        lines.append(f"Content-Type: {content_type}")
    if content_type == PLAIN:
        lines.append("X-Content-Type-Options: nosniff")
    lines.append(time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()))
    if length is not None and status != 204:
        lines.append(f"Content-Length: {length}")
    if not keep_alive:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()
