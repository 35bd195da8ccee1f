"""The commands of [service] setup: migrations, seeds, and whatever else comes before the service."""

from __future__ import annotations

from collections.abc import Callable

from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.errors import ApplicationError

WITHIN_S = 300.0


def set_up(application: StartedApplication, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Run the set-up commands, one after the other; each must succeed."""
    for number, command in enumerate(recipe.service.setup):
        progress(f"setting up: {recipe.redact(command)}")
        status = application.run_once(number, WITHIN_S)
        if status == 0:
            continue
        ended = f"did not end within {WITHIN_S:g} s" if status is None else f"ended with status {status}"
        printed = recipe.redact(application.setup_log(number))
        raise ApplicationError(
            f"A set-up command {ended}.",
            value=recipe.redact(command),
            source=f"[service] setup[{number}]",
            tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
            remedy="run it by hand with the same variables",
        )
