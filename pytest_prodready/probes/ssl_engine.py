"""What the service's own engine insists on, in a process of its own."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.placeholders import fill
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.values import of_replica
from pytest_prodready.errors import ConfigError
from pytest_prodready.probes import impostor_postgres
from pytest_prodready.probes.engine import EngineProcess, service_engine
from pytest_prodready.probes.impostor import Guestbook, impostor
from pytest_prodready.probes.impostor_attempts import TWICE
from pytest_prodready.probes.impostor_disguises import Case, postgres_cases, wardrobe
from pytest_prodready.probes.ssl_play import CaseSeen, Impersonation
from pytest_prodready.settings import Settings

QUIET_S = 0.1  # a second attempt without TLS belongs to the same call of connect
COMES_WITHIN_S = 0.15  # after a call of connect that has failed already
CALL_S = 0.5  # of one call of connect; the attempt itself takes milliseconds, a pool may wait for long
TRIES_S = 1.0  # with one process; its pool may pause between attempts


@dataclass(frozen=True, slots=True)
class EngineTrust:
    """Whether the engine reaches its own server, and what it gave to an impostor."""

    connects: bool
    error: str  # class names of why it doesn't
    met: Impersonation


def engine_impersonated(
    database: Database,
    environment: Environment,
    authority: Authority,
    settings: Settings,
    progress: Callable[[str], None],
) -> EngineTrust:
    """Connect the engine to its own server, then to an impostor in each disguise."""
    progress("connecting the engine to its own server")
    with service_engine(environment, settings) as own:
        real = own.connect()
    with (
        wardrobe(authority, [database.reached_at.host]) as clothes,
        impostor(impostor_postgres.receive, clothes.disguise(Case.CONTROL)) as server,
        _Engines(environment, settings, redirected(settings, environment, server.endpoint)) as engines,
    ):
        seen = []
        for case in postgres_cases():
            progress(f"connecting the engine to a server with {case}")
            began = time.monotonic()
            book = server.wear(clothes.disguise(case))
            engines.lead_to(book)
            seen.append(CaseSeen(case, book.attempts(), time.monotonic() - began))
    met = Impersonation(tuple(seen), old_tls_offered=Case.OLD_TLS in postgres_cases())
    return EngineTrust(real.ok, real.error_kind or "", met)


class _Engines:
    """The engine in a process of its own, replaced when its pool waits too long between attempts."""

    def __init__(self, environment: Environment, settings: Settings, variables: dict[str, str]) -> None:
        self._environment, self._settings, self._variables = environment, settings, variables
        self._stack = ExitStack()
        self._engine: EngineProcess | None = None
        self._pauses = False  # only a fresh one tries at once

    def __enter__(self) -> _Engines:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lead_to(self, book: Guestbook) -> None:
        """Connect until it is known how the engine treats this disguise."""
        if not self._pauses and self._connect(self._engine or self._fresh(), book):
            return
        for _ in range(TWICE):
            if self._connect(self._fresh(), book):
                self._pauses = True
                return

    def _fresh(self) -> EngineProcess:
        self._stack.close()
        made = service_engine(self._environment, self._settings, self._variables)
        self._engine = self._stack.enter_context(made)
        return self._engine

    @staticmethod
    def _connect(engine: EngineProcess, book: Guestbook) -> bool:
        deadline = time.monotonic() + TRIES_S
        while time.monotonic() < deadline:
            engine.connect(deadline_s=CALL_S)
            if book.settled(COMES_WITHIN_S, QUIET_S):
                return True
        return False


def redirected(settings: Settings, environment: Environment, endpoint: Endpoint) -> dict[str, str]:
    """The service's variables that name the database, as they would be were it at this address."""
    assert environment.database is not None
    values = {
        "python": sys.executable,
        "port": str(environment.application.port if environment.application else 0),
        **_of_database(environment.database, endpoint),
        **(_of_cache(environment.cache) if environment.cache else {}),
    }
    own = environment.service_env()
    own_address = str(environment.database.endpoint)
    there = {
        name: fill(template, values).replace(own_address, str(endpoint))
        for name, template in settings.service.env.items()
    }
    changed = {name: value for name, value in there.items() if value != own[name]}
    if not changed:
        raise ConfigError(
            "no variable of the service says where its database is, so its engine can't be led elsewhere",
            source="[service] env",
            remedy='give the address by a variable, such as DATABASE_URL = "{postgres.url}"',
        )
    return changed


def _of_database(database: Database, endpoint: Endpoint) -> dict[str, str]:
    url = database.url(endpoint)
    if database.given_url is not None:  # the user's own, whose other parameters must stay
        url = re.sub(r"(?<=@)[^/?]*", str(endpoint), database.given_url, count=1)
    parts = {
        "url": url,
        "host": endpoint.host,
        "port": str(endpoint.port),
        "user": database.user,
        "password": database.password,
        "database": database.name,
        "ca_file": str(database.ca_file or ""),
    }
    values = {f"postgres.{name}": value for name, value in parts.items()}
    return values | of_replica(values, endpoint)


def _of_cache(cache: Cache) -> dict[str, str]:
    parts = {
        "url": cache.url(),
        "host": cache.reached_at.host,
        "port": str(cache.reached_at.port),
        "password": cache.password,
        "ca_file": str(cache.ca_file or ""),
    }
    return {f"redis.{name}": value for name, value in parts.items()}
