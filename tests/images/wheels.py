"""The packages that run inside the images, downloaded on this machine: a build may have no network."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tests.images.commands import ImagesError, run

ROOT = Path(__file__).resolve().parents[2]
# What `pip install` of the gate and of the example needs in the python image.
EXTRAS = ("containers", "example")
# Needed on some versions of Python; pip looks at the version it runs on, not at the one it downloads for.
CONDITIONAL = ("async-timeout", "typing-extensions")
GLIBC = ("2_17", "2_28", "2_34")


def requirements() -> list[str]:
    """Everything that the gate, its extras for containers and the example need, and to build them."""
    gate, example = _project(ROOT), _project(ROOT / "examples" / "jobboard")
    needed = set(CONDITIONAL)
    needed |= set(gate["project"]["dependencies"]) | set(example["project"]["dependencies"])
    needed |= set(gate["build-system"]["requires"]) | set(example["build-system"]["requires"])
    for extra in EXTRAS:
        needed |= set(gate["project"]["optional-dependencies"][extra])
    return sorted(needed)


def download(folder: Path, python: str) -> None:
    """Put the wheels for that version of Python into the folder."""
    machine = platform.machine()
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in GLIBC] + [f"manylinux2014_{machine}"]
    abis = [f"cp{python.replace('.', '')}", "abi3", "none"]
    run(
        *_pip(),
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        f"--python-version={python}",
        "--implementation=cp",
        *(f"--abi={abi}" for abi in abis),
        *(f"--platform={name}" for name in platforms),
        f"--dest={folder}",
        *requirements(),
    )


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


@cache
def _pip() -> tuple[str, ...]:
    """A pip: this Python's, or another's, as some virtual environments have none."""
    for python in (sys.executable, shutil.which("python3"), "/usr/bin/python3"):
        command = (python or "", "-m", "pip")
        if (
            python
            and not subprocess.run([*command, "--version"], capture_output=True, check=False).returncode
        ):
            return command
    raise ImagesError(
        "no Python here has pip, which downloads the packages of the python image; install python3-pip"
    )
