"""Ask the health paths of a service that is well, and count what liveness costs the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.health_answers import Asked, Moment, Said, asked, heard, paths
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Request, Settings
from pytest_prodready.stopwatch import WAITING, spent

TIMES = 6  # each path is asked: the first may find cold caches and connections
WINDOW_S = 0.3
PER_WINDOW = 20
WINDOWS = 2
MORE_WINDOWS = 3  # where the first ones differ from idleness
SHORTEST_SECRET = 8
NO_SECRETS = ("postgres", "postgresql", "database", "password")


@dataclass(frozen=True, slots=True)
class Healthy:
    """What the health paths answered while all was well."""

    answers: tuple[Asked, ...]
    said: tuple[Said, ...]
    dependencies: tuple[str, ...]  # that the service was given: database, redis
    own_address: str  # host:port of the service itself
    addresses: tuple[str, ...]  # host:port of its servers and of the proxies in front of them
    server_versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Statements on the database in two windows of equal length: idle, then with liveness asked."""

    seconds: float
    idle_statements: int
    asked: int
    answered: int
    asked_statements: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """What liveness costs the database, in several pairs of windows."""

    windows: tuple[Window, ...]


def healthy(
    traffic: Traffic, settings: Settings, environment: Environment, progress: Callable[[str], None]
) -> Healthy:
    """Ask each health path several times in a row."""
    progress("asking the health paths")
    began = time.monotonic()
    answers = [
        answer_to(traffic, request, settings, began)
        for request in paths(settings).values()
        for _ in range(TIMES)
    ]
    database, cache = environment.database, environment.cache
    proxies = [(f"{p.host}:{p.port}", p.upstream) for p in _proxied(environment)]
    direct = [str(server.endpoint) for server in (database, cache) if server is not None]
    return Healthy(
        answers=asked(answers),
        said=heard(answers, [Moment("healthy", 0)], known_secrets(environment)),
        dependencies=tuple(
            name for name, server in (("database", database), ("redis", cache)) if server is not None
        ),
        own_address=traffic.base_url.partition("://")[2].partition("/")[0],
        addresses=tuple(dict.fromkeys((*direct, *(each for pair in proxies for each in pair)))),
        server_versions=() if database is None else (str(database.version),),
    )


def quiet(traffic: Traffic, database: Database, settings: Settings, progress: Callable[[str], None]) -> Quiet:
    """Count statements while liveness is asked many times, and while nobody asks for anything."""
    progress("counting the statements that liveness causes")
    request = paths(settings)["liveness"]
    traffic.send(request, deadline_s=settings.health.answer_within_s)
    windows = [_window(traffic, database, request, settings) for _ in range(WINDOWS)]
    if any(window.asked_statements != window.idle_statements for window in windows):
        windows += [_window(traffic, database, request, settings) for _ in range(MORE_WINDOWS)]
    return Quiet(tuple(windows))


def answer_to(traffic: Traffic, request: Request, settings: Settings, began: float) -> Answer:
    """Ask one health path and date the answer from `began` (by the monotonic clock)."""
    at_s = time.monotonic() - began
    seen = traffic.send(request, deadline_s=settings.health.answer_within_s + 1)
    return replace(seen, at_s=at_s)


def known_secrets(environment: Environment) -> dict[str, str]:
    """What no answer may hold: addresses with passwords first, then the passwords alone."""
    known: dict[str, str] = {}
    for name, server in (("the database's", environment.database), ("Redis'", environment.cache)):
        if server is not None:
            known[f"{name} address with its password"] = server.url()
            if _is_secret(server.password):
                known[f"{name} password"] = server.password
    return known


def _is_secret(password: str) -> bool:
    """Whether finding it means anything: "postgres" is in many an honest answer."""
    return len(password) >= SHORTEST_SECRET and password.lower() not in NO_SECRETS


def _proxied(environment: Environment) -> list[Proxied]:
    servers = [server for server in (environment.database, environment.cache) if server is not None]
    return [server.proxied for server in servers if server.proxied is not None]


def _window(traffic: Traffic, database: Database, request: Request, settings: Settings) -> Window:
    start = database.statements()
    wait_until(time.monotonic() + WINDOW_S)
    idle = database.statements()
    end = time.monotonic() + WINDOW_S
    answers: list[Answer] = []
    while time.monotonic() < end and len(answers) < PER_WINDOW:
        answers.append(traffic.send(request, deadline_s=settings.health.answer_within_s))
    wait_until(end)
    return Window(
        seconds=WINDOW_S,
        idle_statements=idle - start,
        asked=len(answers),
        answered=sum(answer.expected for answer in answers),
        asked_statements=database.statements() - idle,
    )


@spent(WAITING)
def wait_until(moment: float, happened: Callable[[], bool] = lambda: False, every_s: float = 0.02) -> bool:
    """Wait until something has happened, or until that moment of the monotonic clock; whether it did."""
    while not (done := happened()):
        left = moment - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every_s, left))
    return done
