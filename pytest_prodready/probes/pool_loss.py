"""Take the service's connections away: refused, terminated, silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_hold import proxy_of, wait_until, warm
from pytest_prodready.probes.pool_steady import (
    Clock,
    Outcome,
    Recovery,
    Scene,
    outcomes,
    reads,
    recovery,
    scene,
    settle,
)
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

REFUSED_ROUNDS = 3
GONE_WITHIN_S = 2.0
KILLS = 3
LOAD_EVERY_S = 0.025
LOAD_DEADLINE_S = 5.0
BETWEEN_KILLS_S = 0.5
IN_SILENCE = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests while the server had no connection for the service."""

    backends_left: int  # while it was refused; more than 0: it wasn't
    answers: tuple[Outcome, ...]
    attempts: int | None  # connections that the proxy accepted meanwhile; None: it doesn't count
    back: Recovery
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """Requests after idle connections were terminated."""

    at_once: int
    terminated: int
    answers: tuple[Outcome, ...]
    before: tuple[Outcome, ...] = ()  # those that filled the pool


@dataclass(frozen=True, slots=True)
class Losses:
    """One after the other, then all at once; each time after all idle backends were terminated."""

    capacity: int
    losses: tuple[Loss, ...]
    alive: bool
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Storm:
    """New connections after all were terminated under load, several times."""

    capacity: int
    kills: int
    terminated: int
    opened: int  # sessions that the server saw begin
    accepted: int | None  # connections that the proxy accepted; None: it doesn't count
    sent: int
    served: int
    back: Recovery
    started_anew: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """Requests while the database accepted connections and said nothing."""

    answers: tuple[Outcome, ...]
    attempts: int | None
    back: Recovery
    started_anew: bool


def refusal(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Refusal:
    """Let the server refuse the service's role, send requests, and let it in again."""
    here = scene(environment, traffic, settings, usage)
    progress("letting the server refuse the service's connections")
    attempts = _Accepted(here)
    answers: list[Answer] = []
    with here.database.connection_limit(0):
        left = _end_all(here)
        for _ in range(REFUSED_ROUNDS):
            answers += traffic.burst(here.requests, max(1, here.capacity // 2), settings.pool.deadline_s)
            if not here.application.alive or any(answer.status is None for answer in answers):
                break
    back = recovery(here, settings.pool.recover_within_s + 3)
    return Refusal(
        backends_left=left,
        answers=outcomes(answers),
        attempts=attempts.since(),
        back=back,
        started_anew=settle(here),
    )


def losses(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Losses:
    """Fill the pool, terminate its idle connections, and use each of them again."""
    here = scene(environment, traffic, settings, usage)
    progress("terminating idle connections")
    seen = tuple(_loss(here, at_once) for at_once in (1, here.capacity))
    alive = here.application.alive
    return Losses(here.capacity, seen, alive, started_anew=settle(here))


def storm(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Storm:
    """Terminate all backends several times while requests arrive, and count the new connections."""
    here = scene(environment, traffic, settings, usage)
    progress(f"terminating all connections under load, {KILLS} times")
    _fill(here)
    accepted, before, terminated = _Accepted(here), here.database.sessions(), 0
    with traffic.stream(reads(here.requests), LOAD_EVERY_S, LOAD_DEADLINE_S) as answers:
        for _ in range(KILLS):
            terminated += here.database.terminate_backends()
            wait_until(lambda: not here.application.alive, BETWEEN_KILLS_S)
    back = recovery(here, settings.pool.recover_within_s + 3)
    opened = here.database.sessions() - before
    return Storm(
        capacity=here.capacity,
        kills=KILLS,
        terminated=terminated,
        opened=opened,
        accepted=accepted.since(),
        sent=len(answers()),
        served=sum(answer.expected for answer in answers()),
        back=back,
        started_anew=settle(here),
    )


def silence(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Silence:
    """Cut the service's connections, swallow what the new ones send, and send requests."""
    here = scene(environment, traffic, settings, usage)
    limit_s = settings.pool.connect_within_s + 1
    progress(f"making the database silent for up to {limit_s:g} s")
    accepted, proxy = _Accepted(here), proxy_of(here.database)
    with proxy.black_hole():
        proxy.cut()
        answers = traffic.burst(here.requests, min(IN_SILENCE, here.capacity), limit_s)
    attempts = accepted.since()
    back = recovery(here, settings.pool.recover_within_s + 3)
    return Silence(outcomes(answers), attempts, back, started_anew=settle(here))


class _Accepted:
    """Connections that the proxy has accepted since."""

    def __init__(self, here: Scene) -> None:
        self._proxied = here.database.proxied
        self._before = self._count()

    def since(self) -> int | None:
        now = self._count()
        return None if now is None or self._before is None else now - self._before

    def _count(self) -> int | None:
        seen = self._proxied.connections() if self._proxied is not None else None
        return None if seen is None else seen.accepted


def _end_all(here: Scene) -> int:
    """Terminate the service's backends until none is left; returns how many remain."""

    def gone() -> bool:
        here.database.terminate_backends()
        return not here.database.backends()

    wait_until(gone, GONE_WITHIN_S, every_s=0.05)
    return len(here.database.backends())


def _fill(here: Scene) -> tuple[Answer, ...]:
    """Make the pool open its connections, behind a proxy for certain."""
    if here.database.proxied is not None:
        return warm(here.traffic, here.database, reads(here.requests), here.capacity)
    return here.traffic.burst(reads(here.requests), here.capacity, here.limits.deadline_s)


def _loss(here: Scene, at_once: int) -> Loss:
    filled = _fill(here)
    before = {backend.pid for backend in here.database.backends() if backend.state == "idle"}
    terminated = here.database.terminate_backends(idle_only=True)
    clock = Clock()
    wait_until(
        lambda: not before & {backend.pid for backend in here.database.backends()},
        GONE_WITHIN_S - clock.seconds,
    )
    requests, deadline_s = reads(here.requests), here.limits.deadline_s
    if at_once > 1:
        answers = here.traffic.burst(requests, at_once, deadline_s)
    else:
        answers = tuple(
            here.traffic.send(requests[number % len(requests)], deadline_s) for number in range(here.capacity)
        )
    return Loss(at_once, terminated, outcomes(answers), outcomes(filled))
