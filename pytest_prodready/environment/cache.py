"""The Redis that the service uses, as probes see it: ours or the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment.roles import RedisRole
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import Proxied


@dataclass(frozen=True, slots=True)
class Cache:
    """A Redis with its address, its proxy and how to sign in."""

    endpoint: Endpoint
    origin: Literal["gate", "external"]
    version: str
    password: str = field(repr=False)
    tls: bool = False
    user: str = ""
    number: str = "0"
    ca_file: Path | None = None
    server: RedisRole | None = None
    proxied: Proxied | None = None
    inside: Endpoint | None = None  # the proxy, as a service in a container reaches it
    given_url: str | None = field(default=None, repr=False)

    @classmethod
    def external(cls, url: str, ca_file: Path | None) -> Cache:
        """The handle of a Redis that the user owns."""
        parts = urlsplit(url)
        return cls(
            endpoint=Endpoint(parts.hostname or "localhost", parts.port or 6379),
            origin="external",
            version="",
            password=unquote(parts.password or ""),
            tls=parts.scheme == "rediss",
            user=unquote(parts.username or ""),
            number=parts.path.strip("/") or "0",
            ca_file=ca_file,
            given_url=url,
        )

    @property
    def seen_at(self) -> Endpoint:
        """Where the service reaches it: the proxy if there is one, by the service's name for it."""
        return self.inside or self.reached_at

    @property
    def reached_at(self) -> Endpoint:
        """Where a client in this process reaches it: the proxy if there is one."""
        return Endpoint(self.proxied.host, self.proxied.port) if self.proxied else self.endpoint

    def url(self, endpoint: Endpoint | None = None) -> str:
        """The URL for clients, through the proxy unless another address is given."""
        if endpoint is None and self.given_url is not None:
            return self._with_authority(self.given_url)
        scheme = "rediss" if self.tls else "redis"
        secured = f"?ssl_ca_certs={quote(str(self.ca_file))}" if self.tls and self.ca_file else ""
        account = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return f"{scheme}://{account}{endpoint or self.reached_at}/{self.number}{secured}"

    def client(self, *, timeout_s: float = 5.0) -> redis.Redis:
        """A client of our own that goes straight to the server, tries once and gives up in time."""
        if self.server is None:
            return self._client(self.url(), timeout_s)
        if self.server.paused or not self.server.alive:
            raise ServerError("Redis is paused or not running, so it can't be asked.", value=self.endpoint)
        plain = self.server.plain_endpoint
        return self._client(f"redis://:{quote(self.password, safe='')}@{plain}/{self.number}", timeout_s)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the server's log, where it is ours."""
        return self.server.log_tail(lines) if self.server else ""

    def _with_authority(self, url: str) -> str:
        if not self.tls or self.ca_file is None or "ssl_ca_certs=" in url:
            return url
        return f"{url}{'&' if '?' in url else '?'}ssl_ca_certs={quote(str(self.ca_file))}"

    @staticmethod
    def _client(url: str, timeout_s: float) -> redis.Redis:
        options: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),
            "decode_responses": True,
        }
        return redis.Redis.from_url(url, **options)
