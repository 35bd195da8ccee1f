"""A TLS terminator in front of a plain server on loopback; run as a process of its own.

Redis binaries are often built without TLS. This one serves them all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import threading
from contextlib import suppress
from pathlib import Path

from pytest_prodready.environment.ports import LOOPBACK

CHUNK = 64 * 1024


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        sink.write(data)
        await sink.drain()


async def _relay(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], upstream_port: int) -> None:
    """Pass data both ways until either side ends; TLS knows no half-closed connections."""
    reader, writer = client
    try:
        upstream_reader, upstream_writer = await asyncio.open_connection(LOOPBACK, upstream_port)
    except OSError:
        writer.transport.abort()
        return
    pumps = [
        asyncio.create_task(_pump(reader, upstream_writer)),
        asyncio.create_task(_pump(upstream_reader, writer)),
    ]
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for pump in pumps:
        pump.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)
    for end in (writer, upstream_writer):
        end.close()
        with suppress(OSError):
            await end.wait_closed()


async def _serve(port: int, upstream_port: int, context: ssl.SSLContext) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _relay((reader, writer), upstream_port)

    server = await asyncio.start_server(accept, LOOPBACK, port, ssl=context)
    sys.stdout.write(json.dumps({"host": LOOPBACK, "port": port}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


def _die_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until killed, or until standard input ends with the parent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream-port", type=int, required=True)
    parser.add_argument("--cert", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--die-with-stdin", action="store_true")
    options = parser.parse_args()
    if options.die_with_stdin:
        threading.Thread(target=_die_with_stdin, daemon=True).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.cert, options.key)
    asyncio.run(_serve(options.port, options.upstream_port, context))


if __name__ == "__main__":
    main()
