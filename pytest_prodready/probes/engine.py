"""A service's own connection pool, looked at in a process of its own.

The service's code never runs in pytest's process: the child gets the service's folder and environment, so
that what its modules read from there when they are imported is right, and dies with us.
"""

from __future__ import annotations

import difflib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.recipe import inherited
from pytest_prodready.environment.secrets import Redactor
from pytest_prodready.errors import ConfigError, ProdreadyError
from pytest_prodready.settings import Settings

# Where this package is; with -P and without a script, no folder of ours stands in front of the service's.
PACKAGES = Path(__file__).parents[2]
BOOT = f"""
import sys
sys.path.append({str(PACKAGES)!r})
from pytest_prodready.probes.engine_host import main
main(sys.argv[1])
"""
SOURCE = "[service] engine"
START_WITHIN_S = 20.0
GRACE_S = 3.0  # beyond an operation's own deadline, before the process is ended


class EngineError(ProdreadyError):
    """The process with the engine died, or stopped answering."""


@dataclass(frozen=True, slots=True)
class ConnectOutcome:
    """One connection taken from the pool and used; `error_kind` is class names only."""

    ok: bool
    error_kind: str | None
    seconds: float
    sqlstate: str | None = None
    timed_out: bool = False
    backend_pid: int | None = None


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """What the pool declares of itself; None where it has no such limit."""

    kind: str
    pool: str
    size: int | None
    unbounded: bool
    checkout_timeout_s: float | None
    recycle_s: float | None
    pre_ping: bool


@dataclass(frozen=True, slots=True)
class Checkout:
    """How asking for a connection ended: `ok` got one, `timed_out` was still waiting at the deadline."""

    ok: bool
    error_kind: str | None
    timed_out: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """How many connections could be held at once, and what ended it."""

    held: int
    error_kind: str | None
    timed_out: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Aged:
    """The backends that two checkouts got, the connection made old between them."""

    aged: bool  # False: the pool goes by its settings
    first_pid: int | None
    second_pid: int | None
    error_kind: str | None


@dataclass(frozen=True, slots=True)
class Forked:
    """Whether a forked child that used the pool as it was got a connection of its own."""

    own: bool | None  # None: it got none
    error_kind: str | None
    child_error_kind: str | None


