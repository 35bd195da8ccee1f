"""The control side of a fault proxy."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import toxiproxy.api

from pytest_prodready.faults.extensions import Extensions
from pytest_prodready.faults.proxied import Proxied
from pytest_prodready.faults.wire import FaultProxyError, Http, library

TIMEOUT_S = 15.0  # Toxiproxy first ends the connection that it is making
_ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)


class FaultProxy:
    """The control side of a fault proxy server: Toxiproxy's own, or the built-in one."""

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self.host = host
        self.port = port
        self._http = Http(host, port, timeout_s)
        self._created: list[Proxied] = []
        self._extensions = Extensions(self._http)

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
        with library(self._http) as server:
            try:
                proxy = server.create(upstream=upstream, name=name, listen=listen)
            except toxiproxy.api.ProxyExists as error:
                raise FaultProxyError(
                    "A proxy of this name exists already.",
                    value=name,
                    source=self._http.url,
                    remedy="Choose another name, or delete that proxy.",
                ) from error
        host, _, port = (reached_at or str(proxy.listen)).rpartition(":")
        host = host.strip("[]")
        at = self.host if host in _ANY_HOST else host
        created = Proxied(self._http, proxy, self._extensions, at, int(port))
        self._created.append(created)
        return created

    def reset(self) -> None:
        """Enable all proxies, and remove all toxics and other faults."""
        self._http.post("/reset")

    def extensions(self) -> frozenset[str]:
        """What the server can do beyond Toxiproxy; nothing, if it is Toxiproxy."""
        return self._extensions.names

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
