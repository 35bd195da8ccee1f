"""The commands that come before the service: migrations, seeds, and whatever else there is."""

from __future__ import annotations

from collections.abc import Callable

from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.started import Command, StartedApplication
from pytest_prodready.errors import ApplicationError

WITHIN_S = 300.0


def set_up(application: StartedApplication, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Run the set-up commands, one after the other; each must succeed."""
    for number, text in enumerate(recipe.service.setup):
        command = Command(f"setup-{number}", text, f"[service] setup[{number}]")
        run_command(application, command, recipe.redact, progress)


def run_command(
    application: StartedApplication,
    command: Command,
    redact: Callable[[str], str],
    progress: Callable[[str], None],
) -> None:
    """Run one command with the service's variables; raises ApplicationError unless it succeeds."""
    progress(f"setting up: {redact(command.text)}")
    status = application.run_once(command, WITHIN_S)
    if status == 0:
        return
    ended = f"did not end within {WITHIN_S:g} s" if status is None else f"ended with status {status}"
    printed = redact(application.printed(command))
    raise ApplicationError(
        f"A set-up command {ended}.",
        value=redact(command.text),
        source=command.source,
        tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
        remedy="run it by hand with the same variables",
    )
