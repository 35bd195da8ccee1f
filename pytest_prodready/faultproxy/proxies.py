"""Proxies: a listening port each, an upstream, toxics, and the connections between."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections import deque

from pytest_prodready.faultproxy import addresses
from pytest_prodready.faultproxy.links import Connection
from pytest_prodready.faultproxy.refusals import ApiError, ListenError, toxic_exists, toxic_not_found
from pytest_prodready.faultproxy.toxics import Draft, Toxic

_BACKLOG = 4096
_CLOSED_WITHIN_S = 2.0  # one that never tells its end must not keep the proxy from stopping
_ACCEPTS_PER_TURN = 128
_PAUSE_WITHOUT_DESCRIPTORS_S = 0.1
_REMEMBERED_ACCEPTS = 10_000


class Proxy:
    """One listening port in front of one upstream."""

    def __init__(self, name: str, listen: str, upstream: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.toxics: list[Toxic] = []
        self.accepted = 0
        self.accepted_at: deque[float] = deque(maxlen=_REMEMBERED_ACCEPTS)
        self.refused_upstream = 0
        self.connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._reserved: socket.socket | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def enabled(self) -> bool:
        """Whether clients can connect."""
        return self._listener is not None

    def shown(self) -> dict[str, object]:
        """The proxy as JSON."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "toxics": self.shown_toxics(),
        }

    def shown_toxics(self) -> list[dict[str, object]]:
        """The toxics as JSON, those on the way to the upstream first."""
        ordered = sorted(self.toxics, key=lambda toxic: toxic.direction == "downstream")
        return [toxic.shown() for toxic in ordered]

    async def differs(self, listen: str, upstream: str) -> bool:
        """Whether these are another address to listen on, or another upstream."""
        resolved = str(await addresses.resolve(listen))
        return resolved != self.listen or upstream != self.upstream

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """Bring about what a PATCH asks for; live connections close unless nothing differs."""
        if await self.differs(listen, upstream):
            await self.stop()
            if listen != self.listen:
                self._release()
            self.listen, self.upstream = listen, upstream
        if enabled and not self.enabled:
            await self.start()
        elif not enabled:
            await self.stop()

    async def start(self) -> None:
        """Listen; the address then tells the port that was chosen."""
        try:
            address = await addresses.resolve(self.listen)
        except ApiError as error:
            raise ListenError(f"listen tcp: {error.message}") from error
        sock = self._take_reserved(address) or addresses.bind(address)
        try:
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise addresses.refused(address, error) from error
        self._listener = sock
        self.listen = str(addresses.address_of(sock))
        self._loop.add_reader(sock, self._accept, sock)

    async def stop(self) -> None:
        """Refuse clients from now on, and close those that are connected."""
        if self._listener is None:
            return
        address = addresses.address_of(self._listener)
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        self._reserve(address)
        for task in self._opening:
            task.cancel()
        for connection in self.connections:
            connection.abort()
        deadline = self._loop.time() + _CLOSED_WITHIN_S
        while (self.connections or self._opening) and self._loop.time() < deadline:
            await asyncio.sleep(0)  # sockets close in the loop's next turn

    async def remove(self) -> None:
        """Stop, and give the port back."""
        await self.stop()
        self._release()

    def _reserve(self, address: addresses.Address) -> None:
        """Stay bound to the port without listening, lest an outgoing connection be given it meanwhile."""
        try:
            self._reserved = addresses.bind(address)
        except ApiError:
            self._reserved = None

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _take_reserved(self, address: addresses.Address) -> socket.socket | None:
        sock, self._reserved = self._reserved, None
        if sock is not None and addresses.address_of(sock) != address:
            sock.close()
            return None
        return sock

    # Connections

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, _address = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._rest(listener)
                return
            client.setblocking(False)
            self.accepted += 1
            self.accepted_at.append(time.time())
            task = self._loop.create_task(self._open(client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _rest(self, listener: socket.socket) -> None:
        """Out of descriptors: leave clients in the backlog for a moment instead of spinning."""
        self._loop.remove_reader(listener)
        self._loop.call_later(_PAUSE_WITHOUT_DESCRIPTORS_S, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if listener is self._listener:
            self._loop.add_reader(listener, self._accept, listener)

    async def _open(self, client: socket.socket) -> None:
        connection = Connection(self.connections.discard)
        try:
            host, port = addresses.split(self.upstream)
            await connection.dial(host or "localhost", addresses.port_number(port))
            await connection.join(client)
        except (OSError, ValueError, ApiError):
            self.refused_upstream += 1
            connection.abort()
            client.close()
        except BaseException:
            connection.abort()
            client.close()
            raise
        else:
            self.connections.add(connection)
            connection.flow(self.toxics)

    # Toxics

    def toxic(self, name: str) -> Toxic:
        """The toxic of that name."""
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise toxic_not_found()

    def add_toxic(self, draft: Draft) -> Toxic:
        """Add a toxic, to live connections too."""
        if any(toxic.name == draft.name for toxic in self.toxics):
            raise toxic_exists()
        toxic = draft.finished()
        self.toxics.append(toxic)
        for connection in list(self.connections):
            connection.links[toxic.direction].add(toxic)
        return toxic

    def change_toxic(self, name: str, body: object) -> Toxic:
        """Change a toxic, on live connections too."""
        toxic = self.toxic(name)
        toxic.change(body)
        for connection in list(self.connections):
            connection.links[toxic.direction].change(toxic)
        return toxic

    def remove_toxic(self, toxic: Toxic) -> None:
        """Remove a toxic, from live connections too."""
        self.toxics.remove(toxic)
        for connection in list(self.connections):
            connection.links[toxic.direction].remove(toxic)

    def remove_toxics(self) -> None:
        """Remove all toxics."""
        for toxic in list(self.toxics):
            self.remove_toxic(toxic)
