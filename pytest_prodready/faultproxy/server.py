"""The server as a whole: it listens for the API, and ends cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pytest_prodready.faultproxy.addresses import Address
from pytest_prodready.faultproxy.api import Api
from pytest_prodready.faultproxy.collection import Collection
from pytest_prodready.faultproxy.http import converse


async def serve(host: str, port: int, listening: Callable[[str, int], None], stop: asyncio.Event) -> None:
    """Answer the API at an address until told to stop; then close everything."""
    collection = Collection(str(Address(host, 0)))
    api = Api(collection)
    clients: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(converse(api.answer, reader, writer))
        clients.add(task)
        task.add_done_callback(clients.discard)

    server = await asyncio.start_server(connected, host, port, backlog=1024)
    try:
        bound_host, bound_port = server.sockets[0].getsockname()[:2]
        listening(bound_host, bound_port)
        await stop.wait()
    finally:
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await collection.close()
