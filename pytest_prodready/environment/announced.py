"""Child processes that run a module of ours and print where they listen, as one line of JSON."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest_prodready
from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ServerError

WITHIN_S = 20.0


def module(name: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", name]


def module_environment() -> dict[str, str]:
    """The environment for it: it finds this package, and nothing of the user's Python settings."""
    package_parent = Path(pytest_prodready.__file__).parents[1]
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(package_parent)}


def standard_input(process: subprocess.Popen[bytes] | None) -> list[int]:
    """Our end of its standard input, which it doesn't outlive."""
    return [process.stdin.fileno()] if process is not None and process.stdin is not None else []


def announced_port(process: subprocess.Popen[bytes], name: str, log: Path) -> Endpoint:
    """The address that the process prints first; an error with the end of its log when it doesn't."""
    assert process.stdout is not None
    deadline = time.monotonic() + WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = process.stdout.raw.read(4096) if readable else b""  # type: ignore[attr-defined]
        if not part:
            break
        line += part
    try:
        told = json.loads(line)
        return Endpoint(str(told["host"]), int(told["port"]))
    except (ValueError, KeyError, TypeError):
        process.kill()
        raise ServerError(
            f"{name} did not start.",
            value=f"exit status {process.wait()}\n{tail(log)}",
        ) from None
