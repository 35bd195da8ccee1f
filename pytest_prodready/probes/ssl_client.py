"""What the service itself insists on when it connects to its database and to Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.database import Backend, Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes import impostor_postgres, impostor_redis
from pytest_prodready.probes.impostor_disguises import REDIS_CASES, postgres_cases, wardrobe
from pytest_prodready.probes.ssl_play import Impersonation, Scene, driven, impersonate, requests_that_connect
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request, Settings

WATCHED_S = 0.5
AT_ONCE = 20
FOUND_WITHIN_S = 5.0
LOOK_EVERY_S = 0.005  # a connection may live no longer than a request


@dataclass(frozen=True, slots=True)
class Link:
    """One backend of the service, as pg_stat_ssl shows it."""

    application_name: str
    local: bool  # by a Unix socket, which no network carries
    encrypted: bool
    tls: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Links:
    """The backends of the service that were seen while requests ran."""

    links: tuple[Link, ...]
    watched_s: float


def links(database: Database, traffic: Traffic, settings: Settings, progress: Callable[[str], None]) -> Links:
    """Send requests, and look at every backend of the service meanwhile."""
    progress("looking at pg_stat_ssl while requests run")
    seen: dict[tuple[int, float], Link] = {}
    began = time.monotonic()
    with driven(traffic, settings), _at_once(traffic, requests_that_connect(settings)):
        while (lasted := time.monotonic() - began) < (WATCHED_S if seen else FOUND_WITHIN_S):
            seen |= {(each.pid, each.started_at): _link(each) for each in database.backends()}
            time.sleep(LOOK_EVERY_S)
    return Links(tuple(seen.values()), lasted)


def database_impersonated(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Impersonation:
    """Put the impostor in the place of the service's database, in each disguise."""
    database = environment.database
    assert database is not None
    assert database.proxied is not None
    proxied, scene = database.proxied, _scene(environment, traffic, settings, progress)
    with wardrobe(environment.authority, [proxied.host, database.seen_at.host]) as clothes:
        return impersonate(proxied, impostor_postgres.receive, postgres_cases(), clothes, scene)


def redis_impersonated(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Impersonation:
    """Put the impostor in the place of the service's Redis, in each disguise."""
    cache = environment.cache
    assert cache is not None
    assert cache.proxied is not None
    proxied, scene = cache.proxied, _scene(environment, traffic, settings, progress)
    with wardrobe(environment.authority, [proxied.host, cache.seen_at.host]) as clothes:
        return impersonate(proxied, impostor_redis.receive, REDIS_CASES, clothes, scene)


@contextmanager
def _at_once(traffic: Traffic, requests: Sequence[Request]) -> Iterator[None]:
    """Many requests at the same time, so that a pool opens more than its first connection."""
    flight = traffic.start(requests, AT_ONCE, FOUND_WITHIN_S) if requests else None
    try:
        yield
    finally:
        if flight:
            flight.abort()


def _scene(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Scene:
    assert environment.application is not None
    return Scene(environment.application, traffic, settings, progress, environment.way_back())


def _link(backend: Backend) -> Link:
    return Link(
        application_name=backend.application_name or "",
        local=backend.client_port is None or backend.client_port < 0,
        encrypted=bool(backend.ssl),
        tls=backend.tls_version or "",
        cipher=backend.cipher or "",
    )
