"""How toxics are chained on one direction of one connection.

Stages form a chain: each takes chunks from the one before and passes them on, now or later, in order. They
work by callbacks and timers alone, so a change made through the API holds from the moment it is answered.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import NamedTuple, Protocol

from pytest_prodready.faultproxy.toxics import Toxic

KIB = 1024
DICE = random.Random()  # noqa: S311 (chance here guards no secret)


class Chunk(NamedTuple):
    """Bytes that arrived together, and when they did by the loop's clock."""

    data: bytes
    at: float


class Receiver(Protocol):
    """Whatever comes next in the chain."""

    def take(self, chunk: Chunk) -> None:
        """Accept data."""

    def end(self) -> None:
        """Accept the end of the stream."""


class Wire(Receiver, Protocol):
    """The link that a stage is part of, as the stage sees it."""

    def discard(self, size: int) -> None:
        """Count bytes that will never leave."""

    def reset(self) -> None:
        """Send RST to both peers."""

    def lose(self, stage: Stage, fraction: float) -> None:
        """Drop this part of the packets that the source sends."""


class Stage:
    """A toxic that does nothing; those in `effects` override what they change."""

    capacity = 64 * KIB  # bytes that may wait here before the sender is paused

    def __init__(self, toxic: Toxic, wire: Wire) -> None:
        self.toxic = toxic
        self.wire = wire
        self.next: Receiver = wire
        self.queue: deque[Chunk] = deque()
        self.timer: asyncio.TimerHandle | None = None
        self.active = False
        self.ended = False  # the end of the stream came in
        self.closed = False  # the end of the stream went out; nothing follows it
        self.loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Roll the dice of toxicity, and begin."""
        self.active = DICE.random() < self.toxic.toxicity
        if self.active:
            self._begin()

    def take(self, chunk: Chunk) -> None:
        """Accept data from the stage before."""
        if self.closed:
            self.wire.discard(len(chunk.data))
        elif self.active:
            self._accept(chunk)
        else:
            self.next.take(chunk)

    def end(self) -> None:
        """Accept the end of the stream from the stage before."""
        self.ended = True
        self._advance()

    def change(self) -> None:
        """Go on with the toxic's new attributes; what is in hand goes out first."""
        if self.closed:
            return
        self._interrupt()
        self.start()
        if not self.active:
            self._drain()
        self._advance()

    def remove(self) -> None:
        """Pass on all that waits here, for the toxic is no more."""
        if self.closed:
            return
        self.active = False
        self._interrupt()
        self._drain()
        self._advance()

    def abandon(self) -> None:
        """Forget everything: there is nobody left to pass it to."""
        self.closed = True
        self._cancel()
        self.queue.clear()

    # What follows is for the stages themselves.

    def _begin(self) -> None:
        """Take effect."""

    def _accept(self, chunk: Chunk) -> None:
        """Deal with data while in effect."""
        self.next.take(chunk)

    def _step(self) -> bool:
        """Pass on the head of the queue or start a timer for it; False to leave it waiting."""
        return False

    def _due(self) -> None:
        """The timer has run out."""

    def _hurry(self) -> None:
        """Pass on what is in hand without further delay."""
        if self.queue:
            self.next.take(self.queue.popleft())

    def _interrupt(self) -> None:
        """Stop the timer and let go of what it held back."""
        self._cancel()
        self._hurry()

    def _drain(self) -> None:
        """Pass on the whole queue."""
        while self.queue:
            self.next.take(self.queue.popleft())

    def _advance(self) -> None:
        """Do all that can be done at this moment."""
        while self.queue and self.timer is None and not self.closed and self._step():
            pass
        if self.ended and not self.queue and self.timer is None and not self.closed:
            self._close()

    def _close(self) -> None:
        """End the stream for those that follow."""
        self.closed = True
        self._cancel()
        self.next.end()

    def _wait(self, seconds: float) -> None:
        """Come back later."""
        self.timer = self.loop.call_later(max(0.0, seconds), self._fire)

    def _cancel(self) -> None:
        """Stop the timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _fire(self) -> None:
        self.timer = None
        self._due()
        self._advance()
