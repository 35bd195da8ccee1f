"""What a fault proxy can do beyond Toxiproxy, asked once."""

from __future__ import annotations

import functools
import http.client

from pytest_prodready.faults.wire import FaultProxyError, Http, UnsupportedFault


class Extensions:
    """The names of those that work, and why the others don't."""

    def __init__(self, http_api: Http) -> None:
        self._http = http_api

    @property
    def names(self) -> frozenset[str]:
        """Those that work; none, if the server is Toxiproxy."""
        return self._told[0]

    def require(self, name: str) -> None:
        """Raise unless this one works."""
        if reason := self.why_not(name):
            raise UnsupportedFault(name, reason, self._http.url)

    def why_not(self, name: str) -> str:
        """Why this one doesn't work; empty when it does."""
        available, unavailable = self._told
        if name in available:
            return ""
        return unavailable.get(name, "this server, be it Toxiproxy or an old one, doesn't know it")

    @functools.cached_property
    def _told(self) -> tuple[frozenset[str], dict[str, str]]:
        try:
            told = self._http.get("/prodready/extensions").json()
        except FaultProxyError as error:
            if error.status != http.client.NOT_FOUND:
                raise
            return frozenset(), {}
        return frozenset(told["available"]), told["unavailable"]
