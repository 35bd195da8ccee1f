"""A service that already runs somewhere: nothing about it is ours to start or end."""

from __future__ import annotations

from contextlib import AbstractContextManager

import httpx

from pytest_prodready.environment.application import Application
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ApplicationError

ANSWER_WITHIN_S = 5.0


class GivenApplication(Application):
    """The service at [service] url."""

    def __init__(self, run: Run, recipe: Recipe) -> None:
        super().__init__(run, recipe)
        run.ports.release(self.port)

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""
        return str(self._recipe.service.url).rstrip("/")

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._silence() is None

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

    def another(self) -> AbstractContextManager[Application]:
        """Refused: only a service with a command can be started a second time."""
        raise ApplicationError("A service given by url can't be started by us.", source="[service] url")

    def _silence(self) -> str | None:
        """Why there is no answer; None when there is one, whatever it says."""
        try:
            httpx.get(self.base_url, timeout=ANSWER_WITHIN_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"GET {self.base_url}: {type(error).__name__}: {error}"
        return None
