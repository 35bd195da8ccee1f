"""One upstream behind a proxy, and the faults between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Unpack

import toxiproxy

from pytest_prodready.faults.applied import Applied, Stream, Toxics, Whom
from pytest_prodready.faults.extensions import Extensions
from pytest_prodready.faults.wire import Http, library, then

_BOTH: tuple[Stream, Stream] = ("upstream", "downstream")


@dataclass(frozen=True, slots=True)
class Connections:
    """What passed through one proxy; times are Unix times in seconds."""

    open: int
    accepted: int
    refused_upstream: int
    accepted_at: tuple[float, ...]  # the last 10,000
    accepted_per_second: tuple[tuple[int, int], ...] = ()  # second and count, where that isn't 0
    bytes_upstream: int = 0
    bytes_downstream: int = 0


class Proxied:
    """One upstream behind a proxy; each fault is a context manager that puts everything back.

    Faults made of toxics take `only=older_than(s)` or `only=younger_than(s)`, and `toxicity`, the chance of
    each connection to be struck. Those with numbers give a handle: `fault.update(latency=500)`.
    """

    def __init__(
        self, http_api: Http, proxy: toxiproxy.Proxy, extensions: Extensions, host: str, port: int
    ) -> None:
        self.name: str = proxy.name
        self.host = host
        self.port = port
        self.upstream: str = proxy.upstream
        self._http = http_api
        self._proxy = proxy
        self._extensions = extensions
        self._toxics = Toxics(http_api, proxy, extensions)

    def supports(self, extension: str) -> bool:
        """Whether the server has this extension, and it works there."""
        return extension in self._extensions.names

    def why_not(self, extension: str) -> str:
        """Why the server doesn't have this extension, or why it doesn't work there; empty when it does."""
        return self._extensions.why_not(extension)

    def require(self, extension: str) -> None:
        """Raise UnsupportedFault, with the reason, unless the server has this extension."""
        self._extensions.require(extension)

    # What happens to data

    def latency(
        self, ms: int, jitter_ms: int = 0, stream: Stream = "downstream", **whom: Unpack[Whom]
    ) -> AbstractContextManager[Applied]:
        """Delay data."""
        return self._toxics.added("latency", (stream,), whom, latency=ms, jitter=jitter_ms)

    def bandwidth(
        self, kb_per_s: int, stream: Stream = "downstream", **whom: Unpack[Whom]
    ) -> AbstractContextManager[Applied]:
        """Limit the rate of each connection, in units of 1,000 bytes a second."""
        return self._toxics.added("bandwidth", (stream,), whom, rate=kb_per_s)

    @contextmanager
    def total_bandwidth(
        self, kb_per_s: int, stream: Stream = "downstream", **whom: Unpack[Whom]
    ) -> Iterator[Applied]:
        """Limit the rate of all connections together; an extension."""
        self._extensions.require("total_bandwidth")
        with self._toxics.added("total_bandwidth", (stream,), whom, rate=kb_per_s) as applied:
            yield applied

    @contextmanager
    def stalled(self, **whom: Unpack[Whom]) -> Iterator[None]:
        """Deliver nothing and lose nothing, both ways; what was held back arrives afterwards."""
        with self._toxics.added("bandwidth", _BOTH, whom, rate=0):
            yield

    @contextmanager
    def black_hole(self, **whom: Unpack[Whom]) -> Iterator[None]:
        """Discard data both ways; connections that were open meanwhile are closed afterwards."""
        with self._toxics.added("timeout", _BOTH, whom, timeout=0):
            yield

    @contextmanager
    def answers_lost(self, **whom: Unpack[Whom]) -> Iterator[None]:
        """Discard what the upstream answers; connections that were open meanwhile are closed afterwards."""
        with self._toxics.added("timeout", ("downstream",), whom, timeout=0):
            yield

    def limit_data(
        self, byte_count: int, stream: Stream = "downstream", **whom: Unpack[Whom]
    ) -> AbstractContextManager[Applied]:
        """Close each connection after so many bytes."""
        return self._toxics.added("limit_data", (stream,), whom, bytes=byte_count)

    def reset_connections(self, after_ms: int = 0, **whom: Unpack[Whom]) -> AbstractContextManager[Applied]:
        """Reset each connection (RST) as soon as data passes in either direction, or after that a while."""
        return self._toxics.added("reset_peer", _BOTH, whom, timeout=after_ms)

    # What happens to packets; the peers' systems notice, not only the programs

    @contextmanager
    def packet_loss(
        self, percent: int, streams: tuple[Stream, ...] = _BOTH, **whom: Unpack[Whom]
    ) -> Iterator[Applied]:
        """Lose packets that the peers send on connections, acknowledgements too; an extension."""
        self._extensions.require("packet_loss")
        with self._toxics.added("packet_loss", streams, whom, percent=percent) as applied:
            yield applied

    @contextmanager
    def dropped(self, **whom: Unpack[Whom]) -> Iterator[None]:
        """Lose every packet, as if the network were gone: keepalive and TCP_USER_TIMEOUT fire; an extension.

        Unless `only` chooses some connections, new ones can't be made either: connecting times out.
        """
        self._extensions.require("packet_loss")
        with ExitStack() as undone:
            if "only" not in whom:
                undone.enter_context(self.connect_times_out())
            undone.enter_context(self.packet_loss(100, **whom))
            yield

    # What happens to clients that come

    def new_refused(self) -> AbstractContextManager[None]:
        """Refuse new connections while live ones stay; an extension."""
        return self._admitting("new_refused", accepting="refused")

    def connect_times_out(self) -> AbstractContextManager[None]:
        """Answer nobody who wants to connect, while live connections stay; an extension.

        Leave the block while a client is still trying, and its connect has been slow: its system tries again
        after 1, 3, 7 … seconds.
        """
        return self._admitting("new_unanswered", accepting="unanswered")

    def slow_open(self, ms: int) -> AbstractContextManager[None]:
        """Accept new connections at once, and connect them to the upstream that much later; an extension."""
        return self._admitting("open_delay", open_delay=ms)

    def reset_while_upstream_is_down(self) -> AbstractContextManager[None]:
        """Send RST to clients whose upstream can't be reached, instead of an orderly end; an extension."""
        return self._admitting("upstream_down", upstream_down="reset")

    def refused_while_upstream_is_down(self) -> AbstractContextManager[None]:
        """Refuse clients as long as the upstream refuses the proxy; an extension.

        The first client after the upstream went down can still be accepted, and gets RST.
        """
        return self._admitting("upstream_down", upstream_down="refuse")

    @contextmanager
    def _admitting(self, extension: str, **wanted: object) -> Iterator[None]:
        self._extensions.require(extension)
        path = f"/prodready/proxies/{self.name}/admission"
        before = self._http.get(path).json()
        self._http.ask("PATCH", path, wanted)
        undo = {name: before[name] for name in wanted}
        with then(lambda: self._toxics.unless_gone(lambda: self._http.ask("PATCH", path, undo))):
            yield

    # What happens to all

    @contextmanager
    def down(self) -> Iterator[None]:
        """Close live connections and refuse new ones; the port stays the same."""
        before = self._enabled()
        self._enable(False)
        with then(lambda: self._enable(before)):
            yield

    @contextmanager
    def upstream_switched(self, upstream: str, *, keep_live: bool = False) -> Iterator[None]:
        """Send new connections to another upstream `host:port`; live ones are closed, both times.

        With `keep_live`, an extension, they stay where they are instead, both times.
        """
        if keep_live:
            self._extensions.require("keep_live")
        before, place = self.upstream, "/prodready/proxies" if keep_live else "/proxies"
        self._switch(upstream, place)
        with then(lambda: self._switch(before, place)):
            yield

    def cut(self) -> None:
        """Close all live connections once; clients that come in that very moment are refused."""
        if self._enabled():
            self._enable(False)
            self._enable(True)

    def connections(self) -> Connections | None:
        """The proxy's clients; None where the server can't count them."""
        if not self.supports("connections"):
            return None
        seen = self._http.get(f"/prodready/proxies/{self.name}/connections").json()
        return Connections(
            seen["open"],
            seen["accepted"],
            seen["refused_upstream"],
            tuple(seen["accepted_at"]),
            tuple((second, count) for second, count in seen["accepted_per_second"]),
            seen["bytes"]["upstream"],
            seen["bytes"]["downstream"],
        )

    def delete(self) -> None:
        """Delete the proxy, unless that has happened."""
        self._toxics.unless_gone(self._proxy.destroy)

    def _enabled(self) -> bool:
        return bool(self._http.get(f"/proxies/{self.name}").json()["enabled"])

    def _enable(self, enabled: bool) -> None:
        with library(self._http):
            if enabled:
                self._proxy.enable()
            else:
                self._proxy.disable()

    def _switch(self, upstream: str, place: str) -> None:
        self._http.ask("PATCH", f"{place}/{self.name}", {"upstream": upstream})
        self.upstream = upstream
