"""Which process in a container holds which connection, seen from a container beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.environment.containers.images import Image
from pytest_prodready.environment.containers.stage import Stage
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.sockets import Address, addresses_of, established
from pytest_prodready.errors import ServerError

# The same processes and the same network as the other container, whose image may have no shell at all.
LOOK = "ls -l /proc/[0-9]*/fd 2>&1; cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; echo beside $$"
FOLDER = re.compile(r"/proc/(\d+)/fd:")
SOCKET = re.compile(r"-> '?socket:\[(\d+)\]")


class Lookout:
    """Looks into containers of one run by means of an image that has a shell."""

    def __init__(self, stage: Stage, image: Image) -> None:
        self._stage, self._image = stage, image

    def held(self, container: str, endpoints: Iterable[Endpoint]) -> Mapping[int, frozenset[int]] | None:
        """The inodes of each process' connections to these endpoints; None where it can't be seen."""
        try:
            addresses = self._addresses(endpoints)
            return None if addresses is None else read_look(self.beside(container, LOOK), addresses)
        except ServerError:
            return None

    def beside(self, container: str, script: str, variables: Mapping[str, str] | None = None) -> str:
        """What a script says that sees the container's processes and, by /proc/1/root, its files."""
        with explained("Looking into the service's container"):
            said: bytes = self._stage.engine.api.containers.run(
                self._image.full_name,
                [script],
                entrypoint=["sh", "-c"],
                user="0",
                cap_add=["SYS_PTRACE"],  # else only processes of the same user can be looked into
                pid_mode=f"container:{container}",
                network_mode=f"container:{container}",
                environment=dict(variables or {}),
                labels=self._stage.labels,
                remove=True,
            )
        return said.decode("utf-8", "replace")

    def _addresses(self, endpoints: Iterable[Endpoint]) -> frozenset[Address] | None:
        """The endpoints as the container's sockets show them; None when one isn't known."""
        names = self._names()
        found: set[Address] = set()
        for endpoint in endpoints:
            if endpoint.host in names:
                found.add((names[endpoint.host], endpoint.port))
                continue
            try:
                found |= addresses_of([endpoint])
            except OSError:
                return None
        return frozenset(found)

    def _names(self) -> dict[str, str]:
        """The addresses of all containers on the run's network, by alias."""
        run, network = self._stage.run.id, self._stage.network.name
        with explained("Looking at the network"):
            there = self._stage.engine.api.networks.get(network).attrs.get("Containers") or {}
        found = {}
        for each in there.values():
            name = str(each.get("Name", "")).removeprefix(f"prodready-{run}-")
            found[self._stage.alias(name)] = str(each.get("IPv4Address", "")).partition("/")[0]
        return found


def read_look(said: str, addresses: frozenset[Address]) -> Mapping[int, frozenset[int]] | None:
    """What the look has shown; None when a process didn't let itself be looked into."""
    if "Permission denied" in said or "Operation not permitted" in said or "/proc/1/fd:" not in said:
        return None
    mine = {inode for inode, remote in established(said) if remote in addresses}
    held: dict[int, set[int]] = {}
    pid = 0
    for line in said.splitlines():
        if folder := FOLDER.match(line):
            pid = int(folder[1])
            held[pid] = set()
        elif socket := SOCKET.search(line):
            held[pid] |= {int(socket[1])} & mine
    with suppress(IndexError, ValueError):
        held.pop(int(said.rsplit("beside", 1)[1]), None)
    return {pid: frozenset(inodes) for pid, inodes in held.items()}
