"""The data plane: sockets, the two directions of a connection, and back-pressure."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import Callable, Sequence

from pytest_prodready.faultproxy import packet_filter
from pytest_prodready.faultproxy.effects import stage_for
from pytest_prodready.faultproxy.stages import Chunk, Receiver, Stage
from pytest_prodready.faultproxy.toxics import Direction, Toxic

# One buffer for all connections of the loop: it is read into and copied from within one callback.
_SCRATCH = memoryview(bytearray(256 * 1024))
# Toxics get the chunks that Toxiproxy would give them: jitter and slices are per chunk.
_SMALL = _SCRATCH[: 32 * 1024]
_WRITE_HIGH_WATER = 256 * 1024
_LINGER_0 = struct.pack("ii", 1, 0)


def reset_when_closed(sock: socket.socket) -> None:
    """Let the closing of a socket send RST instead of FIN."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)


class Side(asyncio.BufferedProtocol):
    """One socket of a connection: the client's or the upstream's."""

    transport: asyncio.Transport | None = None
    inward: Link  # carries what this socket reads
    outward: Link  # brings what this socket writes

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours now."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.alive = True
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER)
        transport.pause_reading()  # until the other side is there too
        # Early releases of Python 3.11 start to read right after this callback, paused or not.
        self.connection.loop.call_soon(self._stay_paused, transport)

    def _stay_paused(self, transport: asyncio.Transport) -> None:
        if not self.connection.links:
            transport.resume_reading()
            transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop may read to."""
        return _SMALL if self.inward.stages else _SCRATCH

    def buffer_updated(self, nbytes: int) -> None:
        """The peer sent data."""
        self.inward.read(bytes(_SCRATCH[:nbytes]))

    def eof_received(self) -> bool:
        """The peer will send no more."""
        self.inward.source_ended()
        return True  # the transport stays: only the chain's end closes it

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self.outward.target_full = True
        self.outward.balance()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.outward.target_full = False
        self.outward.balance()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self.alive = False
        self.connection.lost(self)

    def write(self, data: bytes) -> None:
        """Send to the peer, unless it has gone."""
        if self.alive and self.transport is not None:
            self.transport.write(data)

    def lose(self, fraction: float) -> None:
        """Drop this part of the packets that the peer sends."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and (self.alive or not fraction):
            packet_filter.lose(sock, fraction)

    def close(self) -> None:
        """Close after all that was written has gone out."""
        if self.alive and self.transport is not None:
            self.alive = False
            self.transport.close()

    def abort(self, *, reset: bool = False) -> None:
        """Close at once; with RST if told so."""
        if self.transport is None:
            return
        sock = self.transport.get_extra_info("socket")
        if reset and sock is not None:
            reset_when_closed(sock)
        self.alive = False
        self.transport.abort()


