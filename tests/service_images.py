"""Targets whose service is a container: the example's image, or one with a specimen's files over it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.specimens import as_toml

BUILT_IN = "pytest-prodready.built-in"  # a label: for which folder the image was built
DOCKERFILE = "ARG BASE\nFROM ${BASE}\nCOPY . /srv/jobboard/\n"


def by_image(target: Path, image: str) -> None:
    """Let a target's service be the image as it is; nothing of it can be looked at in process."""
    data = tomllib.loads(target.read_text())
    del data["service"]["command"], data["service"]["engine"]
    data["service"]["image"] = image
    data["migration"]["previous"] += " --host 0.0.0.0"
    target.write_text(as_toml(data))


def by_build(target: Path, image: str, dockerfile: str = DOCKERFILE) -> None:
    """Let a target's service be built: the files beside it over those of the image."""
    data = tomllib.loads(target.read_text())
    service = data["service"]
    if service["command"].startswith("{python} -m jobboard "):
        del service["command"]
    service |= {"build": ".", "build_args": {"BASE": image}}
    target.write_text(as_toml(data))
    for program in target.parent.glob("*.py"):
        # In a container loopback is its own.
        program.write_text(program.read_text().replace('"127.0.0.1"', '"0.0.0.0"'))
    label = f'LABEL {BUILT_IN}="{target.parent}"\n'
    (target.parent / "Dockerfile").write_text(dockerfile + label)
