"""The service under test, started from its command."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import psutil

from pytest_prodready.environment import leftovers
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.waiting import Readiness
from pytest_prodready.errors import ApplicationError, ConfigError

__all__ = ["Application", "Exit"]

FORCED_WITHIN_S = 10.0
FREED_WITHIN_S = 5.0
KILL_ROUNDS = 5
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Exit:
    """How the service's main process ended."""

    status: int | None  # None: ended by a signal
    signal: int | None
    seconds: float
    killed: bool  # it outlived the grace period
    left: int  # further processes of its group that were still there and were ended


class Application:
    """An instance of the service: a process group of ours with an address."""

    def __init__(self, run: Run, recipe: Recipe, name: str = "service") -> None:
        self.name = name
        self.log_file = run.folder / f"{name}.log"
        self._run, self._recipe = run, recipe
        self._fixed_port = recipe.service.port
        self.port = self._fixed_port or run.ports.reserve()
        self._readiness = Readiness(self.port, recipe.ready_path)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}
        self._others = 0
        self._lock = threading.RLock()

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""
        return f"http://{self.endpoint}"

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return self._readiness.endpoint

    @property
    def pid(self) -> int | None:
        """The main process, also after its end; None when there never was one."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it unless it runs, and wait until it is ready."""
        with self._lock:
            if not self.alive:
                self._spawn()
            self._wait_until_ready()

    def ensure_ready(self) -> None:
        """Start it again if it has died or doesn't get ready, so that it is as good as new."""
        with self._lock:
            if self.alive:
                with suppress(ApplicationError):
                    self._wait_until_ready()
            self.start()

    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """SIGTERM to the main process, as an orchestrator does; after the grace SIGKILL to all of them.

        None when it was dead already.
        """
        with self._lock:
            if self._process is None or not self.alive:
                self.kill()
                return None
            self.processes()  # to know them later, when they are orphans
            began = time.monotonic()
            self._process.terminate()
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
        """End all of its processes at once; returns how many there were."""
        with self._lock:
            count = 0
            # A supervisor replaces a worker that dies before itself: look again until nobody is left.
            for _ in range(KILL_ROUNDS):
                if not self.processes():
                    break
                count += self._kill_those_seen()
            return count

    def discard(self) -> None:
        """End it for good."""
        self.kill()
        if self._fixed_port is None:
            self._run.ports.release(self.port)

    def processes(self) -> tuple[int, ...]:
        """The main process, its descendants and whatever else is in its group, as far as they live."""
        with self._lock:
            found = {process.pid: process for process in self._family()} | self._seen
            self._seen = {pid: process for pid, process in found.items() if leftovers.runs(process)}
            return tuple(sorted(self._seen))

    def another(self) -> AbstractContextManager[Application]:
        """A second instance of the same on a port of its own; ended on leaving."""
        return self._another()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output, without passwords."""
        return self._recipe.redact(tail(self.log_file, lines))

    def __repr__(self) -> str:
        return f"<Application {self.name} at {self.base_url}>"

    @contextmanager
    def _another(self) -> Iterator[Application]:
        if self._fixed_port is not None:
            raise ConfigError(
                "A second instance needs a port of its own.",
                value=self._fixed_port,
                source="[service] port",
                remedy="remove the key and let the command take {port}",
            )
        self._others += 1
        other = Application(self._run, self._recipe, f"{self.name}-{self._others + 1}")
        try:
            other.start()
            yield other
        finally:
            other.discard()

    def _kill_those_seen(self) -> int:
        ended = list(self._seen.values())
        for process in ended:
            with suppress(psutil.Error):
                process.kill()
        if self._process is not None:
            self._process.wait(FORCED_WITHIN_S)
        leftovers.wait_gone(ended, within_s=FORCED_WITHIN_S)
        return len(ended)

    def _spawn(self) -> None:
        self.kill()  # what a main process that died has left may hold the port
        words = self._recipe.words(self._recipe.service.command or "", self.port, "[service] command")
        if not self._port_is_freed():
            raise ConfigError(
                f"Port {self.port} is taken by another program.",
                value=self.port,
                source="[service] port" if self._fixed_port else None,
                remedy="end that program, or let the command take {port} and remove [service] port",
            )
        variables = self._recipe.environment(self.port)
        self._process = self._run.spawn(words, env=variables, cwd=self._recipe.cwd, log=self.log_file)

    def _port_is_freed(self) -> bool:
        # A process of many threads looks dead before its last thread has let go of the listener.
        deadline = time.monotonic() + (FREED_WITHIN_S if self._process else 0)
        while not is_free(self.port):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _wait_until_ready(self) -> None:
        began = time.monotonic()
        limit_s = self._recipe.service.ready_within_s
        while not (self._readiness.reached() and self.alive):
            waited = time.monotonic() - began
            if not self.alive or waited > limit_s:
                raise self._not_ready(waited)
            time.sleep(POLL_S)

    def _not_ready(self, waited: float) -> ApplicationError:
        code = self._process.poll() if self._process else None
        self.kill()
        problem = (
            f"The service was not ready after {waited:.1f} s: asked {self._readiness}."
            if code is None
            else f"The service {_ended(code)} after {waited:.1f} s, before it was ready."
        )
        printed = self.log_tail()
        return ApplicationError(
            problem,
            value=self._recipe.redact(self._recipe.service.command or ""),
            source="[service] command",
            tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
            remedy=(
                "[health] readiness names the path that answers 200 once it is ready: is it this one?"
                if code is None and self._readiness.unknown_path
                else "run it by hand; a slow start needs a larger [service] ready_within_s"
            ),
        )

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


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
