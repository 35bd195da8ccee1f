"""Which established connections a process holds."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

import psutil

from pytest_prodready.environment.service import Endpoint

PROC = Path("/proc")
ESTABLISHED = "01"
Address = tuple[str, int]


def held(pids: Iterable[int], addresses: frozenset[Address]) -> Mapping[int, frozenset[int]] | None:
    """The connections of each process to these addresses, by numbers that are the same in every process.

    None where the system doesn't tell.
    """
    if sys.platform == "linux":
        return {pid: sockets_to(pid, addresses) for pid in pids}
    try:
        return {pid: _ports_to(pid, addresses) for pid in pids}
    except psutil.AccessDenied:
        return None


def addresses_of(endpoints: Iterable[Endpoint]) -> frozenset[Address]:
    """The endpoints as sockets show them; nobody here is connected to a name that nobody here knows."""
    return frozenset(address for endpoint in endpoints for address in _resolved(endpoint))


def _resolved(endpoint: Endpoint) -> frozenset[Address]:
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return frozenset()
    return frozenset((str(each[4][0]), endpoint.port) for each in found)


def sockets_to(pid: int, addresses: frozenset[Address]) -> frozenset[int]:
    """The inodes of a process' established TCP connections to these addresses; none where it is gone."""
    try:
        tables = [PROC / str(pid) / "net" / name for name in ("tcp", "tcp6")]
        remote = dict(established("".join(table.read_text() for table in tables if table.exists())))
        links = [entry.readlink() for entry in _entries(PROC / str(pid) / "fd")]
    except OSError:
        return frozenset()
    inodes = {int(str(link)[8:-1]) for link in links if str(link).startswith("socket:[")}
    return frozenset(inode for inode in inodes if remote.get(inode) in addresses)


def established(table: str) -> Iterator[tuple[int, Address]]:
    """Inode and remote address of the established connections in the kernel's tables (/proc/net/tcp)."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[3] == ESTABLISHED:
            address, _, port = fields[2].partition(":")
            yield int(fields[9]), (_readable(address), int(port, 16))


def _ports_to(pid: int, addresses: frozenset[Address]) -> frozenset[int]:
    """The local ports of a process' connections to these addresses; none where it is gone."""
    try:
        seen = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return frozenset()
    return frozenset(
        each.laddr.port
        for each in seen
        if each.status == psutil.CONN_ESTABLISHED and (each.raddr.ip, each.raddr.port) in addresses
    )


def _entries(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_symlink():  # not closed meanwhile
            yield entry


def _readable(words: str) -> str:
    """An address as the kernel writes it (in hex, in words of 32 bits), as it is usually written."""
    raw = bytes.fromhex(words)
    octets = (
        b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4)) if sys.byteorder == "little" else raw
    )
    address = ip_address(octets)
    return str(getattr(address, "ipv4_mapped", None) or address)
