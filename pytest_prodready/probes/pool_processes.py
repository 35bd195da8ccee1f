"""Which processes of the service hold which connection to the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.roles import ApplicationRole
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.engine import Forked, service_engine
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_steady import Clock, Scene, scene
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

BURSTS = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """One process of the service and how many connections to the database it has open."""

    pid: int
    connections: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """The database connections of all processes of the service: when it had started, and under load."""

    readable: bool  # whether it can be seen which process holds which socket
    fresh: bool  # of an instance that had just started: its inherited connections were as yet unused
    shared_at_start: int
    processes: tuple[Holder, ...]
    connections: int  # different ones, after the load
    shared: int  # held by more than one process, after the load
    unused: int  # connections from before the load that the load neither used nor broke
    failed: int  # requests of the load that were not answered as declared
    forked: Forked | None  # the engine, used, forked and used again; where sockets can't be read


def sharing(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Sharing:
    """Compare the sockets of the service's processes, before and after a load that takes every connection."""
    here = scene(environment, traffic, settings, usage)
    progress("comparing the sockets of the service's processes")
    before = {backend.pid for backend in here.database.backends()}
    with _instance(here) as (application, fresh, inside):
        began_with = _held(application, here)
        if began_with is None:
            return Sharing(False, fresh, 0, (), 0, 0, 0, 0, _forked(environment, settings))
        at_start = _owners(began_with)
        first = {each.pid for each in here.database.backends()} - (before if fresh else set())
        answers, lasted_s = _load(here, inside)
        held = _held(application, here) or {}
        left = [each for each in here.database.backends() if each.pid in first]
    owners = _owners(held)
    return Sharing(
        readable=True,
        fresh=fresh,
        shared_at_start=_shared(at_start),
        processes=tuple(Holder(pid, len(inodes)) for pid, inodes in held.items()),
        connections=len(owners),
        shared=_shared(owners),
        unused=sum((each.state_age_s or 0.0) > lasted_s for each in left),
        failed=sum(not answer.expected for answer in answers),
        forked=None,
    )


@contextmanager
def _instance(here: Scene) -> Iterator[tuple[ApplicationRole, bool, Traffic]]:
    """A second instance that has just started, or the first one where there can't be another."""
    if not here.application.repeatable:
        yield here.application, False, here.traffic
        return
    with ExitStack() as stack:
        try:
            application = stack.enter_context(here.application.another())
        except ProdreadyError:
            yield here.application, False, here.traffic
            return
        traffic = Traffic(application.base_url, here.traffic.requests)
        stack.callback(traffic.close)
        yield application, True, traffic


def _held(application: ApplicationRole, here: Scene) -> Mapping[int, frozenset[int]] | None:
    database = here.database
    return application.connections_to({database.endpoint, database.reached_at, database.seen_at})


def _owners(held: Mapping[int, frozenset[int]]) -> Counter[int]:
    return Counter(inode for inodes in held.values() for inode in inodes)


def _shared(owners: Counter[int]) -> int:
    return sum(number > 1 for number in owners.values())


def _load(here: Scene, traffic: Traffic) -> tuple[list[Answer], float]:
    clock = Clock()
    answers: list[Answer] = []
    for _ in range(BURSTS):
        answers += traffic.burst(here.requests, here.capacity, here.limits.deadline_s)
    return answers, clock.seconds


def _forked(environment: Environment, settings: Settings) -> Forked | None:
    if settings.service.engine is None:
        return None
    with service_engine(environment, settings) as engine:
        return engine.fork()
