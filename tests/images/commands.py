"""Running docker and the other tools, and what is said when one is missing or fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

INSTALL = {
    "docker": "install it with: apt-get install docker.io",
    "mmdebstrap": "install it with: apt-get install mmdebstrap",
    "go": "install Go 1.23 or newer",
}
LAST_LINES = 25


class ImagesError(Exception):
    """An image can't be made; the message says why, and what to do."""


def require(tool: str) -> str:
    """The tool's path."""
    path = shutil.which(tool)
    if path is None:
        raise ImagesError(f"{tool} is needed to make the images and isn't on PATH; {INSTALL[tool]}")
    return path


def run(*command: str | Path, env: dict[str, str] | None = None, limit_s: float = 900) -> str:
    """What the command printed; an error shows its last lines."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ImagesError(f"{' '.join(words)} was still running after {limit_s:.0f} s") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise ImagesError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout


def docker(*words: str | Path) -> str:
    """What a docker command printed."""
    # The classic builder is in every engine; the other one needs a plug-in that may be missing.
    return run(require("docker"), *words, env={**os.environ, "DOCKER_BUILDKIT": "0"})


def why_no_engine() -> str | None:
    """Why no Docker engine can be used; None when one answers."""
    try:
        run(require("docker"), "version", "--format", "{{.Server.Version}}", limit_s=20)
    except ImagesError as error:
        return f"no Docker engine answers: {str(error).splitlines()[-1]}"
    return None
