"""The service under test as a local process, started from its command."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import psutil

from pytest_prodready.environment import leftovers, sockets
from pytest_prodready.environment.consumption import Consumption, consumption
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.logs import lines_since, size, tail, write_private
from pytest_prodready.environment.ports import LOOPBACK, is_free
from pytest_prodready.environment.ran import Command, Output, Ran
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.roles import Exit
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint, Seen
from pytest_prodready.environment.started import POLL_S, StartedApplication, how_ended
from pytest_prodready.environment.values import of_replica, of_servers
from pytest_prodready.environment.waiting import Readiness
from pytest_prodready.errors import ConfigError

FREED_WITHIN_S = 5.0
COMMANDS = itertools.count(1)


class Application(StartedApplication):
    """An instance of the service: a process group of ours with an address."""

    def __init__(self, run: Run, recipe: Recipe, name: str = "service") -> None:
        super().__init__(recipe, name)
        self.log_file = run.folder / f"{name}.log"
        self._run = run
        self._fixed_port = recipe.service.port
        self._port = self._fixed_port or run.ports.reserve()
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self._readiness.endpoint if self._readiness else Endpoint(LOOPBACK, self._port)

    @property
    def pid(self) -> int | None:
        """The main process, also after its end; None when there never was one."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def repeatable(self) -> bool:
        """Whether another instance finds a port."""
        return self._fixed_port is None

    def terminate(self) -> None:
        """SIGTERM to the main process alone, as an orchestrator does; harmless when it has ended."""
        if self._process is not None:
            self._process.terminate()

    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """SIGTERM to the main process; after the grace SIGKILL to all of them.

        None when it was dead already.
        """
        with self._lock:
            if self._process is None or not self.alive:
                self.kill()
                return None
            self.processes()  # to know them later, when they are orphans
            began = time.monotonic()
            self.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
            killed, seconds = self.alive, time.monotonic() - began
            left = self.kill() - killed
            code = self._process.returncode
            return Exit(
                status=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                seconds=round(seconds, 3),
                killed=killed,
                left=left,
            )

    def kill(self) -> int:
        """End all of its processes at once; returns how many there were, daemons not counted."""
        with self._lock:
            count = 0
            # A supervisor replaces a worker that dies before itself: look again until nobody is left.
            for _ in range(leftovers.KILL_ROUNDS):
                if not self.processes():
                    break
                count += self._kill_those_seen()
            self._kill_daemons()
            return count

    def discard(self) -> None:
        """End it for good."""
        self.kill()
        if self._fixed_port is None:
            self._run.ports.release(self._port)

    def processes(self) -> tuple[int, ...]:
        """The main process, its descendants and whatever else is in its group, as far as they live."""
        with self._lock:
            found = {process.pid: process for process in self._family()} | self._seen
            self._seen = {pid: process for pid, process in found.items() if leftovers.runs(process)}
            return tuple(sorted(self._seen))

    def connections_to(self, endpoints: Iterable[Endpoint]) -> Mapping[int, frozenset[int]] | None:
        """Which of its processes holds which connections to these addresses; None where nobody can tell."""
        return sockets.held(self.processes(), sockets.addresses_of(endpoints))

    def consumption(self) -> Consumption | None:
        """What its processes have used up to now."""
        return consumption(self.processes())

    def log(self, lines: int) -> str:
        """The last lines of its output, as they are."""
        return tail(self.log_file, lines)

    def log_mark(self) -> float:
        """How much it has printed by now."""
        return size(self.log_file)

    def log_since(self, mark: float) -> Iterator[str]:
        """Each line of its output after that, as it is."""
        return lines_since(self.log_file, int(mark))

    def run_once(self, command: Command, within_s: float) -> Ran:
        """Run a command in its place, with nothing to read; what outlives the limit is ended."""
        recipe = self._recipe
        words = recipe.words(command.text, self._port, command.source)
        mark = f"{self.name}-command-{next(COMMANDS)}"
        variables = {**recipe.environment(self._port), leftovers.INSTANCE: mark}
        began = time.monotonic()
        with Output() as output:
            process = self._run.spawn(words, env=variables, cwd=recipe.cwd, log=output.writing)
            status, left = self._await(process, within_s, mark)
        seconds, printed = time.monotonic() - began, output.text()
        write_private(self._run.folder / f"{command.name}.log", printed)
        return Ran(status, round(seconds, 3), printed, output.size, left)

    def _await(self, process: subprocess.Popen[bytes], within_s: float, mark: str) -> tuple[int | None, int]:
        """The command's exit status, None when it had to be ended; and how many processes outlived it."""
        status = None
        try:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(within_s)
        finally:
            left = self._end_command(process, mark)
        return status, left if status is not None else 0

    def _end_command(self, process: subprocess.Popen[bytes], mark: str) -> int:
        """End what is left of it, which would be nobody's; returns how many there were."""
        count = leftovers.end_command(self._run.folder, process.pid, mark)
        process.wait()
        return count

    def _told_of(self, replica: Seen) -> Mapping[str, str]:
        return of_replica(self._recipe.values, replica.here)

    def _told_of_server(self, database: Database) -> Mapping[str, str]:
        return of_servers(database, None)

    def _like_this(self, name: str, recipe: Recipe) -> Application:
        return Application(self._run, recipe, name)

    def _kill_those_seen(self) -> int:
        ended = list(self._seen.values())
        for process in ended:
            with suppress(psutil.Error):
                process.kill()
        if self._process is not None:
            self._process.wait(leftovers.FORCED_WITHIN_S)
        leftovers.wait_gone(ended, within_s=leftovers.FORCED_WITHIN_S)
        return len(ended)

    def _kill_daemons(self) -> None:
        """End those that left its group and lost their parents: they may hold the port."""
        if self._process is None:
            return
        for _ in range(leftovers.KILL_ROUNDS):
            daemons = leftovers.of_instance(self._run.folder, self.name)
            if not daemons:
                return
            for process in daemons:
                with suppress(psutil.Error):
                    process.kill()
            leftovers.wait_gone(daemons, within_s=leftovers.FORCED_WITHIN_S)

    def _spawn(self) -> Readiness:
        self.kill()  # what a main process that died has left may hold the port
        words = self._recipe.words(self._recipe.service.command or "", self._port, "[service] command")
        if not self._port_is_freed():
            raise ConfigError(
                f"Port {self._port} is taken by another program.",
                value=self._port,
                source="[service] port" if self._fixed_port else None,
                remedy="end that program, or let the command take {port} and remove [service] port",
            )
        variables = {**self._recipe.environment(self._port), leftovers.INSTANCE: self.name}
        self._process = self._run.spawn(words, env=variables, cwd=self._recipe.cwd, log=self.log_file)
        endpoints = [self.endpoint, *(Endpoint(host, self._port) for host in (LOOPBACK, "::1"))]
        return Readiness(list(dict.fromkeys(endpoints)), self._recipe.ready_path)

    def _port_is_freed(self) -> bool:
        # A process of many threads looks dead before its last thread has let go of the listener.
        deadline = time.monotonic() + (FREED_WITHIN_S if self._process else 0)
        while not is_free(self._port):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _ended(self) -> str | None:
        code = self._process.poll() if self._process else None
        return None if code is None else how_ended(code)

    def _family(self) -> list[psutil.Process]:
        """The processes of the main one's group, and its descendants."""
        if self._process is None:
            return []
        main = self._process.pid
        if self.alive:
            with suppress(psutil.Error):
                descendants = psutil.Process(main).children(recursive=True)
                return [*leftovers.of_groups([main]), *descendants]
        elif psutil.pid_exists(main):
            return []  # the number, and so the group, is another program's by now
        return list(leftovers.of_groups([main]))