class Link:
    """One direction of a connection: from a source through the toxics to a target."""

    def __init__(self, connection: Connection, source: Side, target: Side, toxics: Sequence[Toxic]) -> None:
        self.connection = connection
        self.source = source
        self.target = target
        self.target_full = False
        self.paused = False
        self.ended = False  # the source has no more
        self.closed = False  # the target has been told so, or is gone
        self.carried = 0  # bytes that came from the source
        self.held = 0  # bytes within the stages
        self.capacity = 0
        self.first: Receiver = self
        self.stages: list[Stage] = []
        self.losses: dict[Stage, float] = {}
        for toxic in toxics:
            self.add(toxic)

    def read(self, data: bytes) -> None:
        """Carry what the source sent."""
        self.carried += len(data)
        if not self.stages:
            self.target.write(data)
            return
        self.held += len(data)
        self.first.take(Chunk(data, self.connection.loop.time()))
        self.balance()

    def source_ended(self) -> None:
        """Carry the end of what the source sends, be it by FIN, RST or our own closing."""
        if not self.ended:
            self.ended = True
            self.first.end()

    def target_lost(self) -> None:
        """Drop what is under way: nobody will get it."""
        self.closed = True
        for stage in self.stages:
            stage.abandon()
        self.held = 0
        self.balance()

    def take(self, chunk: Chunk) -> None:
        """Write what has passed all stages."""
        self.held -= len(chunk.data)
        if not self.closed:
            self.target.write(chunk.data)
        self.balance()

    def end(self) -> None:
        """Close the target; its loss then ends the other direction, so there is no half-close."""
        self.closed = True
        self.target.close()

    def discard(self, size: int) -> None:
        """Count bytes that a stage has dropped."""
        self.held = max(0, self.held - size)
        self.balance()

    def reset(self) -> None:
        """Send RST to both peers."""
        self.connection.abort(reset=True)

    def lose(self, stage: Stage, fraction: float) -> None:
        """Drop this part of the source's packets on behalf of a stage; what several drop adds up."""
        if fraction > 0:
            self.losses[stage] = fraction
        elif self.losses.pop(stage, None) is None:
            return
        self.source.lose(1 - math.prod(1 - each for each in self.losses.values()))

    def lose_no_more(self) -> None:
        """Drop no packets on behalf of any stage."""
        for stage in list(self.losses):
            self.lose(stage, 0)

    def balance(self) -> None:
        """Pause the source while the target or the stages are full."""
        full = self.target_full or (self.held > self.capacity and bool(self.stages))
        if full == self.paused or self.source.transport is None:
            return
        self.paused = full
        if full:
            self.source.transport.pause_reading()
        elif not self.ended:
            self.source.transport.resume_reading()

    def add(self, toxic: Toxic) -> None:
        """Put a toxic at the end of the chain."""
        stage = stage_for(toxic, self)
        stage.closed = self.closed
        self.stages.append(stage)
        self._chain()
        if not stage.closed:
            stage.start()

    def change(self, toxic: Toxic) -> None:
        """Let a toxic's new attributes take effect."""
        for stage in [s for s in self.stages if s.toxic is toxic]:
            stage.change()

    def remove(self, toxic: Toxic) -> None:
        """Take a toxic out; a stage that ended the stream stays, for the stream stays ended."""
        for stage in [s for s in self.stages if s.toxic is toxic]:
            stage.remove()
            if not stage.closed:
                self.stages.remove(stage)
        self._chain()
        self.balance()

    def _chain(self) -> None:
        receivers: list[Receiver] = [*self.stages, self]
        self.first = receivers[0]
        for stage, following in zip(self.stages, receivers[1:], strict=True):
            stage.next = following
        self.capacity = max((stage.capacity for stage in self.stages), default=0)


class Connection:
    """A client's connection and ours to the upstream, tied together."""

    def __init__(self, on_closed: Callable[[Connection], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.opened_at = self.loop.time()
        self.on_closed = on_closed
        self.client = Side(self)
        self.upstream = Side(self)
        self.open_sides = {self.client, self.upstream}
        self.links: dict[Direction, Link] = {}

    async def dial(self, host: str, port: int) -> None:
        """Connect to the upstream."""
        await self.loop.create_connection(lambda: self.upstream, host, port)

    async def join(self, accepted: socket.socket) -> None:
        """Take over the client's socket."""
        await self.loop.connect_accepted_socket(lambda: self.client, accepted)

    def flow(self, toxics: Sequence[Toxic]) -> None:
        """Let data pass, through these toxics."""
        self._tie("upstream", self.client, self.upstream, toxics)
        self._tie("downstream", self.upstream, self.client, toxics)
        for side in (self.client, self.upstream):
            if side.transport is not None:
                side.transport.resume_reading()

    def _tie(self, direction: Direction, source: Side, target: Side, toxics: Sequence[Toxic]) -> None:
        mine = [toxic for toxic in toxics if toxic.direction == direction and toxic.concerns(self.opened_at)]
        link = Link(self, source, target, mine)
        source.inward = target.outward = self.links[direction] = link

    def lost(self, side: Side) -> None:
        """One socket is closed: nothing more goes to it, nothing more comes from it."""
        if self.links:
            side.outward.target_lost()
            side.inward.source_ended()
            self.open_sides.discard(side)
            if not self.open_sides:
                self.on_closed(self)

    def abort(self, *, reset: bool = False) -> None:
        """Close both sockets at once."""
        for link in self.links.values():
            link.lose_no_more()
        self.client.abort(reset=reset)
        self.upstream.abort(reset=reset)
