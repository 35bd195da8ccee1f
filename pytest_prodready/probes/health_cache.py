"""Take Redis away, refused and then silent, and send the service its traffic all the while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.faults import Proxied
from pytest_prodready.findings import Capability
from pytest_prodready.probes.health import known_secrets, wait_until
from pytest_prodready.probes.health_answers import Moment, Said, heard, paths
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings

GONE_S = 1.2
EVERY_S = 0.08
PATIENCE_S = 3.0  # beyond the limit, to tell the late from the lost
NEEDS = frozenset({Capability.REDIS, Capability.FAULT_PROXY, Capability.DESTRUCTIVE, Capability.SERVICE})


@dataclass(frozen=True, slots=True)
class Served:
    """One declared request, or one question to a health path, and what became of it."""

    request: str
    phase: str  # before, refused, silent, after
    at_s: float  # since the phase began
    seconds: float
    status: int | None
    expected: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class CacheLoss:
    """What the service answered before, while and after Redis was gone."""

    tried: bool = False
    connected: bool | None = None  # whether the service was seen to use Redis through the proxy
    served: tuple[Served, ...] = ()
    said: tuple[Said, ...] = ()
    same_process: bool | None = None

    def of(self, *phases: str) -> tuple[Served, ...]:
        """What was sent in these phases."""
        return tuple(each for each in self.served if each.phase in phases)


def cache_loss(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> CacheLoss:
    """Send all declared requests and readiness while Redis is refused, silent, and back again."""
    cache = environment.cache
    if cache is None or cache.proxied is None or not environment.capabilities >= NEEDS:
        return CacheLoss()
    requests = _requests(settings)
    deadline_s = settings.health.degraded_within_s + PATIENCE_S
    for request in requests:  # warm: the first of each may open connections and fill caches
        traffic.send(request, deadline_s)
    before = _round(traffic, requests, deadline_s)
    seen = cache.proxied.connections()
    process = environment.application.pid if environment.application is not None else None
    phases = {"before": before, **_gone(traffic, requests, deadline_s, cache.proxied, progress)}
    progress("letting Redis' connections go on")
    phases["after"] = _back(traffic, requests, deadline_s, settings, phases["before"])
    application = environment.application
    alive = None if application is None or process is None else application.pid == process
    if application is not None:
        alive = application.alive and alive if alive is not None else None
        application.ensure_ready()
    known = known_secrets(environment)
    spoken = {
        phase: [a for a in answers if a.request in paths(settings)] for phase, answers in phases.items()
    }
    words = {"before": "healthy", "refused": "Redis refused", "silent": "Redis silent", "after": "healed"}
    return CacheLoss(
        tried=True,
        connected=None if seen is None else seen.accepted > 0,
        served=tuple(_served(phase, answer) for phase, answers in phases.items() for answer in answers),
        said=tuple(
            said
            for phase, answers in spoken.items()
            for said in heard(answers, [Moment(words[phase], 0)], known)
        ),
        same_process=alive,
    )


def _gone(
    traffic: Traffic,
    requests: Sequence[Request],
    deadline_s: float,
    proxied: Proxied,
    progress: Callable[[str], None],
) -> dict[str, tuple[Answer, ...]]:
    progress("refusing Redis' connections under traffic")
    refused = _during(traffic, requests, deadline_s, proxied.down())
    progress("stalling Redis' connections under traffic")
    return {"refused": refused, "silent": _during(traffic, requests, deadline_s, proxied.stalled())}


def _requests(settings: Settings) -> list[Request]:
    """Readiness, the deep check and the declared requests; they take turns."""
    health = [request for check, request in paths(settings).items() if check != "liveness"]
    return [*health, *settings.traffic]


def _during(
    traffic: Traffic, requests: Sequence[Request], deadline_s: float, fault: AbstractContextManager[None]
) -> tuple[Answer, ...]:
    """Every request at least twice while the fault lasts, and until each has its answer."""
    lasts_s = max(GONE_S, 2 * len(requests) * EVERY_S)
    with fault, traffic.stream(requests, EVERY_S, deadline_s) as answers:
        wait_until(time.monotonic() + lasts_s)
        # On leaving, the stream waits for its last answers first and the fault ends after that.
    return answers()


def _round(traffic: Traffic, requests: Sequence[Request], deadline_s: float) -> tuple[Answer, ...]:
    return tuple(traffic.send(request, deadline_s) for request in requests)


def _back(
    traffic: Traffic,
    requests: Sequence[Request],
    deadline_s: float,
    settings: Settings,
    before: Sequence[Answer],
) -> tuple[Answer, ...]:
    """The first round in which all is as before, or the last one that there was time for."""
    end = time.monotonic() + settings.health.recover_within_s
    well = {answer.request for answer in before if answer.expected}
    while True:
        answers = _round(traffic, requests, deadline_s)
        if all(answer.expected for answer in answers if answer.request in well) or time.monotonic() > end:
            return answers
        wait_until(time.monotonic() + 0.1)


def _served(phase: str, answer: Answer) -> Served:
    return Served(
        answer.request,
        phase,
        round(answer.at_s, 4),
        round(answer.seconds, 4),
        answer.status,
        answer.expected,
        answer.error,
    )
