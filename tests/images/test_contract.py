"""The images made here keep what the official ones promise and the gate relies upon."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.images.build import Images
from tests.images.commands import docker
from tests.images.containers import ran
from tests.images.contract import CONTRACTS, Contract

each_image = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)


def config(images: Images, contract: Contract) -> dict[str, Any]:
    """The image's configuration."""
    inspected = json.loads(docker("image", "inspect", getattr(images, contract.name)))
    found: dict[str, Any] = inspected[0]["Config"]
    return found


@each_image
def test_starts_the_same_way(images: Images, contract: Contract) -> None:
    """Entrypoint, command, folder and stop signal are those of the official image."""
    found = config(images, contract)
    assert tuple(found["Entrypoint"] or ()) == contract.entrypoint
    assert tuple(found["Cmd"] or ()) == contract.command
    assert found["WorkingDir"] in (contract.folder, contract.folder or "/")
    assert found.get("StopSignal") == contract.stop_signal
    assert found["User"] == "", "an entrypoint that steps down by itself starts as root"


@each_image
def test_declares_port_volume_and_variables(images: Images, contract: Contract) -> None:
    """What is exposed, kept and set is what the official image exposes, keeps and sets."""
    found = config(images, contract)
    variables = dict(each.split("=", 1) for each in found["Env"] or ())
    assert variables.items() >= contract.variables.items()
    if contract.port:
        assert set(found["ExposedPorts"]) == {f"{contract.port}/tcp"}
    assert set(found.get("Volumes") or ()) == ({contract.volume} if contract.volume else set())


@pytest.mark.parametrize(
    "contract", [each for each in CONTRACTS if each.commands], ids=lambda contract: contract.name
)
def test_has_its_commands_folders_and_user(images: Images, contract: Contract) -> None:
    """What the gate runs inside is on PATH; folders and the server's user are there."""
    questions = [f"command -v {command}" for command in contract.commands]
    questions += [f"test -d {folder}" for folder in contract.folders]
    if contract.user:
        name, number = contract.user
        questions += [f"test $(id -u {name}):$(id -g {name}) = {number}:{number}"]
    script = "\n".join(f"{question} >/dev/null || echo not so: '{question}'" for question in questions)
    answer = ran(getattr(images, contract.name), "-c", script, options=("--entrypoint", "/bin/sh"))
    assert (answer.code, answer.said) == (0, "")
