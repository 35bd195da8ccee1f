"""What each type of toxic does to data and to the end of the stream."""

from __future__ import annotations

from pytest_prodready.faultproxy.stages import DICE, KIB, Chunk, Stage, Wire
from pytest_prodready.faultproxy.toxics import Toxic


class Latency(Stage):
    """Delays data, counted from its receipt, in order."""

    capacity = 32 * KIB * KIB  # a long, fat pipe: the sender isn't slowed down by what is under way
    delay = 0.0

    def _accept(self, chunk: Chunk) -> None:
        self.queue.append(chunk)
        self._advance()

    def _step(self) -> bool:
        latency, jitter = self.toxic.attributes["latency"], self.toxic.attributes["jitter"]
        drawn = latency + (DICE.randrange(-jitter, jitter) if jitter > 0 else 0)
        self.delay = max(0, drawn) / 1000
        remaining = self.queue[0].at + self.delay - self.loop.time()
        if remaining > 0:
            self._wait(remaining)
        else:
            self._due()
        return True

    def _due(self) -> None:
        data, at = self.queue.popleft()
        self.next.take(Chunk(data, at + self.delay))  # a second latency counts from here


class Bandwidth(Stage):
    """Lets through so many bytes a second; none at rate 0, until the toxic goes."""

    slice_s = 0.1
    LATENESS_S = 0.02  # what a timer may be late; longer than that was idleness, which earns no credit
    piece = 0
    free_at = 0.0  # when the last piece was due

    def _begin(self) -> None:
        self.free_at = 0.0

    def _accept(self, chunk: Chunk) -> None:
        self.queue.append(chunk)
        self._advance()

    def _step(self) -> bool:
        rate = self.toxic.attributes["rate"]  # KB/s, that is bytes per millisecond
        if rate == 0:
            return False
        now = self.loop.time()
        self.piece = min(len(self.queue[0].data), int(rate * 1000 * self.slice_s))
        self.free_at = self._after(self.free_at, now) + self.piece / (rate * 1000)
        if self.free_at > now:
            self._wait(self.free_at - now)
        else:
            self._due()
        return True

    def _after(self, free_at: float, now: float) -> float:
        return free_at if now - free_at < self.LATENESS_S else now

    def _due(self) -> None:
        data, at = self.queue.popleft()
        if self.piece < len(data):
            self.queue.appendleft(Chunk(data[self.piece :], at))
        self.next.take(Chunk(data[: self.piece], at))


class TotalBandwidth(Bandwidth):
    """Lets through so many bytes a second of all connections together, which take turns."""

    slice_s = 0.01

    def _step(self) -> bool:
        self.free_at = self.toxic.booked_until
        stepped = super()._step()
        self.toxic.booked_until = self.free_at
        return stepped


class PacketLoss(Stage):
    """Drops a part of the packets before TCP sees them, so that the source has to send them again."""

    def start(self) -> None:
        """Drop from now on, if chance wants it."""
        super().start()
        self.wire.lose(self, self.toxic.attributes["percent"] / 100 if self.active else 0)

    def remove(self) -> None:
        """Drop no more, be the stream at its end or not."""
        self.wire.lose(self, 0)
        super().remove()


class SlowClose(Stage):
    """Delays the end of the stream."""

    def _begin(self) -> None:
        if self.ended:
            self._wait(self.toxic.attributes["delay"] / 1000)

    def end(self) -> None:
        """Hold back the end of the stream."""
        self.ended = True
        if self.active and not self.closed:
            self._begin()
        else:
            self._advance()


class Timeout(Stage):
    """Discards data; closes after so long without any, unless that is 0."""

    heard_at = 0.0

    def _begin(self) -> None:
        self.heard_at = self.loop.time()
        if self.toxic.attributes["timeout"] > 0:
            self._wait(self.toxic.attributes["timeout"] / 1000)

    def _accept(self, chunk: Chunk) -> None:
        self.heard_at = self.loop.time()
        self.wire.discard(len(chunk.data))

    def _due(self) -> None:
        remaining = self.heard_at + self.toxic.attributes["timeout"] / 1000 - self.loop.time()
        if remaining > 0:
            self._wait(remaining)
        else:
            self._close()

    def end(self) -> None:
        """Let the end of the stream through."""
        self.ended = True
        if not self.closed:
            self._close()

    def remove(self) -> None:
        """Close, even where chance spared the connection, as Toxiproxy does."""
        if not self.closed:
            self._close()  # bytes are missing, so the stream can't go on


class ResetPeer(Stage):
    """Waits for data or the end, then a while, then sends RST to both peers."""

    def _accept(self, chunk: Chunk) -> None:
        self.wire.discard(len(chunk.data))
        self._doom()

    def end(self) -> None:
        """Take the end of the stream for the sign to reset."""
        self.ended = True
        if self.active and not self.closed:
            self._doom()
        else:
            self._advance()

    def _doom(self) -> None:
        # Closed from now on: what was taken is lost, so not even the toxic's removal can save the stream.
        self.closed = True
        self._wait(self.toxic.attributes["timeout"] / 1000)

    def _due(self) -> None:
        self.wire.reset()


class Slicer(Stage):
    """Cuts data into pieces and passes them on one by one."""

    def _accept(self, chunk: Chunk) -> None:
        for start, stop in self._cuts(0, len(chunk.data)):
            self.queue.append(Chunk(chunk.data[start:stop], chunk.at))
        self._advance()

    def _cuts(self, start: int, stop: int) -> list[tuple[int, int]]:
        average, variation = self.toxic.attributes["average_size"], self.toxic.attributes["size_variation"]
        if stop - start - average <= variation:
            return [(start, stop)] if stop > start else []
        middle = start + (stop - start) // 2
        if variation > 0:
            middle += DICE.randrange(-variation, variation)
        return self._cuts(start, middle) + self._cuts(middle, stop)

    def _step(self) -> bool:
        self.next.take(self.queue.popleft())
        self._wait(self.toxic.attributes["delay"] / 1e6)
        return True

    def _hurry(self) -> None:
        self._drain()


class LimitData(Stage):
    """Passes on so many bytes since the toxic came, then closes."""

    passed = 0

    def _accept(self, chunk: Chunk) -> None:
        room = max(0, self.toxic.attributes["bytes"] - self.passed)
        kept = chunk.data[:room]
        self.passed += len(kept)
        self.wire.discard(len(chunk.data) - len(kept))
        if kept:
            self.next.take(Chunk(kept, chunk.at))
        if self.passed >= self.toxic.attributes["bytes"] and not self.closed:
            self._close()


STAGES: dict[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
    "noop": Stage,
    "packet_loss": PacketLoss,
    "total_bandwidth": TotalBandwidth,
}


def stage_for(toxic: Toxic, wire: Wire) -> Stage:
    """The stage that puts a toxic into effect."""
    return STAGES[toxic.type](toxic, wire)
