"""An impostor in a server's place behind the proxy, in one disguise after the other, under requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.roles import ApplicationRole, WayBack
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.faults import Proxied
from pytest_prodready.probes import ssl_openssl
from pytest_prodready.probes.impostor import Guestbook, Impostor, Visit, impostor
from pytest_prodready.probes.impostor_attempts import Attempt
from pytest_prodready.probes.impostor_disguises import Case, Wardrobe
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request, Settings

EVERY_S = 0.05
DEADLINE_S = 2.0
LOOK_EVERY_S = 0.25  # whether the process lives, when nobody comes
RECOVERS_WITHIN_S = 10.0
QUIET_S = 0.35  # after the first attempt, for a second one without TLS
FIRST_PATIENCE = 0.35  # of the time, before the service gets its own server back and a second chance
CHANCES = 4  # for a service whose process ends before it has connected; otherwise two


@dataclass(frozen=True, slots=True)
class CaseSeen:
    """What the service did when it met one disguise."""

    case: Case
    attempts: tuple[Attempt, ...]
    seconds: float
    process_ended: bool = False  # the service's process ended meanwhile


@dataclass(frozen=True, slots=True)
class Impersonation:
    """What the service did in each disguise that the impostor wore."""

    cases: tuple[CaseSeen, ...]
    stopped: str = ""  # why the remaining cases weren't tried
    ready_after: bool = True
    old_tls_offered: bool = True  # this machine's OpenSSL can still play a server with TLS 1.1

    def of(self, case: Case) -> CaseSeen | None:
        """What was seen in this case; None when it wasn't tried."""
        return next((seen for seen in self.cases if seen.case == case), None)


@dataclass(frozen=True, slots=True)
class Scene:
    """The service, the requests that make it work, and whom to tell."""

    application: ApplicationRole
    traffic: Traffic
    settings: Settings
    progress: Callable[[str], None]
    way_back: WayBack


class Play:
    """One server's place behind its proxy, and an impostor that can stand there."""

    def __init__(self, proxied: Proxied, server: Impostor, scene: Scene) -> None:
        self._proxied = proxied
        self._server = server
        self._scene = scene
        self._switched = ExitStack()
        self._on_stage = False

    def meet(self, wardrobe: Wardrobe, case: Case) -> CaseSeen:
        """Show the service one disguise until it is known what it does, or until the time is over."""
        began, within_s = time.monotonic(), self._scene.settings.ssl.attempt_within_s
        book = self._server.wear(wardrobe.disguise(case))
        ended = False
        for number in range(CHANCES):
            self._enter()
            seen = self._watch(book, within_s * (FIRST_PATIENCE if number == 0 else 1 - FIRST_PATIENCE))
            ended = ended or not self._scene.application.alive
            if seen:
                break
            # Its pauses between attempts may have grown with each refusal: let it succeed once.
            self.leave()
            if number and not ended:
                break
        return CaseSeen(case, book.attempts(), time.monotonic() - began, ended)

    def leave(self) -> None:
        """Give the service its own server back, and wait until it serves again."""
        self.close()
        self._scene.application.ensure_ready()
        deadline = time.monotonic() + RECOVERS_WITHIN_S
        # A readiness that doesn't ask the server says nothing of connections; the requests do.
        for request in requests_that_connect(self._scene.settings):
            while time.monotonic() < deadline:
                if self._scene.traffic.send(request, DEADLINE_S).expected:
                    break
                time.sleep(EVERY_S)

    def close(self) -> None:
        """Give the service its own server back."""
        self._on_stage = False
        self._switched.close()

    def _enter(self) -> None:
        # It stays on from one disguise to the next: the service would reach its own server in between.
        if not self._on_stage:
            upstream = Endpoint(self._scene.way_back.known_as, self._server.endpoint.port)
            self._switched.enter_context(self._proxied.upstream_switched(str(upstream)))
            self._on_stage = True

    def _watch(self, book: Guestbook, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if book.settled(LOOK_EVERY_S, QUIET_S):
                return True
            if not self._scene.application.alive:
                return False
        return False


def impersonate(
    proxied: Proxied,
    receive: Callable[[Visit], None],
    cases: Sequence[Case],
    wardrobe: Wardrobe,
    scene: Scene,
) -> Impersonation:
    """Let the service meet an impostor in each of these cases, and then its own server again."""
    seen: list[CaseSeen] = []
    stopped = ""
    with (
        impostor(receive, wardrobe.disguise(cases[0]), scene.way_back.listen_at) as server,
        driven(scene.traffic, scene.settings),
        closing(Play(proxied, server, scene)) as play,
    ):
        for case in cases:
            scene.progress(f"posing as a server with {case}")
            try:
                seen.append(play.meet(wardrobe, case))
                if seen[-1].process_ended:
                    play.leave()
            except ProdreadyError as failure:
                stopped = failure.problem
            if stopped := stopped or _why_to_stop(seen):
                break
    old_tls = ssl_openssl.speaks("TLS 1.1")
    return Impersonation(tuple(seen), stopped, _ready(scene.application), old_tls)


def requests_that_connect(settings: Settings) -> tuple[Request, ...]:
    """Requests that make a service use its servers: health checks, and declared reads (else all declared)."""
    paths = (settings.health.readiness, settings.health.deep)
    reads = tuple(request for request in settings.traffic if request.method in ("GET", "HEAD"))
    return (*(Request(path=path) for path in paths if path), *(reads or settings.traffic))


@contextmanager
def driven(traffic: Traffic, settings: Settings) -> Iterator[None]:
    """Requests that make the service use its servers, for the length of a block."""
    requests = requests_that_connect(settings) or (Request(path="/"),)
    with traffic.stream(requests, EVERY_S, DEADLINE_S):
        yield


def _why_to_stop(seen: Sequence[CaseSeen]) -> str:
    """A service that ignores the control would only cost time in the other cases."""
    if any(attempt.stage.met for attempt in seen[0].attempts):
        return ""
    return f"no connection came within {seen[0].seconds:.1f} s under requests"


def _ready(application: ApplicationRole) -> bool:
    try:
        application.ensure_ready()
    except ProdreadyError:
        return False
    return True
