"""Which processes of the service hold which connection to the database."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pytest_prodready.environment.application import Application
from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ProdreadyError
from pytest_prodready.probes.engine import Forked, service_engine
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_steady import Clock, Scene, scene
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import Settings

PROC = Path("/proc")
ESTABLISHED = "01"
BURSTS = 3
READABLE = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Holder:
    """One process of the service and how many connections to the database it has open."""

    pid: int
    connections: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """The database connections of all processes of the service: when it had started, and under load."""

    readable: bool  # whether this system tells which process holds which socket
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
    if not READABLE:
        return Sharing(False, False, 0, (), 0, 0, 0, 0, _forked(environment, settings))
    progress("comparing the sockets of the service's processes")
    before = {backend.pid for backend in here.database.backends()}
    with _instance(here) as (application, fresh, inside):
        at_start = _owners(_held(application, here))
        first = {each.pid for each in here.database.backends()} - (before if fresh else set())
        answers, lasted_s = _load(here, inside)
        held = _held(application, here)
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
def _instance(here: Scene) -> Iterator[tuple[Application, bool, Traffic]]:
    """A second instance that has just started, or the first one where there can't be another."""
    if here.settings.service.port is not None:
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


def _held(application: Application, here: Scene) -> dict[int, frozenset[int]]:
    addresses = _addresses(here)
    return {pid: sockets_to(pid, addresses) for pid in application.processes()}


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


def sockets_to(pid: int, addresses: frozenset[tuple[str, int]]) -> frozenset[int]:
    """The inodes of a process' established TCP connections to these addresses; none where it is gone."""
    try:
        remote = dict(_established(pid))
        links = [entry.readlink() for entry in _entries(PROC / str(pid) / "fd")]
    except OSError:
        return frozenset()
    inodes = {int(str(link)[8:-1]) for link in links if str(link).startswith("socket:[")}
    return frozenset(inode for inode in inodes if remote.get(inode) in addresses)


def _entries(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_symlink():  # not closed meanwhile
            yield entry


def _established(pid: int) -> Iterator[tuple[int, tuple[str, int]]]:
    """Inode and remote address of the connections in the network namespace of the process."""
    for name in ("tcp", "tcp6"):
        table = PROC / str(pid) / "net" / name
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == ESTABLISHED:
                address, _, port = fields[2].partition(":")
                yield int(fields[9]), (_readable(address), int(port, 16))


def _readable(words: str) -> str:
    """An address as the kernel writes it (in hex, in words of 32 bits), as it is usually written."""
    raw = bytes.fromhex(words)
    octets = (
        b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4)) if sys.byteorder == "little" else raw
    )
    address = ip_address(octets)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _addresses(here: Scene) -> frozenset[tuple[str, int]]:
    points = {here.database.endpoint, here.database.reached_at}
    return frozenset(
        (str(found[4][0]), point.port)
        for point in points
        for found in socket.getaddrinfo(point.host, point.port, type=socket.SOCK_STREAM)
    )


def _forked(environment: Environment, settings: Settings) -> Forked | None:
    if settings.service.engine is None:
        return None
    with service_engine(environment, settings) as engine:
        return engine.fork()
