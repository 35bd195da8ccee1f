"""A service of a few lines: `python loaded.py PORT HOW [HOST]`. It behaves at first, and then as it is told.

It writes down when it began to read each request, by the clock that all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import time

PORT, HOW = int(sys.argv[1]), sys.argv[2]
HOST = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
GOOD_FOR = 120  # requests
STALL_EVERY_S, STALL_S = 2.0, 0.5
LAG_S, PONDERS_S = 1.5, 0.15
CAPACITY = 60.0  # requests a second

stored: list[str] = []
served = 0
free_at = 0.0


def answer(request: str, body: str) -> bytes:
    """A right answer: what was stored is stored, and what is looked for is found."""
    status, content = 200, json.dumps({"items": [], "next": None})
    if request.startswith("POST"):
        status, content = 201, json.dumps({"id": len(stored)})
        if HOW != "loses" or len(stored) % 5:
            stored.append(json.loads(body)["title"])
        else:
            stored.append("")
    elif "title=" in request:
        token = request.split("title=")[1].split(maxsplit=1)[0]
        content = json.dumps({"items": [each for each in stored if each == token], "next": None})
    if HOW == "hides" and served % 20 == 0:
        status, content = 200, json.dumps({"error": "busy"})
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return (head + content).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    global served  # noqa: PLW0603 (the service's only state)
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.lower().split("\r\n")
            length = next((int(each.split(":")[1]) for each in lines if each.startswith("content-length")), 0)
            body = (await reader.readexactly(length)).decode()
            served += 1
            if served > GOOD_FOR:
                await misbehave(writer)
            writer.write(answer(head, body))
            await writer.drain()
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def misbehave(writer: asyncio.StreamWriter) -> None:
    """What it does under load."""
    if HOW == "hangs":
        await asyncio.sleep(3600)
    if HOW == "capped":
        await turn()
    if HOW == "ponders":
        await asyncio.sleep(PONDERS_S)
    if HOW == "lags":
        await asyncio.sleep(LAG_S)
    if HOW == "dies":
        print("the load was too much for me", flush=True)
        os._exit(7)
    if HOW == "garbles":
        writer.write(b"\x00\x01 this is no HTTP at all\r\n\r\n" * 20)
        await writer.drain()
        raise EOFError
    if HOW == "resets":
        linger = struct.pack("ii", 1, 0)  # closed at once: the other end is told so
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        raise EOFError
    if HOW == "trickles":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)


async def turn() -> None:
    """One after the other."""
    global free_at  # noqa: PLW0603 (as `served`)
    free_at = max(free_at, time.monotonic()) + 1 / CAPACITY
    await asyncio.sleep(free_at - time.monotonic())


async def stall() -> None:
    """Do nothing for a while, again and again."""
    while True:
        await asyncio.sleep(STALL_EVERY_S - STALL_S)
        if served > GOOD_FOR:
            time.sleep(STALL_S)


async def main() -> None:
    """Serve for ever."""
    stalling = asyncio.create_task(stall()) if HOW == "stalls" else None
    server = await asyncio.start_server(serve, HOST, PORT)
    await server.serve_forever()
    assert stalling is None or not stalling.done()


asyncio.run(main())
