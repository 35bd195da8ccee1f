"""The processes of the generator and of the null server: started, read while they run, and ended."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pytest_prodready.environment.announced import announced_port, module, module_environment
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.runs import Run, close_pipes
from pytest_prodready.errors import ServerError
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample

READY_WITHIN_S = 30.0
ENDED_WITHIN_S = 10.0
SHOWN = 120  # characters of the last that it said
Told = Sample | dict[str, Any]


def without_locust() -> str:
    """Why there can be no generator here; empty when there can."""
    if importlib.util.find_spec("locust") is not None:
        return ""
    return (
        "Locust isn't installed, which generates the load:"
        f" {sys.executable} -m pip install 'pytest-prodready[load]'"
    )


@contextmanager
def null_server(run: Run) -> Iterator[str]:
    """The address of a server that does nothing but answer, as long as the block lasts."""
    log = run.folder / "null-server.log"
    process = spawned(run, ["pytest_prodready.generator.null_server"], log, stdout=subprocess.PIPE)
    try:
        yield f"http://{announced_port(process, 'The null server', log)}"
    finally:
        ended(process)


class Telling:
    """A process of the generator; what it tells is read as it comes."""

    def __init__(self, run: Run, *options: str) -> None:
        number = len(list(run.folder.glob("generator*.log"))) + 1
        self._log = run.folder / f"generator-{number}.log"
        self._out = run.folder / f"generator-{number}.samples"
        self._out.touch(mode=0o600)
        self._process = self._started(run, *options)
        self._read = self._out.open(encoding="utf-8")
        self._part = ""

    def _started(self, run: Run, *options: str) -> subprocess.Popen[bytes]:
        command = ["pytest_prodready.generator", "--out", str(self._out), *options]
        return spawned(run, command, self._log, bufsize=0)  # or what it never read spoils the end

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def told(self) -> Iterator[Told]:
        """What it has written since the last time."""
        self._part += self._read.read()
        *lines, self._part = self._part.split("\n")
        for line in lines:
            told = json.loads(line)
            yield Sample(*told) if isinstance(told, list) else told

    @property
    def untimely_end(self) -> str:
        """What to say where it ended before it was done."""
        where = f"all of it: {self._log.name} among the run's logs"
        return f"the load generator ended before its time{self.status}{last_line(self.log())} ({where})"

    @property
    def status(self) -> str:
        """The exit status, where it has ended."""
        status = self._process.poll()
        return "" if status is None else f" (exit status {status})"

    def log(self) -> str:
        """What it has said last."""
        return tail(self._log)

    def say(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            return  # it has died, which whoever waits for it will see

    def discard(self) -> None:
        """End it for good."""
        ended(self._process)
        self._read.close()
        self._out.unlink(missing_ok=True)


class Generating(Protocol):
    """Whatever generates the load of one plan."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""

    def news(self) -> Iterator[Told]:
        """What is new since the last time."""

    def began(self) -> tuple[float, list[Told]]:
        """When its schedule begins (monotonic), and what else it has told by then; raises ServerError."""

    @property
    def untimely_end(self) -> str:
        """What to say where it ended before it was done."""

    def end_climb(self) -> None:
        """Leave out what is left of the climb."""


class GeneratorProcess(Telling):
    """The one process that carries out a plan alone."""

    def __init__(self, run: Run, plan: Plan) -> None:
        super().__init__(run)
        self.say(plan.as_json())

    def news(self) -> Iterator[Told]:
        """What it has written since the last time."""
        return self.told()

    def began(self) -> tuple[float, list[Told]]:
        """When its schedule begins (monotonic), and what else it has told by then; raises ServerError."""
        end = time.monotonic() + READY_WITHIN_S
        told: list[Told] = []
        while time.monotonic() < end:
            running = self.alive
            for each in self.news():
                told.append(each)
            for each in told:
                if isinstance(each, dict) and "began" in each:
                    return float(each["began"]), told
            if not running:
                break
            time.sleep(0.02)
        raise ServerError("The load generator did not start.", value=self.log())

    def end_climb(self) -> None:
        """Leave out what is left of the climb."""
        self.say("end climb")


@contextmanager
def generating(run: Run, plan: Plan) -> Iterator[GeneratorProcess]:
    """A generator at work, as long as the block lasts."""
    generator = GeneratorProcess(run, plan)
    try:
        yield generator
    finally:
        generator.discard()


def last_line(text: str) -> str:
    """What somebody said last, after a semicolon; empty where that is nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"; it last said: {lines[-1][:SHOWN]}" if lines else ""


def spawned(run: Run, words: list[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A module of ours as a process of the run; it ends with its stdin."""
    name, *arguments = words
    command = [*module(name), *arguments]
    environment = module_environment()
    return run.spawn(command, env=environment, cwd=run.folder, log=log, stdin=subprocess.PIPE, **options)


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process for good."""
    process.kill()
    process.wait(ENDED_WITHIN_S)
    close_pipes(process)
