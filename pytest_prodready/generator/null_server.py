"""A server that answers 200 to everything at once: what the generator can do is measured on it.

`python -m pytest_prodready.generator.null_server` prints where it listens, and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from pytest_prodready.generator.files import MOST, allow_files

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LENGTH = b"content-length:"


class Null(asyncio.Protocol):
    """Reads requests off a connection and answers each."""

    def __init__(self) -> None:
        self._read = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._read += data
        while (end := _end_of_request(self._read)) is not None:
            self._read = self._read[end:]
            assert self._transport is not None
            self._transport.write(ANSWER)


def _end_of_request(read: bytes) -> int | None:
    head, found, _ = read.partition(b"\r\n\r\n")
    if not found:
        return None
    lines = head.lower().split(b"\r\n")
    length = next((int(line[len(LENGTH) :]) for line in lines if line.startswith(LENGTH)), 0)
    end = len(head) + len(found) + length
    return end if len(read) >= end else None


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Null, "127.0.0.1", 0)
    sys.stdout.write(json.dumps({"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, _wait_for_the_end_of_stdin)


def _wait_for_the_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    allow_files(MOST)
    asyncio.run(_serve())
