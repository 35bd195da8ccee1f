"""The commands that come before the service: migrations, seeds, and whatever else there is."""

from __future__ import annotations

from collections.abc import Callable

from pytest_prodready.environment.logs import last_lines
from pytest_prodready.environment.ran import Command
from pytest_prodready.environment.recipe import Recipe
from pytest_prodready.environment.started import StartedApplication
from pytest_prodready.errors import ApplicationError

WITHIN_S = 300.0
SHOWN_LINES = 20


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
    ran = application.run_once(command, WITHIN_S)
    if ran.succeeded:
        return
    printed = redact(last_lines(ran.printed, SHOWN_LINES))
    raise ApplicationError(
        f"A set-up command {ran.ended}.",
        value=redact(command.text),
        source=command.source,
        tried=[f"its last output:\n{printed}" if printed else "it printed nothing"],
        remedy="run it by hand with the same variables",
    )
