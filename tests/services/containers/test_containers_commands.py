"""Commands in a container like the service's end in bounded time, whatever they do."""

from __future__ import annotations

import docker

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ran import Command, Ran
from tests.images.build import Images

from .conftest import Start, left_of
from .test_application import settings_of

MIB = 1024 * 1024


def tried(environment: Environment, script: str, within_s: float = 20.0) -> Ran:
    """How a shell script ends."""
    assert environment.application is not None
    command = Command("tried", f'sh -c "{script}"', "[migration] upgrade")
    return environment.try_command(environment.application, command, within_s, lambda _: None)


def test_commands_end(start: Start, images: Images, api: docker.DockerClient) -> None:
    """Well, badly, by force; with nothing to read; and whatever is left behind goes with the container."""
    environment = start(settings_of(images.python))
    before = left_of(api, environment.run.id)
    well = tried(environment, "echo out; echo err >&2")
    assert (well.status, sorted(well.printed.split()), well.printed_bytes) == (0, ["err", "out"], 8)
    assert tried(environment, "exit 3").ended == "ended with status 3"
    assert tried(environment, "kill -9 $$").status in (-9, 0)  # a first process may be spared
    assert tried(environment, "read answer").status == 1
    hung = tried(environment, "echo begun; sleep 99", within_s=1.5)
    assert (hung.status, hung.printed) == (None, "begun")
    assert tried(environment, "sleep 99 & echo done").status == 0
    assert left_of(api, environment.run.id) == before


def test_prints_without_end(start: Start, images: Images) -> None:
    """Only the end of what is printed is kept, here and on the engine's disk."""
    environment = start(settings_of(images.python))
    ran = tried(environment, "yes no; true", within_s=3)
    assert ran.status is None
    assert 0 < ran.printed_bytes < 8 * MIB
    assert set(ran.printed.split()) == {"no"}
