"""Faults between a service and its servers, injected by a fault proxy and undone on leaving a `with`."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import toxiproxy
import toxiproxy.api

from pytest_prodready.errors import ProdreadyError

Stream = Literal["upstream", "downstream"]

TIMEOUT_S = 5.0
_BOTH: tuple[Stream, Stream] = ("upstream", "downstream")
_ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)


class FaultProxyError(ProdreadyError):
    """The fault proxy can't be reached, or refuses what it was asked."""

    status: int | None = None  # of the answer; None where there was none


@dataclass(frozen=True, slots=True)
class Connections:
    """The clients of one proxy: now, ever, and when the last ones came (Unix time in seconds)."""

    open: int
    accepted: int
    refused_upstream: int
    accepted_at: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What `toxiproxy` wants to see of a response of `requests`."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class _Http:
    """The server's API by HTTP, with what `toxiproxy` lacks: timeouts, and errors that tell what came back.

    It can stand in for the module `requests` there.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s

    def get(self, url: str, **_: object) -> _Answer:
        return self.ask("GET", url)

    def delete(self, url: str, **_: object) -> _Answer:
        return self.ask("DELETE", url)

    def post(self, url: str, json: object = None, **_: object) -> _Answer:
        return self.ask("POST", url, json)

    def ask(self, method: str, url: str, body: object = None) -> _Answer:
        path = quote(url.removeprefix(f"http://{self.host}:{self.port}"))
        asked = f"{method} {path}" + (f" {json.dumps(body)}" if body is not None else "")
        try:
            answer = self._exchange(method, path, json.dumps(body) if body is not None else None)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(asked, error) from error
        if answer.status_code >= http.client.BAD_REQUEST:
            raise self._refused(asked, answer)
        return answer

    def _exchange(self, method: str, path: str, body: str | None) -> _Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            connection.request(
                method, path, body, {"Content-Type": "application/json", "Connection": "close"}
            )
            response = connection.getresponse()
            return _Answer(response.status, response.read())
        finally:
            connection.close()

    def _unreachable(self, asked: str, error: Exception) -> FaultProxyError:
        return FaultProxyError(
            "The fault proxy gave no answer.",
            value=f"{type(error).__name__}: {error}",
            source=f"http://{self.host}:{self.port}",
            tried=[f"{asked}, waiting up to {self.timeout_s:g} s"],
            remedy="See that the fault proxy runs at this address, and wasn't stopped meanwhile.",
        )

    def _refused(self, asked: str, answer: _Answer) -> FaultProxyError:
        error = FaultProxyError(
            f"The fault proxy refused with status {answer.status_code}.",
            value=answer.content.decode("utf-8", "replace").strip(),
            source=f"http://{self.host}:{self.port}",
            tried=[asked],
        )
        error.status = answer.status_code
        return error


_LIBRARY = threading.RLock()


@contextmanager
def _library(http_api: _Http) -> Iterator[toxiproxy.Toxiproxy]:
    """The package `toxiproxy`, turned to one server.

    The address is global to the package, and no call of it has a timeout; so each use sets both, one at a
    time, and then puts back what others may have set.
    """
    consumer = toxiproxy.api.APIConsumer
    with _LIBRARY:
        before = consumer.host, consumer.port, toxiproxy.api.requests
        server = toxiproxy.Toxiproxy()
        server.update_api_consumer(http_api.host, http_api.port)
        toxiproxy.api.requests = http_api
        try:
            yield server
        finally:
            consumer.host, consumer.port, toxiproxy.api.requests = before


@contextmanager
def _then(undo: Callable[[], None]) -> Iterator[None]:
    """Undo a fault at the end; where the body fails too, its error stays the one that is raised."""
    try:
        yield
    except BaseException as error:
        try:
            undo()
        except FaultProxyError as failed:
            error.add_note(f"A fault could not be undone: {failed}")
        raise
    undo()


class FaultProxy:
    """The control side of a fault proxy server: Toxiproxy's own, or the built-in one."""

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self.host = host
        self.port = port
        self._http = _Http(host, port, timeout_s)
        self._created: list[Proxied] = []
        self._extensions: frozenset[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def version(self) -> str:
        """The server's version, as it tells it."""
        return str(self._http.get("/version").json()["version"])

    def create(
        self, name: str, upstream: str, listen: str = "127.0.0.1:0", reached_at: str | None = None
    ) -> Proxied:
        """A proxy in front of an upstream `host:port`.

        `reached_at` is where clients connect if that isn't where the server listens, as with published
        ports of a container.
        """
        if "/" in name:
            raise FaultProxyError("The API can't address a proxy whose name has a slash.", value=name)
        with _library(self._http) as server:
            try:
                proxy = server.create(upstream=upstream, name=name, listen=listen)
            except toxiproxy.api.ProxyExists as error:
                raise FaultProxyError(
                    "A proxy of this name exists already.",
                    value=name,
                    source=f"http://{self.host}:{self.port}",
                    remedy="Choose another name, or delete that proxy.",
                ) from error
        host, _, port = (reached_at or str(proxy.listen)).rpartition(":")
        host = host.strip("[]")
        created = Proxied(self, proxy, self.host if host in _ANY_HOST else host, int(port))
        self._created.append(created)
        return created

    def reset(self) -> None:
        """Enable all proxies, and remove all toxics."""
        self._http.post("/reset")

    def extensions(self) -> frozenset[str]:
        """What the server can do beyond Toxiproxy; nothing, if it is Toxiproxy."""
        if self._extensions is None:
            try:
                self._extensions = frozenset(self._http.get("/prodready/extensions").json())
            except FaultProxyError as error:
                if error.status != http.client.NOT_FOUND:
                    raise
                self._extensions = frozenset()
        return self._extensions

    def close(self) -> None:
        """Delete the proxies that were created here."""
        failed: list[FaultProxyError] = []
        while self._created:
            try:
                self._created.pop().delete()
            except FaultProxyError as error:
                if error.status is not None:  # else the server is gone, and its proxies with it
                    failed.append(error)
        if failed:
            raise failed[0]


class Proxied:
    """One upstream behind a proxy; each fault is a context manager that puts everything back."""

    def __init__(self, server: FaultProxy, proxy: toxiproxy.Proxy, host: str, port: int) -> None:
        self.name: str = proxy.name
        self.host = host
        self.port = port
        self.upstream: str = proxy.upstream
        self._server = server
        self._http = server._http
        self._proxy = proxy
        self._numbers = itertools.count(1)

    def latency(
        self, ms: int, jitter_ms: int = 0, stream: Stream = "downstream"
    ) -> AbstractContextManager[None]:
        """Delay data."""
        return self._toxics("latency", (stream,), latency=ms, jitter=jitter_ms)

    def bandwidth(self, kb_per_s: int, stream: Stream = "downstream") -> AbstractContextManager[None]:
        """Limit the rate of each connection, in units of 1,000 bytes a second."""
        return self._toxics("bandwidth", (stream,), rate=kb_per_s)

    def stalled(self) -> AbstractContextManager[None]:
        """Deliver nothing and lose nothing, both ways; what was held back arrives afterwards."""
        return self._toxics("bandwidth", _BOTH, rate=0)

    def black_hole(self) -> AbstractContextManager[None]:
        """Discard data both ways; connections that were open meanwhile are closed afterwards."""
        return self._toxics("timeout", _BOTH, timeout=0)

    def reset_connections(self, after_ms: int = 0) -> AbstractContextManager[None]:
        """Reset each connection (RST) as soon as data passes in either direction, or after that a while."""
        return self._toxics("reset_peer", _BOTH, timeout=after_ms)

    def limit_data(self, byte_count: int, stream: Stream = "downstream") -> AbstractContextManager[None]:
        """Close each connection after so many bytes."""
        return self._toxics("limit_data", (stream,), bytes=byte_count)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Close live connections and refuse new ones; the port stays the same."""
        before = self._enabled()
        self._enable(False)
        with _then(lambda: self._enable(before)):
            yield

    @contextmanager
    def upstream_switched(self, upstream: str) -> Iterator[None]:
        """Send new connections to another upstream `host:port`; live ones are closed, both times."""
        before = self.upstream
        self._switch(upstream)
        with _then(lambda: self._switch(before)):
            yield

    def cut(self) -> None:
        """Close all live connections once; clients that come in that very moment are refused."""
        if self._enabled():
            self._enable(False)
            self._enable(True)

    def connections(self) -> Connections | None:
        """The proxy's clients; None where the server can't count them."""
        if "connections" not in self._server.extensions():
            return None
        seen = self._http.get(f"/prodready/proxies/{self.name}/connections").json()
        return Connections(
            seen["open"], seen["accepted"], seen["refused_upstream"], tuple(seen["accepted_at"])
        )

    def delete(self) -> None:
        """Delete the proxy, unless that has happened."""
        self._unless_gone(self._proxy.destroy)

    @contextmanager
    def _toxics(self, kind: str, streams: tuple[Stream, ...], **attributes: int) -> Iterator[None]:
        with ExitStack() as undone:
            for stream in streams:
                undone.enter_context(self._toxic(kind, stream, attributes))
            yield

    @contextmanager
    def _toxic(self, kind: str, stream: Stream, attributes: dict[str, int]) -> Iterator[None]:
        name = f"{kind}_{stream}_{next(self._numbers)}"  # of its own, so that faults nest
        with _library(self._http):
            self._proxy.add_toxic(name=name, type=kind, stream=stream, attributes=attributes)
        with _then(lambda: self._unless_gone(lambda: self._proxy.destroy_toxic(name))):
            yield

    def _unless_gone(self, call: Callable[[], object]) -> None:
        try:
            with _library(self._http):
                call()
        except FaultProxyError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def _enabled(self) -> bool:
        return bool(self._http.get(f"/proxies/{self.name}").json()["enabled"])

    def _enable(self, enabled: bool) -> None:
        with _library(self._http):
            if enabled:
                self._proxy.enable()
            else:
                self._proxy.disable()

    def _switch(self, upstream: str) -> None:
        self._http.ask("PATCH", f"/proxies/{self.name}", {"upstream": upstream})
        self.upstream = upstream
