"""What the probes of the pool have in common: outcomes, the requests that count, and leaving no trace."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pytest_prodready.environment.database import Backend, Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.errors import ApplicationError, ProdreadyError
from pytest_prodready.probes.holders import Usage, holders
from pytest_prodready.probes.pool_hold import wait_until
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import PoolSettings, Request, Settings

REACH_ALL = 4  # requests at once for each process, so that none of them is passed over
USUAL_SIZE = 10  # where none is declared
SETTLE_WITHIN_S = 5.0
BUSY = ("active", "idle in transaction", "idle in transaction (aborted)", "fastpath function call")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request; `status` is None when no answer came, `error` then says why."""

    request: str
    status: int | None
    seconds: float
    expected: bool
    error: str = ""
    at_s: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether the service said that it is overloaded (503 or 429)."""
        return self.status in (429, 503)


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago that was, to the millisecond."""
        return round(time.monotonic() - self._began, 3)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a service came back after a fault was undone."""

    alive: bool  # the process that we started still ran
    served_after_s: float | None  # from the end of the fault until every process served; None: never
    watched_s: float
    last: Outcome | None  # of the requests sent meanwhile


@dataclass(frozen=True)
class Scene:
    """The service under test, what it stands on, and the requests that take its connections."""

    application: ApplicationRole
    database: Database
    traffic: Traffic
    settings: Settings
    requests: tuple[Request, ...]  # each takes a connection each time
    capacity: int

    @property
    def limits(self) -> PoolSettings:
        """[pool]."""
        return self.settings.pool


def outcomes(answers: Iterable[Answer]) -> tuple[Outcome, ...]:
    """The answers without their bodies."""
    return tuple(
        Outcome(
            request=answer.request,
            status=answer.status,
            seconds=round(answer.seconds, 4),
            expected=answer.expected,
            error=answer.error,
            at_s=round(answer.at_s, 4),
        )
        for answer in answers
    )


def takers(settings: Settings, usage: Sequence[Usage]) -> tuple[Request, ...]:
    """The declared requests that take a connection each time; an error when there are none."""
    found = holders(settings.traffic, usage)
    if not found:
        seen = "; ".join(f"{each.request}: {each.statements:.1f} statements" for each in usage)
        raise ProdreadyError(
            "none of the declared requests runs a statement on the database each time it is sent",
            value=seen or "no request",
            source="[[requests]]",
            remedy="declare one that no cache answers, such as a search for {token}",
        )
    return found


def reads(requests: Sequence[Request]) -> tuple[Request, ...]:
    """Those that only read, or all of them where none does."""
    return tuple(request for request in requests if request.method in ("GET", "HEAD")) or tuple(requests)


def scene(environment: Environment, traffic: Traffic, settings: Settings, usage: Sequence[Usage]) -> Scene:
    """The service and what surrounds it; an error when a part is missing."""
    if environment.application is None or environment.database is None:
        raise ProdreadyError("there is no service, or no database of its own", value=settings.service.name)
    return Scene(
        application=environment.application,
        database=environment.database,
        traffic=traffic,
        settings=settings,
        requests=takers(settings, usage),
        capacity=settings.pool_here.capacity or USUAL_SIZE,
    )


def recovery(scene: Scene, within_s: float) -> Recovery:
    """Send requests until they are served, for so long at most.

    One process answers one request after the other. Of several each has a pool of its own, and who answers is
    chance: then it takes a burst that is served in full, no larger than the pool of one.
    """
    clock, served = Clock(), False
    last: Answer | None = None
    at_once = min(scene.limits.size or USUAL_SIZE, REACH_ALL * scene.limits.workers)
    for request in itertools.cycle(scene.requests):
        left = within_s - clock.seconds
        if left <= 0:
            break
        last = scene.traffic.send(request, deadline_s=max(0.2, left))
        if last.expected and scene.limits.workers > 1:
            answers = scene.traffic.burst([request], at_once, max(0.2, within_s - clock.seconds))
            last = next((answer for answer in answers if not answer.expected), last)
        if served := last.expected:
            break
        wait_until(lambda: False, min(0.05, left))
    return Recovery(
        alive=scene.application.alive,
        served_after_s=clock.seconds if served else None,
        watched_s=clock.seconds,
        last=outcomes([last])[0] if last is not None else None,
    )


def busy(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """The backends that run something or are in a transaction."""
    return tuple(each for each in backends if each.state in BUSY)


def settle(scene: Scene) -> bool:
    """Leave the service ready and idle; one that doesn't come back by itself is started anew.

    Returns whether it had to be.
    """
    fresh = not scene.application.alive or recovery(scene, SETTLE_WITHIN_S).served_after_s is None
    if fresh:
        _start_anew(scene.application)
    wait_until(lambda: not busy(scene.database.backends()), SETTLE_WITHIN_S, every_s=0.05)
    return fresh


def _start_anew(application: ApplicationRole) -> None:
    application.stop(grace_s=1.0)
    for _ in range(2):  # the first attempt ends what was left
        with suppress(ApplicationError):
            return application.ensure_ready()
    return None  # whoever needs it next will say why it doesn't start
