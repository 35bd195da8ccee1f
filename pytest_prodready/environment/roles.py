"""What the servers of every backend can do; probes and handles know no more of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from pytest_prodready.environment.consumption import Consumption
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.postgres_tools import PostgresTools
from pytest_prodready.environment.service import Endpoint, Killable, Pausable, Seen
from pytest_prodready.faults import FaultProxy, Proxied


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where a server in this process listens for the fault proxy, and what the proxy calls that address."""

    listen_at: str
    known_as: str


@dataclass(frozen=True, slots=True)
class Exit:
    """How the service's main process ended."""

    status: int | None  # None: ended by a signal
    signal: int | None
    seconds: float
    killed: bool  # it outlived the grace period
    left: int  # further processes of its group that were still there and were ended


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

    @property
    def programs(self) -> str:
        """The folder of this machine with its own programs; empty where they are elsewhere."""

    @property
    def inside(self) -> Endpoint:
        """Where a service that runs beside it reaches it, past every proxy."""

    def admin_url(self, database: str) -> str:
        """The superuser's URL past every proxy, for a program of this machine."""

    def followed_by(self, name: str) -> str:
        """The primary_conninfo of a server of the same run that follows this one."""

    def tools(self) -> PostgresTools:
        """PostgreSQL's own programs, of its version, beside it."""

    def stretch(self, files: Mapping[str, int], heads: Mapping[str, bytes]) -> None:
        """Make files of its data directory so long, by holes that take no room, and begin with these."""


class RestoringRole(PostgresRole, Protocol):
    """Room for physical backups of a PostgreSQL of ours, and a server of its own that starts from them.

    Backups lie in the folder of `tools()`. `create` makes the room alone; `stop` removes what the server ran
    on, `discard` the room with all that lies in it.
    """

    @property
    def archive(self) -> str:
        """Where the PostgreSQL that is backed up may put its WAL, as it sees it."""

    def fetch_archive(self) -> None:
        """Bring the archive beside the backups, under its name."""

    def start_on(self, backup: str, overrides: str = "", *, recovering: bool = False) -> None:
        """Start the server on a copy of a backup, with these lines of settings; raises ServerError."""


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

    @property
    def followed_at(self) -> Endpoint:
        """Where another server of the same run follows it."""


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

    def remove(self, proxied: Proxied) -> None:
        """Take a proxy away, and free its address."""

    def inside(self, name: str) -> Endpoint:
        """Where a proxy is reached by a service that runs beside the servers."""

    def rerouted(self, proxied: Proxied, old: Server, new: Server) -> AbstractContextManager[None]:
        """Let new connections reach another server while live ones stay; raises UnsupportedFault."""

    def way_back(self) -> WayBack:
        """How it reaches a server in this process; raises ServerError where it can't."""

    def discard(self) -> None:
        """End it for good."""


class ApplicationRole(Protocol):
    """An instance of the service under test, wherever it runs."""

    name: str

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it is reached from here."""

    @property
    def port(self) -> int:
        """The port of that address."""

    @property
    def pid(self) -> int | None:
        """The main process, also after its end; None when there never was one of ours."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    @property
    def repeatable(self) -> bool:
        """Whether there can be another instance of it at the same time."""

    def start(self) -> None:
        """Start it unless it runs, and wait until it is ready."""

    def ensure_ready(self) -> None:
        """Make it as good as new: start it again if it has died or doesn't get ready."""

    def terminate(self) -> None:
        """Ask the main process to end, as an orchestrator does; harmless when it has ended."""

    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """Ask it to end, and end it by force after the grace; None when it was dead already."""

    def kill(self) -> int:
        """End all of its processes at once; returns how many there were."""

    def processes(self) -> tuple[int, ...]:
        """Its processes, as far as they live."""

    def connections_to(self, endpoints: Iterable[Endpoint]) -> Mapping[int, frozenset[int]] | None:
        """Which of its processes holds which connections to these addresses; None where nobody can tell."""

    def consumption(self) -> Consumption | None:
        """What its processes have used up to now; None where nobody can tell."""

    def another(self) -> AbstractContextManager[ApplicationRole]:
        """A second instance of the same; ended on leaving."""

    def reading_from(self, replica: Seen) -> AbstractContextManager[ApplicationRole]:
        """An instance that is told of this replica: a second one, or one in its place; ended on leaving."""

    def log_mark(self) -> float:
        """Where its output has come to by now."""

    def log_since(self, mark: float) -> Iterator[str]:
        """Each line of its output after that, as it is."""

    def log(self, lines: int) -> str:
        """The last lines of its output, as they are."""

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output, without passwords."""
