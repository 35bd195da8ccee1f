"""A proxy's port: open, refusing, or silent; and kept from others while it refuses."""

from __future__ import annotations

import asyncio
import errno
import functools
import select
import socket
import sys
from collections.abc import Callable

from pytest_prodready.faultproxy import addresses
from pytest_prodready.faultproxy.refusals import ApiError

_BACKLOG = 4096
_ACCEPTS_PER_TURN = 128
_PAUSE_WITHOUT_DESCRIPTORS_S = 0.1
_TRIAL_S = 0.02
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (looked up, not listened on)


class Listener:
    """The socket that clients connect to."""

    def __init__(self, accepted: Callable[[socket.socket], None]) -> None:
        self._accepted = accepted
        self._listening: socket.socket | None = None
        self._reserved: socket.socket | None = None
        self._filler: socket.socket | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def listening(self) -> bool:
        """Whether there is a socket that listens, be it answered or not."""
        return self._listening is not None

    def open(self, address: addresses.Address) -> addresses.Address:
        """Accept clients; the address then tells the port that was chosen."""
        sock = self._taken(address)
        try:
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise addresses.refused(address, error) from error
        self._listening = sock
        self._loop.add_reader(sock, self._accept, sock)
        return addresses.address_of(sock)

    def refuse(self, address: addresses.Address) -> addresses.Address:
        """Have the port and refuse clients; those that were accepted stay."""
        if self._listening is not None:
            self.close()
        if self._reserved is None or addresses.address_of(self._reserved) != address:
            self._reserved = self._taken(address)
        return addresses.address_of(self._reserved)

    def close(self) -> None:
        """Refuse clients, and stay bound, lest an outgoing connection be given the port meanwhile."""
        if self._listening is None:
            return
        address = addresses.address_of(self._listening)
        self._loop.remove_reader(self._listening)
        self._listening.close()
        self._listening = None
        self._remove_filler()
        try:
            self._reserved = addresses.bind(address)
        except ApiError:
            self._reserved = None

    def release(self) -> None:
        """Give the port back."""
        self.close()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def mute(self) -> None:
        """Answer nobody who wants to connect: Linux drops what comes to a listener whose queue is full.

        A client that connects in this very moment can take the filler's place; it is served afterwards.
        """
        sock = self._listening
        if sock is None or self._filler is not None:
            return
        self._accept(sock)
        self._loop.remove_reader(sock)
        self._filler = _fill(sock)

    def unmute(self) -> None:
        """Answer again; the systems of those who still try do so after 1, 3, 7 … seconds."""
        if self._filler is None or self._listening is None:
            return
        self._listening.listen(_BACKLOG)
        self._accept(self._listening)  # knows the filler, so it goes only then
        self._remove_filler()
        self._loop.add_reader(self._listening, self._accept, self._listening)

    def _taken(self, address: addresses.Address) -> socket.socket:
        """The reserved socket if it has this address, else a new one."""
        sock, self._reserved = self._reserved, None
        if sock is not None:
            if addresses.address_of(sock) == address:
                return sock
            sock.close()
        return addresses.bind(address)

    def _remove_filler(self) -> None:
        if self._filler is not None:
            self._filler.close()
            self._filler = None

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, address = listening.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._rest(listening)
                return
            if self._filler is not None and _same(address, self._filler.getsockname()):
                client.close()
            else:
                client.setblocking(False)
                self._accepted(client)

    def _rest(self, listening: socket.socket) -> None:
        """Out of descriptors: leave clients in the backlog for a moment instead of spinning."""
        self._loop.remove_reader(listening)
        self._loop.call_later(_PAUSE_WITHOUT_DESCRIPTORS_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening is self._listening and self._filler is None:
            self._loop.add_reader(listening, self._accept, listening)


def _fill(listening: socket.socket) -> socket.socket:
    """Shorten the queue to one place, and take that ourselves."""
    listening.listen(0)
    host, port = listening.getsockname()[:2]
    filler = socket.socket(listening.family, socket.SOCK_STREAM)
    filler.setblocking(False)
    filler.connect_ex((_LOOPBACK.get(host, host), port))
    return filler


def _same(accepted: tuple[object, ...], own: tuple[object, ...]) -> bool:
    return accepted[:2] == own[:2]


@functools.cache
def mute_unavailable() -> str | None:
    """Why clients can't be left unanswered here; None if they can. Found out by trying."""
    if not sys.platform.startswith("linux"):
        return f"only Linux drops what comes to a full queue, and this is {sys.platform}"
    with socket.create_server(("127.0.0.1", 0)) as listening, _fill(listening), socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(listening.getsockname())
        if not select.select([], [client], [], _TRIAL_S)[1]:
            return None
    return "this system answers clients though the queue is full"
