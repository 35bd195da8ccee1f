"""Which processes of the service hold which connection to the database."""

from __future__ import annotations

import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.engine import Forked, service_engine
from pytest_prodready.probes.holders import Usage
from pytest_prodready.probes.pool_steady import Clock, Scene, scene
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

PROC = Path("/proc")
ESTABLISHED = "01"
BURSTS = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """One process of the service and how many connections to the database it has open."""

    pid: int
    connections: int


@dataclass(frozen=True, slots=True)
class Sharing:
    """The database connections of all processes of the service, under load."""

    readable: bool  # whether this system tells which process holds which socket
    processes: tuple[Holder, ...]
    connections: int  # different ones
    shared: int  # held by more than one process
    backends: int  # that were there before and after the load
    unused: int  # of those: not used by the load, such as inherited ones that nobody uses
    forked: Forked | None  # the engine, used, forked and used again; where sockets can't be read


def sharing(
    environment: Environment,
    traffic: Traffic,
    settings: Settings,
    usage: tuple[Usage, ...],
    progress: Callable[[str], None],
) -> Sharing:
    """Compare the sockets of the service's processes after some load, and what the load made of them."""
    here = scene(environment, traffic, settings, usage)
    progress("comparing the sockets of the service's processes")
    traffic.burst(here.requests, here.capacity, settings.pool.deadline_s)
    backends, unused = _unused(here)
    held = {pid: sockets_to(pid, _addresses(here)) for pid in here.application.processes()}
    owners: dict[int, int] = defaultdict(int)
    for inodes in held.values():
        for inode in inodes:
            owners[inode] += 1
    return Sharing(
        readable=sys.platform == "linux",
        processes=tuple(Holder(pid, len(inodes)) for pid, inodes in held.items()),
        connections=len(owners),
        shared=sum(count > 1 for count in owners.values()),
        backends=backends,
        unused=unused,
        forked=None if sys.platform == "linux" else _forked(environment, settings),
    )


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


def _unused(here: Scene) -> tuple[int, int]:
    """Backends that outlived a load that takes every connection several times, and those it didn't touch."""
    before = {backend.pid for backend in here.database.backends()}
    clock = Clock()
    for _ in range(BURSTS):
        here.traffic.burst(here.requests, here.capacity * 2, here.limits.deadline_s)
    after = [backend for backend in here.database.backends() if backend.pid in before]
    lasted_s = clock.seconds
    return len(after), sum((backend.state_age_s or 0.0) > lasted_s for backend in after)


def _forked(environment: Environment, settings: Settings) -> Forked | None:
    if settings.service.engine is None:
        return None
    with service_engine(environment, settings) as engine:
        return engine.fork()
