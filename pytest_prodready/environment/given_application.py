"""A service that already runs somewhere: nothing about it is ours to start or end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import httpx

from pytest_prodready.environment.consumption import Consumption
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.environment.service import Endpoint, Seen
from pytest_prodready.errors import ApplicationError

ANSWER_WITHIN_S = 5.0
USUAL_PORTS = {"http": 80, "https": 443}


class GivenApplication:
    """The service at [service] url."""

    def __init__(self, recipe: Recipe) -> None:
        self.name = "service"
        self._recipe = recipe

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""
        return str(self._recipe.service.url).rstrip("/")

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, as its address says."""
        parts = urlsplit(self.base_url)
        return Endpoint(parts.hostname or "", parts.port or USUAL_PORTS.get(parts.scheme, 0))

    @property
    def port(self) -> int:
        """The port of that address."""
        return self.endpoint.port

    @property
    def pid(self) -> int | None:
        """Nobody knows its processes."""
        return None

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._silence() is None

    @property
    def repeatable(self) -> bool:
        """There is only this one."""
        return False

    def start(self) -> None:
        """Make sure that it answers."""
        if silence := self._silence():
            raise ApplicationError(
                "The service does not answer at its address.",
                value=self._recipe.redact(self.base_url),
                source="[service] url",
                tried=[self._recipe.redact(silence)],
                remedy="start it, or mend the address",
            )

    def ensure_ready(self) -> None:
        """Make sure that it answers."""
        self.start()

    def terminate(self) -> None:
        """It isn't ours to end."""

    def stop(self, grace_s: float = 10.0) -> None:
        """It isn't ours to end."""

    def kill(self) -> int:
        """It isn't ours to end."""
        return 0

    def processes(self) -> tuple[int, ...]:
        """Nobody knows its processes."""
        return ()

    def connections_to(self, endpoints: Iterable[Endpoint]) -> None:
        """Nobody knows its connections."""

    def consumption(self) -> Consumption | None:
        """Nobody knows its processes."""
        return None

    def another(self) -> AbstractContextManager[ApplicationRole]:
        """Refused: only a service that we start can be started a second time."""
        raise self._not_ours()

    def reading_from(self, replica: Seen) -> AbstractContextManager[ApplicationRole]:
        """Refused: only a service that we start can be told of a replica."""
        raise self._not_ours()

    def _not_ours(self) -> ApplicationError:
        return ApplicationError("A service given by url can't be started by us.", source="[service] url")

    def log(self, lines: int) -> str:
        """Its output goes elsewhere."""
        return ""

    def log_mark(self) -> float:
        """Its output goes elsewhere."""
        return 0.0

    def log_since(self, mark: float) -> Iterator[str]:
        """Its output goes elsewhere."""
        return iter(())

    def log_tail(self, lines: int = 20) -> str:
        """Its output goes elsewhere."""
        return ""

    def _silence(self) -> str | None:
        """Why there is no answer; None when there is one, whatever it says."""
        try:
            httpx.get(self.base_url, timeout=ANSWER_WITHIN_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"GET {self.base_url}: {type(error).__name__}: {error}"
        return None
