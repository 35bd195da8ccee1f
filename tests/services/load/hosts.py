"""Hosts of a network of their own: network namespaces, which only root can make."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

NEEDS_HOSTS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="hosts are network namespaces, which take root and the command ip",
)
WITHIN_S = 10.0


@dataclass(frozen=True)
class Host:
    """A host, by its namespace."""

    name: str
    address: str  # of its own end of the link
    gate: str  # the gate's address at the other end

    def run(self, command: Sequence[str], folder: Path, log: TextIO) -> subprocess.Popen[str]:
        """A program on this host."""
        words = ["ip", "netns", "exec", self.name, *command]
        return subprocess.Popen(words, text=True, cwd=folder, stdout=log, stderr=log)

    def cut_off(self) -> None:
        """Take its link down: nothing comes or goes any more, and nobody is told."""
        _ip("-n", self.name, "link", "set", "up0", "down")


@contextmanager
def hosts(count: int) -> Iterator[tuple[Host, ...]]:
    """A gate's host and so many others, each linked to it alone; all is removed afterwards."""
    mark = f"prodready-{secrets.token_hex(3)}"
    names = [f"{mark}-{number}" for number in range(count + 1)]
    with ExitStack() as made:
        for name in names:
            try:
                _ip("netns", "add", name)
            except subprocess.CalledProcessError as failure:
                pytest.skip(f"no network namespace can be made here: {failure.stderr.decode().strip()}")
            made.callback(_ip, "netns", "del", name)
            _ip("-n", name, "link", "set", "lo", "up")
        others = []
        for number, name in enumerate(names[1:], start=1):
            gate, address = f"10.209.{number}.1", f"10.209.{number}.2"
            link = ("link", "add", f"to{number}", "netns", names[0], "type", "veth")
            _ip(*link, "peer", "name", "up0", "netns", name)
            for where, device, own in ((names[0], f"to{number}", gate), (name, "up0", address)):
                _ip("-n", where, "addr", "add", f"{own}/30", "dev", device)
                _ip("-n", where, "link", "set", device, "up")
            others.append(Host(name, address, gate))
        yield (Host(names[0], "127.0.0.1", "127.0.0.1"), *others)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=WITHIN_S)
