"""The service under test as a container."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from docker.types import LogConfig

from pytest_prodready.environment.consumption import Consumption, delay_in
from pytest_prodready.environment.containers.application_image import ServiceImage
from pytest_prodready.environment.containers.application_inside import inside
from pytest_prodready.environment.containers.application_sockets import Lookout
from pytest_prodready.environment.containers.box import Box, File, Plan
from pytest_prodready.environment.containers.failures import PortTaken, explained
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.logs import last_lines, write_private
from pytest_prodready.environment.ran import Command, Ran
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import Exit
from pytest_prodready.environment.service import Endpoint, Seen
from pytest_prodready.environment.started import StartedApplication, how_ended
from pytest_prodready.environment.values import of_replica
from pytest_prodready.environment.waiting import Readiness, stays
from pytest_prodready.errors import ApplicationError, ServerError

KEPT_LINES = 5000
MOST_LINES = 100_000  # of a flood
COMMANDS = itertools.count(1)
# A command that prints without end must not fill the engine's disk.
LITTLE_KEPT = LogConfig(type=LogConfig.types.JSON, config={"max-size": "2m", "max-file": "2"})
SIGNALLED = 128  # and the signal's number: the exit status of a main process that a signal has ended
HIGHEST_SIGNAL = 64
# What runtimes say of a program that isn't there, isn't executable, or is for another processor.
NO_PROGRAM = (
    "executable file not found",
    "no such file",
    "permission denied",
    "exec format",
    "is a directory",
)


@dataclass(frozen=True, slots=True)
class Kit:
    """What all containers of the service are made from, and how to look into them."""

    image: ServiceImage
    files: tuple[File, ...]
    lookout: Lookout | None  # None: there is no image to look from


class ContainerApplication(StartedApplication):
    """An instance of the service: a container of ours with a published port."""

    def __init__(self, stage: Stage, recipe: Recipe, kit: Kit, name: str = "service") -> None:
        super().__init__(recipe, name)
        self._stage, self._kit = stage, kit
        self._inside = kit.image.port(recipe.service)
        self._box = Box(stage, self._own_plan())
        self._pid: int | None = None
        self._earlier = ""  # what containers before this one have printed

    @property
    def endpoint(self) -> Endpoint:
        """Where its port is reached from here; the port in the container before there is one."""
        return self._box.address(self._inside) if self._box.exists else Endpoint("", self._inside)

    @property
    def pid(self) -> int | None:
        """The main process as the engine counts it, also after its end; None when there never was one."""
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._box.running

    @property
    def repeatable(self) -> bool:
        """Every container has all ports for itself."""
        return True

    def terminate(self) -> None:
        """The image's stop signal (SIGTERM unless it declares another) to the main process."""
        if self._box.exists:
            self._box.signal(self._kit.image.stop_signal)

    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """The stop signal, and after the grace SIGKILL; None when it was dead already."""
        with self._lock:
            if not self.alive:
                return None
            began = time.monotonic()
            self.terminate()
            ended = self._box.wait(grace_s)
            seconds = time.monotonic() - began
            if not ended:
                self._box.kill()
            code = self._code()
            # The system ends whatever else runs in a container together with its main process.
            return Exit(
                status=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                seconds=round(seconds, 3),
                killed=not ended,
                left=0,
            )

    def kill(self) -> int:
        """End all of its processes at once; returns how many there were."""
        with self._lock:
            count = len(self.processes())
            if count:
                self._box.kill()
            return count

    def discard(self) -> None:
        """Remove it; its log stays in the run's folder."""
        with self._lock:
            if self._box.exists:
                file = self._stage.run.folder / f"{self.name}.log"
                write_private(file, self.log(KEPT_LINES))
                self._box.remove()

    def processes(self) -> tuple[int, ...]:
        """The processes in the container, by the numbers that the engine gives them."""
        if not self.alive:
            return ()
        try:
            with explained("Listing the processes of the service"):
                found = self._box.container.top()
            column = found["Titles"].index("PID")
            return tuple(sorted(int(process[column]) for process in found["Processes"] or ()))
        except (ServerError, ValueError, KeyError, TypeError):
            # Ended meanwhile, or the engine can't list them: the main one is known.
            return (self._pid,) if self._pid and self.alive else ()

    def connections_to(self, endpoints: Iterable[Endpoint]) -> Mapping[int, frozenset[int]] | None:
        """Which of its processes holds which connections to these addresses; None where nobody can tell."""
        if self._kit.lookout is None or not self.alive:
            return None
        return self._kit.lookout.held(str(self._box.container.id), endpoints)

    def consumption(self) -> Consumption | None:
        """What its container has used up to now, as the engine tells it: memory without the files' cache."""
        try:
            with explained("Asking what the service uses"):
                told = self._box.container.stats(stream=False, one_shot=True)
            memory = told["memory_stats"]
            cached = memory.get("stats", {}).get("inactive_file", 0)
            return Consumption(
                cpu_s=told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
                memory_mb=(memory["usage"] - cached) / 2**20,
                delay_s=delay_in(self.processes(), str(self._box.container.id)),
            )
        except (ServerError, KeyError, TypeError):
            return None  # it has ended, or the engine doesn't tell

    def log(self, lines: int) -> str:
        """The last lines of its output, as they are."""
        return last_lines(self._earlier + self._box.logs(lines), lines)

    def log_mark(self) -> float:
        """The time by now: its lines carry one."""
        return time.time()

    def log_since(self, mark: float) -> Iterator[str]:
        """Each line of its output after that, as it is; of a flood the last."""
        return iter(self._box.logs(MOST_LINES, mark).splitlines())

    def run_once(self, command: Command, within_s: float) -> Ran:
        """Run a command in a container like the service's; what outlives the limit is ended."""
        number = f"{command.name}-{next(COMMANDS)}"
        plan = self._plan(number, command.text, command.source)
        box = Box(self._stage, replace(plan, extra={"log_config": LITTLE_KEPT}))
        try:
            began = time.monotonic()
            self._begin(box.create, command.text, command.source)
            status = self._status(box) if box.wait(within_s) else None
            seconds, printed = time.monotonic() - began, box.logs(KEPT_LINES)
        finally:
            # What it left in the background ends with its container.
            box.remove()
        write_private(self._stage.run.folder / f"{command.name}.log", printed)
        return Ran(status, round(seconds, 3), last_lines(printed, KEPT_LINES), len(printed.encode()))

    def beside(self, script: str, variables: Mapping[str, str]) -> str:
        """What a shell script says that runs beside its processes; raises ServerError."""
        if self._kit.lookout is None:
            raise ServerError("There is no image to look into the service's container from.")
        return self._kit.lookout.beside(str(self._box.container.id), script, variables)

    def _own_plan(self) -> Plan:
        plan = self._plan(self.name, self._recipe.service.command, "[service] command", self._inside)
        return replace(plan, extra={"extra_hosts": dict(self._recipe.hosts)} if self._recipe.hosts else {})

    def _plan(self, name: str, command: str | None, key: str, *ports: int) -> Plan:
        words = self._recipe.split(command, self._inside, key) if command is not None else ()
        return Plan(
            name,
            self._kit.image.image,
            command=tuple(words),
            env=self._recipe.variables(self._inside),
            ports=ports,
            files=self._kit.files,
        )

    def _told_of(self, replica: Seen) -> Mapping[str, str]:
        return of_replica(self._recipe.values, replica.inside)

    def _told_of_server(self, database: Database) -> Mapping[str, str]:
        return inside(database, None)[0]

    def _like_this(self, name: str, recipe: Recipe) -> ContainerApplication:
        return ContainerApplication(self._stage, recipe, self._kit, name)

    def _spawn(self) -> Readiness:
        value, key = self._recipe.started_by
        self._box.plan = self._own_plan()
        if self._box.exists:
            self._earlier = f"{self.log(KEPT_LINES)}\n"
            self._begin(self._box.renew, value, key)
        else:
            self._begin(self._box.create, value, key)
        self._pid = int(self._box.state().get("Pid") or 0) or None
        return Readiness([self._box.address(self._inside)], self._recipe.ready_path, stays)

    def _begin(self, begin: Callable[[], None], command: str, key: str) -> None:
        """Start a container; a program that can't be started is the command's fault, not the engine's."""
        try:
            begin()
        except PortTaken:
            raise
        except ServerError as error:
            said = str(error.value)
            if "exec" not in said or not any(mark in said.lower() for mark in NO_PROGRAM):
                raise
            raise ApplicationError(
                "The program can't be started in its container.",
                value=self._recipe.redact(command),
                source=key,
                tried=[self._recipe.redact(said)],
                remedy=(
                    "see that the image has it on its PATH, executable, and for the engine's processor;"
                    " the image's ENTRYPOINT comes before the command"
                ),
            ) from None

    def _code(self) -> int:
        """The exit status of the main process, or less than 0 for a signal."""
        return self._status(self._box)

    @staticmethod
    def _status(box: Box) -> int:
        code = int(box.state().get("ExitCode") or 0)
        return SIGNALLED - code if SIGNALLED < code <= SIGNALLED + HIGHEST_SIGNAL else code

    def _ended(self) -> str | None:
        state = self._box.state()
        if state.get("Running"):
            return None
        if not state:
            return "lost its container, which somebody removed,"
        return "was ended for want of memory" if state.get("OOMKilled") else how_ended(self._code())

    def _advice(self, *, silent: bool) -> str:
        if not silent:
            return super()._advice(silent=silent)
        return (
            f"in its container it has to listen on 0.0.0.0 (not on 127.0.0.1), port {self._inside};"
            " [service] port names another; a slow start needs a larger ready_within_s"
        )
