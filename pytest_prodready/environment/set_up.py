"""The commands of [service] setup: migrations, seeds, and whatever else comes before the service."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

from pytest_prodready.environment.logs import tail
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ApplicationError

WITHIN_S = 300.0


def set_up(run: Run, recipe: Recipe, port: int, progress: Callable[[str], None]) -> None:
    """Run the set-up commands, one after the other; each must succeed."""
    for number, command in enumerate(recipe.service.setup):
        progress(f"setting up: {recipe.redact(command)}")
        _run(run, recipe, port, number)


def _run(run: Run, recipe: Recipe, port: int, number: int) -> None:
    command, key = recipe.service.setup[number], f"[service] setup[{number}]"
    log = run.folder / f"setup-{number}.log"
    words = recipe.words(command, port, key)
    process = run.spawn(words, env=recipe.environment(port), cwd=recipe.cwd, log=log)
    try:
        status: int | None = process.wait(WITHIN_S)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        # What it left in the background would be nobody's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status != 0:
        ended = f"did not end within {WITHIN_S:g} s" if status is None else f"ended with status {status}"
        printed = recipe.redact(tail(log))
        raise ApplicationError(
            f"A set-up command {ended}.",
            value=recipe.redact(command),
            source=key,
            tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
            remedy="run it by hand with the same variables",
        )
