"""The service under test: started from its command, or found at its address."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_prodready.environment import leftovers
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.placeholders import fill
from pytest_prodready.environment.ports import LOOPBACK, answers, is_free
from pytest_prodready.environment.runs import Run
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ApplicationError, ConfigError
from pytest_prodready.settings import ServiceSettings

SETUP_WITHIN_S = 300.0
FORCED_WITHIN_S = 10.0
POLL_S = 0.02
# Of our own environment the service sees nothing that would change how it connects, or that is pytest's.
NOT_INHERITED = ("PG", "PYTEST_", "PRODREADY_", "COV_CORE_")


@dataclass(frozen=True, slots=True)
class Exit:
    """How the service's main process ended."""

    status: int | None  # None: ended by a signal
    signal: int | None
    seconds: float
    killed: bool  # it outlived the grace period
    left: int  # processes of its group that outlived it and were ended by us


@dataclass(frozen=True)
class Recipe:
    """What it takes to start an instance of the service."""

    service: ServiceSettings
    folder: Path  # of prodready.toml
    values: Mapping[str, str]  # of the placeholders, but for {port}
    ready_path: str | None = None
    redact: Callable[[str], str] = str

    @property
    def cwd(self) -> Path:
        """The folder that it runs in."""
        return (self.folder / self.service.cwd).resolve()

    def variables(self, port: int) -> dict[str, str]:
        """[service] env, filled in."""
        values = {**self.values, "port": str(port)}
        return {name: fill(value, values) for name, value in self.service.env.items()}

    def environment(self, port: int) -> dict[str, str]:
        """All environment variables that it gets."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        inherited["PATH"] = _path(inherited)
        return {**inherited, **self.variables(port)}

    def words(self, command: str, port: int, key: str) -> list[str]:
        """A command split as a shell would, filled in, and with a program that exists."""
        values = {**self.values, "port": str(port)}
        try:
            words = [fill(word, values) for word in shlex.split(command)]
        except ValueError as error:
            raise ConfigError(
                f"A command can't be split into words: {error}.", value=command, source=key
            ) from None
        path = self.environment(port)["PATH"]
        if not words or self._program(words[0], path) is None:
            raise ConfigError(
                f"The program {words[0]!r} was not found." if words else "The command is empty.",
                value=command,
                source=key,
                tried=[f"PATH {path}", f"folder {self.cwd}"],
                remedy="install it, give its path, or start a Python module by: {python} -m module …",
            )
        return words

    def _program(self, name: str, path: str) -> str | None:
        return shutil.which(self.cwd / name) if "/" in name else shutil.which(name, path=path)


class Application:
    """An instance of the service: a process group of ours with an address."""

    def __init__(self, run: Run, recipe: Recipe, name: str = "service") -> None:
        self.name = name
        self.log_file = run.folder / f"{name}.log"
        self._run, self._recipe = run, recipe
        self._fixed = recipe.service.port
        self.port = self._fixed or run.ports.reserve()
        self._host = LOOPBACK
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}
        self._others = 0
        self._last_answer = "none"
        self._lock = threading.RLock()

    @property
    def base_url(self) -> str:
        """Where its requests go, without a slash at the end."""
        return f"http://{self.endpoint}"

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(self._host, self.port)

    @property
    def pid(self) -> int | None:
        """The main process, also after its end; None when there never was one."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    def set_up(self) -> None:
        """Run [service] setup, one command after the other."""
        for number, command in enumerate(self._recipe.service.setup):
            self._set_up(command, f"[service] setup[{number}]", self._run.folder / f"setup-{number}.log")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._lock:
            if not self.alive:
                self._spawn()
            self.wait_until_ready()

    def ensure_ready(self) -> None:
        """Start it again if it has died, and wait until it is ready."""
        self.start()

    def wait_until_ready(self) -> None:
        """Wait for its readiness path, or its port where none is configured."""
        began = time.monotonic()
        limit_s = self._recipe.service.ready_within_s
        while not self._is_ready():
            waited = time.monotonic() - began
            if not self.alive or waited > limit_s:
                raise self._not_ready(waited)
            time.sleep(POLL_S)

    def stop(self, grace_s: float = 10.0) -> Exit | None:
        """SIGTERM to the main process, as an orchestrator does; after the grace SIGKILL to all of them."""
        with self._lock:
            if not self.alive or self._process is None:
                self._end_group()
                return None
            self.processes()  # to know them when they are orphans
            began = time.monotonic()
            self._process.terminate()
            killed = False
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                killed = True
            seconds = time.monotonic() - began
            left = self._end_group() - killed
            code = self._process.returncode
            return Exit(
                status=code if code >= 0 else None,
                signal=-code if code < 0 else None,
                seconds=round(seconds, 3),
                killed=killed,
                left=max(0, left),
            )

    def kill(self) -> None:
        """End all of its processes at once."""
        with self._lock:
            self._end_group()

    def discard(self) -> None:
        """End it for good."""
        self.kill()
        if self._fixed is None:
            self._run.ports.release(self.port)

    def processes(self) -> tuple[int, ...]:
        """The main process, its descendants and whatever else is in its group, as far as they live."""
        if self._process is None:
            return ()
        self._process.poll()
        found = list(leftovers.of_groups([self._process.pid]))
        with suppress(psutil.Error):
            if self.alive:
                found += psutil.Process(self._process.pid).children(recursive=True)
        self._seen.update((process.pid, process) for process in found)
        self._seen = {pid: process for pid, process in self._seen.items() if leftovers.runs(process)}
        return tuple(sorted(self._seen))

    @contextmanager
    def another(self) -> Iterator[Application]:
        """A second instance of the same on a port of its own; ended on leaving."""
        if self._fixed is not None:
            raise ConfigError(
                "A second instance needs a port of its own.",
                value=self._fixed,
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

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output, without passwords."""
        return self._recipe.redact(tail(self.log_file, lines))

    def __repr__(self) -> str:
        return f"<Application {self.name} at {self.base_url}>"

    def _spawn(self) -> None:
        command = self._recipe.service.command or ""
        words = self._recipe.words(command, self.port, "[service] command")
        if not is_free(self.port):
            raise ConfigError(
                f"Port {self.port} is taken by another program.",
                value=self.port,
                source="[service] port" if self._fixed else None,
                remedy="end that program, or let the command take {port} and remove [service] port",
            )
        self._seen.clear()
        self._process = self._run.spawn(
            words, env=self._recipe.environment(self.port), cwd=self._existing_cwd(), log=self.log_file
        )

    def _existing_cwd(self) -> Path:
        if not self._recipe.cwd.is_dir():
            raise ConfigError(
                "The service's folder does not exist.", value=self._recipe.cwd, source="[service] cwd"
            )
        return self._recipe.cwd

    def _set_up(self, command: str, key: str, log: Path) -> None:
        words = self._recipe.words(command, self.port, key)
        process = self._run.spawn(
            words, env=self._recipe.environment(self.port), cwd=self._existing_cwd(), log=log
        )
        try:
            status: int | None = process.wait(SETUP_WITHIN_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if status != 0:
            ended = (
                f"did not end within {SETUP_WITHIN_S:g} s"
                if status is None
                else f"ended with status {status}"
            )
            raise ApplicationError(
                f"A set-up command {ended}.",
                value=f"{self._recipe.redact(command)}\n{self._recipe.redact(tail(log))}",
                source=key,
                remedy="run it by hand with the same variables, and read its last lines above",
            )

    def _is_ready(self) -> bool:
        path = self._recipe.ready_path
        for host in (LOOPBACK, "::1"):
            endpoint = Endpoint(host, self.port)
            if answers(endpoint) and (path is None or self._says_yes(endpoint, path)):
                self._host = host
                return self.alive
        return False

    def _says_yes(self, endpoint: Endpoint, path: str) -> bool:
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            self._last_answer = f"{type(error).__name__}: {error}"
            return False
        finally:
            connection.close()
        self._last_answer = f"status {status}"
        return 200 <= status < 300

    def _not_ready(self, waited: float) -> ApplicationError:
        status = self._process.poll() if self._process else None
        path = self._recipe.ready_path
        if status is not None:
            problem = f"The service {_ended(status)} after {waited:.1f} s, before it was ready."
        else:
            asked = f"{path} (last answer: {self._last_answer})" if path else f"port {self.port}"
            problem = f"The service was not ready after {waited:.1f} s: asked {asked}."
        log = self.log_tail()
        self._end_group()
        return ApplicationError(
            problem,
            value=self._recipe.redact(self._recipe.service.command or ""),
            source="[service] command",
            tried=[f"its last output:\n{log}" if log else "it printed nothing"],
            remedy="run it by hand; a slow start needs a larger [service] ready_within_s",
        )

    def _end_group(self) -> int:
        """SIGKILL to whatever is left of it; returns how many processes that were."""
        if self._process is None:
            return 0
        left = self.processes()
        handles = list(self._seen.values())
        for process in handles:
            with suppress(psutil.Error):
                process.kill()
        self._process.wait(FORCED_WITHIN_S)
        leftovers.wait_gone(handles, within_s=FORCED_WITHIN_S)
        return len(left)


class GivenApplication(Application):
    """A service that the user runs: it has an address, and nothing about it is ours to start or end."""

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
        return self._answer() is None

    def start(self) -> None:
        """Make sure that it answers."""
        if failure := self._answer():
            raise ApplicationError(
                "The service does not answer.",
                value=self._recipe.redact(self.base_url),
                source="[service] url",
                tried=[failure],
                remedy="start it, or mend the address",
            )

    def another(self) -> Iterator[Application]:  # type: ignore[override]
        """Not for a service that isn't ours."""
        raise ApplicationError(
            "A service given by url can't be started a second time.", source="[service] url"
        )

    def _answer(self) -> str | None:
        import httpx  # noqa: PLC0415

        try:
            httpx.get(self.base_url, timeout=5, verify=False)  # noqa: S501
        except httpx.HTTPError as error:
            return f"GET {self.base_url}: {type(error).__name__}: {error}"
        return None


def _path(inherited: Mapping[str, str]) -> str:
    """PATH with the folder of this Python: before the rest where its environment isn't another active one."""
    path, own = inherited.get("PATH", os.defpath), str(Path(sys.executable).parent)
    if inherited.get("VIRTUAL_ENV", sys.prefix) == sys.prefix and sys.prefix != sys.base_prefix:
        return f"{own}{os.pathsep}{path}"
    return f"{path}{os.pathsep}{own}"


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
