"""The service under test before and after a drill: steady, or started anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.drill import IN_A_ROW
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

STEADY_WITHIN_S = 15.0
STEADY_DEADLINE_S = 5.0


@dataclass(frozen=True)
class Scene:
    """The service under test, whom to ask, and whom to tell."""

    environment: Environment
    traffic: Traffic
    settings: Settings
    progress: Callable[[str], None]


def steady(scene: Scene, within_s: float | None = None) -> str:
    """Wait until every declared request is served several times in a row; returns what is wrong."""
    return steadied(scene.traffic, scene.settings, lambda: has_ended(scene), within_s)


def steadied(
    traffic: Traffic, settings: Settings, ended: Callable[[], bool], within_s: float | None = None
) -> str:
    """The same for traffic to an instance that may end; waiting for it would then be in vain."""
    requests = settings.traffic
    end = time.monotonic() + (STEADY_WITHIN_S if within_s is None else within_s)
    row, wrong = 0, "no request is declared"
    while requests and row < IN_A_ROW:
        answers = [traffic.send(request, STEADY_DEADLINE_S) for request in requests]
        bad = next((each for each in answers if not each.expected), None)
        row = row + 1 if bad is None else 0
        if bad is not None:
            wrong = f"{bad.request} got {bad.status or bad.error}"
            wait_until(time.monotonic() + 0.1)
        if time.monotonic() > end or ended():
            break
    return "" if row >= IN_A_ROW else wrong


def steady_or_renewed(scene: Scene) -> str:
    """Steady; a service of ours that an earlier fault has left otherwise is started anew first."""
    doubt = steady(scene)
    if doubt and renew(scene):
        return steady(scene)
    return doubt


def renew(scene: Scene) -> bool:
    """Start the service anew where it is ours: what broke it is told, and isn't the next drill's to bear."""
    application = scene.environment.application
    if application is None or application.pid is None:
        return False
    scene.progress("starting the service anew, which did not get steady")
    with suppress(ProdreadyError):
        application.kill()
        application.start()
    return True


def has_ended(scene: Scene) -> bool:
    """Whether the process is ours and has ended."""
    application = scene.environment.application
    return application is not None and application.pid is not None and not application.alive
