"""An engine, images for it, runs on it, and children that start environments of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
from testcontainers.core.config import testcontainers_config

from pytest_prodready.environment.containers.leftovers import LABEL
from pytest_prodready.environment.environment import Environment
from pytest_prodready.settings import Settings
from tests.images.build import Images
from tests.images.fixture import images
from tests.images.variables import variables

__all__ = ["images"]

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[3]
TINY = Path(__file__).parents[1] / "environment" / "tiny.py"
STARTED_WITHIN_S = 120.0
Start = Callable[..., Environment]


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def settings_of(**tables: Any) -> Settings:
    """Settings with the tiny service, a Postgres and a Redis with TLS."""
    service = {"name": "tiny-one", "command": f"{{python}} {TINY} {{port}} well"}
    return Settings.model_validate({"service": service, "postgres": {}, "redis": {"tls": True}, **tables})


def image_variables(images: Images) -> dict[str, str]:
    """The environment variables that name the images, and leave the reaper out."""
    return {**variables(images), "TESTCONTAINERS_RYUK_DISABLED": "true"}


@pytest.fixture
def named(images: Images, monkeypatch: pytest.MonkeyPatch) -> Images:
    """The images, named as a user would; without the reaper."""
    for name, value in image_variables(images).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(testcontainers_config, "_ryuk_disabled", True)
    return images


@pytest.fixture
def api(images: Images) -> Iterator[docker.DockerClient]:
    """The engine's own interface."""
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture
def start(named: Images, tmp_path: Path) -> Iterator[Start]:
    """Starts environments, which are stopped at the end."""
    started: list[Environment] = []

    def begin(settings: Settings | None = None, **options: Any) -> Environment:
        environment = Environment.start(
            settings or settings_of(), folder=tmp_path, backend="containers", **options
        )
        started.append(environment)
        return environment

    yield begin
    for environment in started:
        environment.stop()


def left_of(api: docker.DockerClient, run: str) -> list[str]:
    """What a run still has on the engine: containers, networks."""
    wanted = {"label": f"{LABEL}={run}"}
    containers = api.containers.list(all=True, filters=wanted, ignore_removed=True)
    return [str(one.name) for one in (*containers, *api.networks.list(filters=wanted))]


class Child:
    """A process that starts an environment and tells of it, line by line as JSON."""

    def __init__(self, variables: Mapping[str, str], *command: str) -> None:
        self.told: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            command or (sys.executable, str(CHILD)),
            env={**os.environ, **variables, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hear(self, what: str, within_s: float = STARTED_WITHIN_S) -> dict[str, Any]:
        """Wait for a line that has this key; fails when the child ends before."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + within_s
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if what in self.told[-1]:
                return self.told[-1]
            assert time.monotonic() < deadline, self.told
        pytest.fail(f"the child ended without telling {what!r}: {self.told}")

    def finish(self) -> int:
        """Let it stop its environment, and wait for its end."""
        self.process.communicate("stop\n", timeout=STARTED_WITHIN_S)
        return self.process.returncode

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def child(named: Images) -> Iterator[Callable[..., Child]]:
    """Starts children, which are ended at the end."""
    started: list[Child] = []

    def begin(variables: Mapping[str, str] | None = None, *command: str) -> Child:
        started.append(Child({**image_variables(named), **(variables or {})}, *command))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
