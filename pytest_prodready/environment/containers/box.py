"""One container of a run: made, started, frozen, killed and removed; and where its ports are reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import docker.errors
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer

from pytest_prodready.environment.containers.engine import ASKED_WITHIN_S, unchanged_variables
from pytest_prodready.environment.containers.failures import PortTaken, explained
from pytest_prodready.environment.containers.images import Image
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

ATTEMPTS = 4  # with other ports, where somebody was faster


@dataclass(frozen=True, slots=True)
class File:
    """A file that is put into the container before it starts."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Plan:
    """What a container is made of."""

    name: str
    image: Image
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()
    files: tuple[File, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


class Box:
    """A container of ours that can be stopped, killed, frozen and started again at the same address."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.plan = plan
        self.paused = False
        self._stage = stage
        self._made: DockerContainer | None = None
        self._published: dict[int, int] = {}
        self._lock = threading.RLock()

    @property
    def container(self) -> Container:
        """The engine's own handle."""
        assert self._made is not None
        return self._made.get_wrapped_container()

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self._made is not None

    @property
    def name(self) -> str:
        """The name that it was made with; it is known by it on the network, unless another has it now."""
        return f"prodready-{self._stage.run.id}-{self.plan.name}"

    def current_name(self) -> str:
        """The name that it has now."""
        self.container.reload()
        return str(self.container.name)

    @property
    def alias(self) -> str:
        """Its name on the run's network."""
        return self._stage.alias(self.plan.name)

    def address(self, port: int) -> Endpoint:
        """Where one of its ports is reached from here."""
        engine = self._stage.engine
        if engine.joins:
            return Endpoint(self.alias, port)
        if engine.direct:
            return Endpoint(self.network_address(), port)
        return Endpoint(engine.host, self._published[port])

    def network_address(self) -> str:
        """Its address on the run's network."""
        with explained(f"Looking at the container of {self.plan.name}"):
            self.container.reload()
            networks = self.container.attrs["NetworkSettings"]["Networks"]
        return str(networks[self._stage.network.name]["IPAddress"])

    def state(self) -> dict[str, Any]:
        """What the engine knows of its main process: Running, Pid, ExitCode, OOMKilled and so on."""
        if self._made is None:
            return {}
        with explained(f"Looking at the container of {self.plan.name}"), suppress(docker.errors.NotFound):
            self.container.reload()
            state: dict[str, Any] = self.container.attrs["State"]
            return state
        return {}

    @property
    def running(self) -> bool:
        """Whether its main process runs (or is frozen)."""
        return bool(self.state().get("Running"))

    def create(self) -> None:
        """Make and start it; with other ports if these are taken."""
        for attempt in range(ATTEMPTS):
            self._reserve_ports()
            try:
                self._create()
            except PortTaken:
                self.remove()
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def renew(self) -> None:
        """Put a new one in its place, at the same ports, as an orchestrator replaces one that died."""
        with self._lock:
            self._remove_container()
            self._create()

    def start(self) -> None:
        """Start it again on the same data and ports."""
        with self._lock, explained(f"Starting the container of {self.plan.name}"):
            self.container.start()
            self.paused = False

    def stop(self, within_s: float) -> None:
        """Ask it to end by its stop signal, and kill it after a while."""
        with self._lock, explained(f"Stopping the container of {self.plan.name}"):
            self._thaw()
            self.container.stop(timeout=max(1, int(within_s)))

    def kill(self) -> None:
        """End every process in it at once."""
        self.signal("SIGKILL")
        self.wait(within_s=10)

    def signal(self, name: str) -> None:
        """Send a signal to its main process; harmless when it has ended."""
        with self._lock, explained(f"Sending {name} to the container of {self.plan.name}"):
            self._thaw()
            with suppress(docker.errors.APIError):
                self.container.kill(signal=name)

    def wait(self, within_s: float) -> bool:
        """Wait for its end."""
        deadline = time.monotonic() + within_s
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def pause(self) -> None:
        """Freeze all that runs in it."""
        with self._lock, explained(f"Pausing the container of {self.plan.name}"):
            if not self.paused:
                self.container.pause()
                self.paused = True

    def resume(self) -> None:
        """Let it go on."""
        with self._lock, explained(f"Resuming the container of {self.plan.name}"):
            self._thaw()

    def logs(self, lines: int | None = None, since: float | None = None) -> str:
        """All that it has printed (since then, in seconds of the epoch), or the last lines of it."""
        if self._made is None:
            return ""
        with explained(f"Reading the log of {self.plan.name}"), suppress(docker.errors.NotFound):
            said = self.container.logs(tail="all" if lines is None else lines, since=since)
            return bytes(said).decode("utf-8", "replace")
        return ""

    def run(self, command: tuple[str, ...], user: str = "") -> None:
        """Run a command in it, and wait for its end."""
        with explained(f"Running a command in the container of {self.plan.name}"):
            status, said = self.container.exec_run(list(command), user=user)
        if status != 0:
            raise ServerError(
                f"A command in the container of {self.plan.name} ended with status {status}.",
                value=" ".join(command)[:200],
                tried=[f"it said: {bytes(said).decode('utf-8', 'replace').strip()}"],
            )

    def execute(self, command: tuple[str, ...], user: str = "") -> tuple[int, bytes]:
        """Run a short command in it; returns its status and what it printed, standard error left out."""
        with explained(f"Running a command in the container of {self.plan.name}"):
            status, said = self.container.exec_run(list(command), user=user, demux=True)
        return int(status), bytes(said[0] or b"")

    def begin(self, command: tuple[str, ...], user: str, variables: Mapping[str, str]) -> Callable[[], bool]:
        """Start a command in it that may take long; what is returned says whether it has ended."""
        api, what = self.container.client.api, f"Running a command in the container of {self.plan.name}"
        with explained(what):
            made = api.exec_create(self.container.id, list(command), user=user, environment=dict(variables))
            api.exec_start(made["Id"], detach=True)

        def ended() -> bool:
            with explained(what):
                return not api.exec_inspect(made["Id"])["Running"]

        return ended

    def remove(self) -> None:
        """Remove it with its volumes; harmless when there is none."""
        with self._lock:
            if self._made is None:
                return
            self._remove_container()
            for port in self._published.values():
                self._stage.run.ports.release(port)
            self._published = {}

    def _remove_container(self) -> None:
        if self._made is None:
            return
        if self._made._container is not None:
            with (
                explained(f"Removing the container of {self.plan.name}"),
                suppress(docker.errors.NotFound),  # within: outside of it there is none any more
            ):
                self.container.remove(force=True, v=True)
        self._made.get_docker_client().client.close()
        self._made, self.paused = None, False

    def _reserve_ports(self) -> None:
        if not self._stage.engine.direct:
            self._published = {port: self._stage.run.ports.reserve() for port in self.plan.ports}

    def _create(self) -> None:
        plan, stage = self.plan, self._stage
        with explained(f"Starting a container of {plan.image}", plan.image.source), unchanged_variables():
            made = DockerContainer(plan.image.name, docker_client_kw={"timeout": ASKED_WITHIN_S})
            self._made = made
            made.image = plan.image.full_name
            made.with_name(self.name).with_envs(**plan.env)
            made.with_network(stage.network).with_network_aliases(self.alias)
            made.with_kwargs(labels=stage.labels, **self._entrypoint(), **plan.extra)
            if plan.command:
                made.with_command(list(plan.command))
            for file in plan.files:
                made.with_copy_into_container(file.content, file.path, file.mode)
            for port, published in self._published.items():
                made.ports[f"{port}/tcp"] = (stage.engine.published_at, published)  # type: ignore[assignment]
            made.start()

    def _entrypoint(self) -> dict[str, Any]:
        return {"entrypoint": list(self.plan.entrypoint)} if self.plan.entrypoint else {}

    def _thaw(self) -> None:
        if self.paused:
            self.container.unpause()
            self.paused = False


@runtime_checkable
class Boxed(Protocol):
    """A server in a container."""

    @property
    def box(self) -> Box:
        """Its container."""


@contextmanager
def names_swapped(one: Box, other: Box) -> Iterator[None]:
    """Let each be known by the other's name, on the network too; connections don't notice."""
    _swap(one, other)
    try:
        yield
    finally:
        _swap(other, one)


def _swap(one: Box, other: Box) -> None:
    """Give this one's name to the other; for a moment, nobody has it."""
    with explained(f"Giving the name of {one.plan.name} to {other.plan.name}"):
        wanted = {one: other.current_name(), other: one.current_name()}
        one.container.rename(f"{wanted[other]}-meanwhile")
        other.container.rename(wanted[other])
        one.container.rename(wanted[one])
