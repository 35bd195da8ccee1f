"""What every running thing offers, and the extra abilities that some have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address: host and TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Seen:
    """The addresses of one server: from this process, and from a service that runs beside the servers."""

    here: Endpoint
    inside: Endpoint


class Service(Protocol):
    """Something running at an address."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""

    def stop(self) -> None:
        """End it and wait until it is gone; harmless when it already is."""


@runtime_checkable
class Killable(Protocol):
    """It can be ended as a crash would, and started again on the same data and address."""

    def kill(self) -> None:
        """End it at once, without a chance to say goodbye."""

    def start(self) -> None:
        """Start it again and wait until it answers."""


@runtime_checkable
class Pausable(Protocol):
    """It can be frozen: connections stay open, nothing answers."""

    def pause(self) -> None:
        """Freeze it."""

    def resume(self) -> None:
        """Let it go on."""


@runtime_checkable
class Promotable(Protocol):
    """A standby that can become the primary."""

    def promote(self) -> None:
        """Make it the primary and wait until it accepts writes."""