class EngineProcess:
    """The process with the engine; every operation has a deadline, after which the process is ended."""

    def __init__(
        self,
        target: str,
        *,
        cwd: Path,
        env: Mapping[str, str],
        redact: Callable[[str], str] = str,
        start_within_s: float = START_WITHIN_S,
    ) -> None:
        self.target = target
        self._cwd = cwd
        self._redact = redact
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
        self._replies: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, name="prodready-engine", daemon=True).start()
        try:
            hello = self._reply("start", start_within_s)
            if "unusable" in hello:
                raise self._unusable(hello["unusable"], hello["detail"])
        except BaseException:
            self.close()
            raise
        self.kind: str = hello["kind"]

    def connect(self, deadline_s: float = 10.0) -> ConnectOutcome:
        """Take one connection, run a statement, give it back."""
        seen = self._ask("connect", deadline_s)
        return ConnectOutcome(
            ok=seen["ok"],
            error_kind=seen["error_kind"],
            seconds=seen["seconds"],
            sqlstate=seen.get("sqlstate"),
            timed_out=seen["timed_out"],
            backend_pid=seen.get("backend_pid"),
        )

    def figures(self) -> PoolFigures:
        """Size and limits that the pool declares."""
        return PoolFigures(**self._ask("figures", 5.0))

    def hold(self, count: int, deadline_s: float = 15.0) -> Held:
        """Take so many connections and keep them."""
        seen = self._ask("hold", deadline_s, count=count)
        return Held(seen["held"], seen["error_kind"], seen["timed_out"], seen["seconds"])

    def one_more(self, deadline_s: float) -> Checkout:
        """Ask for one connection more than are held; it is given back if it comes."""
        seen = self._ask("one_more", deadline_s)
        return Checkout(seen["ok"], seen["error_kind"], seen["timed_out"], seen["seconds"])

    def checkouts(self, count: int, deadline_s: float) -> Checkout:
        """Take a connection and give it back, so many times; the time is that of all."""
        seen = self._ask("checkouts", deadline_s, count=count)
        return Checkout(seen["ok"], seen["error_kind"], seen["timed_out"], seen["seconds"])

    def release(self, deadline_s: float = 10.0) -> int | None:
        """Give back all that is held; returns how many are still checked out, if the pool counts."""
        counted: int | None = self._ask("release", deadline_s)["checked_out"]
        return counted

    def setting(self, name: str, deadline_s: float = 10.0) -> str | None:
        """A server setting in its base unit, as the engine's sessions have it; None when it can't be read."""
        value: str | None = self._ask("setting", deadline_s, name=name).get("value")
        return value

    def sleep(self, sleep_s: float, deadline_s: float) -> ConnectOutcome:
        """Run a statement that sleeps for so long."""
        seen = self._ask("sleep", deadline_s, sleep_s=sleep_s)
        return ConnectOutcome(
            seen["ok"], seen["error_kind"], seen["seconds"], seen.get("sqlstate"), seen["timed_out"]
        )

    def age(self, age_s: float, deadline_s: float = 15.0) -> Aged:
        """Make a pooled connection this old, and see whether the next checkout still gets it."""
        seen = self._ask("age", deadline_s, age_s=age_s)
        return Aged(seen["aged"], seen["first_pid"], seen["second_pid"], seen["error_kind"])

    def fork(self, deadline_s: float = 15.0) -> Forked:
        """Fork after use and use the pool in the child; the last thing to do, for it mixes up the sockets."""
        seen = self._ask("fork", deadline_s)
        return Forked(seen.get("own"), seen["error_kind"], seen.get("child_error_kind"))

    def dispose(self, deadline_s: float = 5.0) -> None:
        """Close the pooled connections."""
        self._ask("dispose", deadline_s)

    def close(self) -> None:
        """End the process, and what it forked."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()  # it ends by itself when its input does
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait(5.0)
        self._log.close()

    def _ask(self, operation: str, deadline_s: float, **details: Any) -> dict[str, Any]:
        line = json.dumps({"do": operation, "deadline_s": deadline_s, **details}).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._died(operation) from None
        return self._reply(operation, deadline_s + GRACE_S)

    def _reply(self, operation: str, within_s: float) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=within_s)
        except queue.Empty:
            self._kill()
            raise EngineError(
                f"the engine didn't finish “{operation}” within {within_s:g} s",
                value=self.target,
                source=SOURCE,
                remedy="see that the factory and its pool don't block the event loop they run in",
            ) from None
        if not line:
            raise self._died(operation)
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            for line in replies:
                self._replies.put(line)
        self._replies.put(b"")

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            self._process.kill()

    def _died(self, operation: str) -> EngineError:
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            status = None
        said = self._last_words()
        return EngineError(
            f"the process with the engine ended during “{operation}” (exit status {status})",
            value=self.target,
            source=SOURCE,
            tried=said,
            remedy="importing the module and calling the factory must not end the process",
        )

    def _last_words(self, lines: int = 5) -> list[str]:
        self._log.seek(0)
        text = self._log.read()[-4000:].decode(errors="replace")
        return [f"it said: {self._redact(line)}" for line in text.strip().splitlines()[-lines:]]

    def _unusable(self, step: str, detail: str) -> ConfigError:
        module, _, name = self.target.partition(":")
        problem, remedy = {
            "no-module": (
                f"there is no module {detail}; looked in {self._cwd} and in {sys.executable}'s packages",
                "write it as package.module:factory, seen from [service] cwd, "
                "and install the service beside pytest",
            ),
            "import-failed": (
                f"importing {module} failed: {self._redact(detail)}",
                "it is imported with the service's environment ([service] env) from [service] cwd",
            ),
            "no-factory": (f"{module} has no {name}", _nearest(name, detail.split())),
            "failed": (
                f"{name}() failed: {self._redact(detail)}",
                "the factory is called without arguments, with the service's environment ([service] env)",
            ),
            "wrong-type": (
                f"{name}() returned a {detail}",
                "return a SQLAlchemy Engine or AsyncEngine, or a psycopg_pool ConnectionPool "
                "or AsyncConnectionPool",
            ),
        }[step]
        return ConfigError(problem, value=self.target, source=SOURCE, remedy=remedy)


@contextmanager
def engine_process(
    target: str, *, cwd: Path, env: Mapping[str, str], redact: Callable[[str], str] = str
) -> Iterator[EngineProcess]:
    """The engine that `target` ("module:factory") makes, for as long as the block lasts."""
    process = EngineProcess(target, cwd=cwd, env=env, redact=redact)
    try:
        yield process
    finally:
        process.close()


@contextmanager
def service_engine(
    environment: Environment, settings: Settings, overrides: Mapping[str, str] | None = None
) -> Iterator[EngineProcess]:
    """The service's configured engine, in its folder with its variables; `overrides` replace some of them."""
    target = settings.service.engine
    if target is None:
        raise ConfigError(
            "no engine is configured",
            source="[service]",
            remedy='add engine = "package.module:factory" to [service]',
        )
    env = {**inherited(), **environment.service_env(), **(overrides or {})}
    redactor = Redactor(_secrets(env))
    with engine_process(
        target,
        cwd=environment.service_folder,
        env=env,
        redact=lambda text: redactor(environment.redact(text)),
    ) as process:
        yield process


def _secrets(env: Mapping[str, str]) -> Iterator[str]:
    """What looks like a secret in the service's variables."""
    for name, value in env.items():
        if any(word in name.upper() for word in ("PASSWORD", "SECRET", "TOKEN", "KEY")):
            yield value
        if found := re.search(r"://[^/@\s]*?:([^/@\s]+)@", value):
            yield from (found[1], unquote(found[1]))


def _nearest(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {found[0]}?" if found else f"it has: {', '.join(known) or 'nothing public'}"
