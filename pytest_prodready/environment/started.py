"""What all instances of the service that we start have in common."""

from __future__ import annotations

import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pytest_prodready.environment.consumption import Consumption
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.logs import shortened
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import ApplicationRole, Exit
from pytest_prodready.environment.service import Endpoint, Seen
from pytest_prodready.environment.values import of_database
from pytest_prodready.environment.waiting import Readiness
from pytest_prodready.errors import ApplicationError, ConfigError
from pytest_prodready.stopwatch import STARTING, spent

POLL_S = 0.02
STOP_GRACE_S = 5.0
Instance = TypeVar("Instance", bound="StartedApplication")


class StartedApplication(ABC):
    """An instance of the service that we start, and start again when it has died."""

    def __init__(self, recipe: Recipe, name: str) -> None:
        self.name = name
        self._recipe = recipe
        self._readiness: Readiness | None = None
        self._others = 0
        self._lock = threading.RLock()

    @property
    def recipe(self) -> Recipe:
        """What it is started by."""
        return self._recipe

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""
        return f"http://{self.endpoint}"

    @property
    @abstractmethod
    def endpoint(self) -> Endpoint:
        """Where it is reached from here."""

    @property
    def port(self) -> int:
        """The port of that address."""
        return self.endpoint.port

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """The main process, also after its end; None when there never was one."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether the main process runs."""

    @property
    @abstractmethod
    def repeatable(self) -> bool:
        """Whether there can be another instance of it at the same time."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask the main process to end, as an orchestrator does; harmless when it has ended."""

    @abstractmethod
    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """Ask it to end, and end it by force after the grace; None when it was dead already."""

    @abstractmethod
    def kill(self) -> int:
        """End all of its processes at once; returns how many there were."""

    @abstractmethod
    def discard(self) -> None:
        """End it for good."""

    @abstractmethod
    def processes(self) -> tuple[int, ...]:
        """Its processes, as far as they live."""

    @abstractmethod
    def connections_to(self, endpoints: Iterable[Endpoint]) -> Mapping[int, frozenset[int]] | None:
        """Which of its processes holds which connections to these addresses; None where nobody can tell."""

    @abstractmethod
    def consumption(self) -> Consumption | None:
        """What its processes have used up to now; None where nobody can tell."""

    @abstractmethod
    def log(self, lines: int) -> str:
        """The last lines of its output, as they are."""

    @abstractmethod
    def log_mark(self) -> float:
        """Where its output has come to by now."""

    @abstractmethod
    def log_since(self, mark: float) -> Iterator[str]:
        """Each line of its output after that, as it is."""

    @abstractmethod
    def run_once(self, command: Command, within_s: float) -> Ran:
        """Run a command in its place, with nothing to read; what outlives the limit is ended."""

    @spent(STARTING)
    def start(self) -> None:
        """Start it unless it runs, and wait until it is ready."""
        with self._lock:
            if not self.alive:
                self._readiness = self._spawn()
            self._wait_until_ready()

    @spent(STARTING)
    def ensure_ready(self) -> None:
        """Start it again if it has died or doesn't get ready, so that it is as good as new."""
        with self._lock:
            if self.alive:
                with suppress(ApplicationError):
                    self._wait_until_ready()
            self.start()

    def another(self) -> AbstractContextManager[ApplicationRole]:
        """A second instance of the same on a port of its own; ended on leaving."""
        if not self.repeatable:
            raise ConfigError(
                "A second instance needs a port of its own.",
                value=self.port,
                source="[service] port",
                remedy="remove the key and let the command take {port}",
            )
        return self._another()

    def on_database(self, name: str) -> AbstractContextManager[StartedApplication]:
        """An instance for another database of the same server, still to be started; ended on leaving."""
        return self._beside(of_database(self._recipe.values, name))

    def by_command(self, command: str, cwd: Path | None) -> AbstractContextManager[StartedApplication]:
        """An instance by another command, in another folder where one is given; ended on leaving."""
        changes = {"command": command} | ({} if cwd is None else {"cwd": cwd})
        service = self._recipe.service.model_copy(update=changes)
        return self._beside({}, replace(self._recipe, service=service))

    def on_server(
        self, database: Database, values: Mapping[str, str] = MappingProxyType({})
    ) -> AbstractContextManager[StartedApplication]:
        """An instance for a database of another server, still to be started; ended on leaving.

        As a process it finds that server's own programs first on its PATH.
        """
        other = replace(self._recipe, programs=database.server.programs if database.server else "")
        return self._beside({**self._told_of_server(database), **values}, other)

    @contextmanager
    def reading_from(self, replica: Seen) -> Iterator[ApplicationRole]:
        """An instance that is told of this replica: a second one, or one in its place; ended on leaving."""
        if not self.repeatable:
            self.stop()
        try:
            with self._another(self._told_of(replica)) as instance:
                yield instance
        finally:
            self.ensure_ready()

    @contextmanager
    def renewed(self, recipe: Recipe) -> Iterator[None]:
        """Start it anew by another recipe, at the same address; by its own again on leaving."""
        own = self._recipe
        try:
            self._start_anew(recipe)
            yield
        finally:
            self._start_anew(own)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output, without passwords."""
        return self._recipe.redact(shortened(self.log(lines)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def _spawn(self) -> Readiness:
        """Start the main process; returns what asks it whether it is ready."""

    @abstractmethod
    def _ended(self) -> str | None:
        """How the main process has ended, as a verb with its object; None while it runs."""

    @abstractmethod
    def _told_of(self, replica: Seen) -> Mapping[str, str]:
        """The values of the placeholders for this replica."""

    @abstractmethod
    def _told_of_server(self, database: Database) -> Mapping[str, str]:
        """The values of the placeholders for this database."""

    @abstractmethod
    def _like_this(self, name: str, recipe: Recipe) -> StartedApplication:
        """Another instance by this recipe, not started yet."""

    @contextmanager
    def _another(self, values: Mapping[str, str] = MappingProxyType({})) -> Iterator[StartedApplication]:
        with self._beside(values) as other:
            other.start()
            yield other

    @contextmanager
    def _beside(
        self, values: Mapping[str, str], recipe: Recipe | None = None
    ) -> Iterator[StartedApplication]:
        self._others += 1
        told = (recipe or self._recipe).with_values(values)
        other = self._like_this(f"{self.name}-{self._others + 1}", told)
        try:
            yield other
        finally:
            other.discard()

    def _start_anew(self, recipe: Recipe) -> None:
        with self._lock:
            self.stop(STOP_GRACE_S)
            self._recipe = recipe
            self.start()

    def _wait_until_ready(self) -> None:
        assert self._readiness is not None
        began = time.monotonic()
        limit_s = self._recipe.service.ready_within_s
        while not (self._readiness.reached() and self.alive):
            waited = time.monotonic() - began
            if not self.alive or waited > limit_s:
                raise self._not_ready(self._readiness, waited)
            time.sleep(POLL_S)

    def _not_ready(self, asked: Readiness, waited: float) -> ApplicationError:
        ended = self._ended()
        self.kill()
        printed = self.log_tail()
        problem = (
            f"The service was not ready after {waited:.1f} s: asked {asked}."
            if ended is None
            else f"The service {ended} after {waited:.1f} s, before it was ready."
        )
        value, source = self._recipe.started_by
        return ApplicationError(
            problem,
            value=self._recipe.redact(value),
            source=source,
            tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
            remedy=(
                "[health] readiness names the path that answers 200 once it is ready: is it this one?"
                if ended is None and asked.unknown_path
                else self._advice(silent=ended is None and not asked.answered)
            ),
        )

    def _advice(self, *, silent: bool) -> str:
        """What to do about a service that doesn't get ready."""
        return "run it by hand; a slow start needs a larger [service] ready_within_s"


def how_ended(code: int) -> str:
    """How a process ended: its status, or less than 0 for a signal."""
    if code >= 0:
        return f"ended with status {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
