"""Containers and networks of one test: labelled, reached on loopback alone, removed on every way out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.images.commands import ImagesError, docker, require

OWNER = "pytest-prodready.image-test.owner"
DEADLINE_S = 60.0
Files = Mapping[str, bytes]


def wait_for(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds; an exception of it means that it doesn't, yet."""
    deadline = time.monotonic() + within_s
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except Exception as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"{what} didn't happen within {within_s:g} s; the last error was: {last}")


@dataclass(frozen=True)
class Answer:
    """What a command in a container said."""

    code: int
    said: str


@dataclass(frozen=True)
class Container:
    """A container that exists, started or not."""

    id: str

    def start(self) -> None:
        """Start it, again if it has run before."""
        docker("start", self.id)

    def stop(self, signal: str | None = None) -> int:
        """Stop it as `docker stop` does, or by that signal; its exit code."""
        if signal:
            docker("kill", "--signal", signal, self.id)
        else:
            docker("stop", "--time", "30", self.id)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        wait_for(lambda: not self.state["Running"], "the end of the container")
        return int(self.state["ExitCode"])

    def exec(self, *command: str, user: str = "") -> Answer:
        """Run a command inside."""
        return _answer("exec", "--user", user, self.id, *command)

    def comes_to(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds; a container that ends before has failed."""

        def holds() -> bool:
            return bool(condition()) if self.state["Running"] else pytest.fail(f"it ended:\n{self.logs}")

        try:
            wait_for(holds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\nIt has written:\n{self.logs}") from None

    def put(self, files: Files, owner: int = 0, mode: int = 0o644) -> None:
        """Write files into it, in folders that may be new."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, owner, owner
                tar.addfile(entry, io.BytesIO(content))
        command = [require("docker"), "cp", "-", f"{self.id}:/"]
        subprocess.run(command, input=archive.getvalue(), capture_output=True, check=True)

    def port(self, inside: int) -> int:
        """Where a port of it is published on loopback."""
        published: list[dict[str, str]] = self._inspected["NetworkSettings"]["Ports"][f"{inside}/tcp"]
        assert [each["HostIp"] for each in published] == ["127.0.0.1"]
        return int(published[0]["HostPort"])

    @property
    def state(self) -> dict[str, Any]:
        """Running, ExitCode and so on."""
        state: dict[str, Any] = self._inspected["State"]
        return state

    @property
    def logs(self) -> str:
        """What it has written so far, to both streams."""
        return _answer("logs", self.id).said

    @property
    def _inspected(self) -> dict[str, Any]:
        inspected: dict[str, Any] = json.loads(docker("container", "inspect", self.id))[0]
        return inspected


@contextmanager
def created(
    image: str,
    *command: str,
    env: Mapping[str, str] | None = None,
    publish: int | None = None,
    files: Files | None = None,
    options: tuple[str, ...] = (),
) -> Iterator[Container]:
    """A container that isn't started yet, removed with its volumes in the end."""
    words = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
    words += ["--publish", f"127.0.0.1::{publish}"] if publish else []
    container = Container(docker("create", "--label", _owner(), *words, *options, image, *command).strip())
    try:
        if files:
            container.put(files)
        yield container
    finally:
        docker("rm", "--force", "--volumes", container.id)


@contextmanager
def started(
    image: str,
    *command: str,
    env: Mapping[str, str] | None = None,
    publish: int | None = None,
    files: Files | None = None,
    options: tuple[str, ...] = (),
) -> Iterator[Container]:
    """A container that runs, removed with its volumes in the end."""
    with created(image, *command, env=env, publish=publish, files=files, options=options) as container:
        container.start()
        yield container


def ran(image: str, *command: str, options: tuple[str, ...] = ()) -> Answer:
    """What a container's command said, until its own end."""
    return _answer("run", "--rm", "--label", _owner(), *options, image, *command)


@contextmanager
def network() -> Iterator[str]:
    """A network of its own, where containers find each other by alias."""
    name = f"prodready-image-test-{os.urandom(6).hex()}"
    docker("network", "create", "--label", _owner(), name)
    try:
        yield name
    finally:
        docker("network", "rm", name)


def sweep() -> None:
    """Remove what a killed run left behind."""
    for kind, remove in (("container", ("rm", "--force", "--volumes")), ("network", ("network", "rm"))):
        everything = ("--all",) if kind == "container" else ()
        listed = docker(
            kind,
            "ls",
            *everything,
            "--filter",
            f"label={OWNER}",
            "--format",
            f'{{{{.ID}}}} {{{{.Label "{OWNER}"}}}}',
        )
        for line in listed.splitlines():
            identity, _, owner = line.partition(" ")
            if owner not in _owners():
                with suppress(ImagesError):  # another worker may have been quicker
                    docker(*remove, identity)


def _owner() -> str:
    return f"{OWNER}={_process(psutil.Process())}"


def _owners() -> set[str]:
    return {_process(each) for each in psutil.process_iter(["create_time"])}


def _process(process: psutil.Process) -> str:
    return f"{process.pid}-{process.create_time():.0f}"


def _answer(*words: str) -> Answer:
    done = subprocess.run(
        [require("docker"), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=DEADLINE_S,
        check=False,
    )
    return Answer(done.returncode, done.stdout.strip())
