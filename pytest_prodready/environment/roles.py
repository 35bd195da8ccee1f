"""What the servers of every backend can do; probes and handles know no more of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.service import Endpoint, Killable, Pausable
from pytest_prodready.faults import FaultProxy, Proxied


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where a server in this process listens for the fault proxy, and what the proxy calls that address."""

    listen_at: str
    known_as: str


class Server(Killable, Pausable, Protocol):
    """A server of ours that can be stopped, killed, frozen and started again on the same address."""

    @property
    def paused(self) -> bool:
        """Whether it is frozen."""

    @property
    def endpoint(self) -> Endpoint:
        """Where clients in this process reach it, past every proxy."""

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it."""

    @property
    def alive(self) -> bool:
        """Whether its main process runs."""

    def create(self) -> None:
        """Make it and start it for the first time."""

    def stop(self) -> None:
        """Shut it down in order."""

    def discard(self) -> None:
        """End it for good."""

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""

    def log(self) -> str:
        """All of its log up to now."""


class PostgresRole(Server, Protocol):
    """A PostgreSQL of ours."""

    account: Account
    admin_password: str

    @property
    def version(self) -> str:
        """Its version number."""

    def connect(
        self, database: str, *, password: str = "", timeout_s: float = 10.0
    ) -> psycopg.Connection[Any]:
        """Connect as superuser, past every proxy."""


class RedisRole(Server, Protocol):
    """A Redis of ours."""

    password: str

    @property
    def version(self) -> str:
        """Its version number."""

    @property
    def tls(self) -> bool:
        """Whether clients have to speak TLS."""

    @property
    def plain_endpoint(self) -> Endpoint:
        """Where it is reached from this process without TLS."""


class ProxyRole(Protocol):
    """A fault proxy of ours."""

    origin: str

    def log(self) -> str:
        """All of its log up to now."""

    @property
    def control(self) -> FaultProxy:
        """The client that creates proxies and faults."""

    def create(self) -> None:
        """Start it and wait until it can be controlled."""

    def in_front_of(self, name: str, upstream: Endpoint) -> Proxied:
        """A proxy on an address that stays free for it even while it is down."""

    def inside(self, name: str) -> Endpoint:
        """Where a proxy is reached by a service that runs beside the servers."""

    def way_back(self) -> WayBack:
        """How it reaches a server in this process; raises ServerError where it can't."""

    def discard(self) -> None:
        """End it for good."""
