"""An /etc/hosts for one process alone, in which a name can be given another address at any time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_prodready.environment import own_hosts
from pytest_prodready.environment.ports import LOOPBACK, is_ours

ELSEWHERE = "127.0.0.2"  # Linux answers at every address of 127.0.0.0/8
TRIED_WITHIN_S = 20.0
LOOK_UP = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
PYTHON = (sys.executable, "-I", "-S")
# What keeps an ordinary user from a mount namespace: the setting, and the value that does.
OBSTACLES = {
    "kernel.unprivileged_userns_clone": 0,
    "kernel.apparmor_restrict_unprivileged_userns": 1,
    "user.max_user_namespaces": 0,
}


class Hosts:
    """The file: this machine's own names, and before them one that moves."""

    def __init__(self, file: Path, name: str) -> None:
        self.file, self.name = file, name
        others = Path(own_hosts.HOSTS).read_bytes()
        self.file.touch(mode=0o600)
        self.file.write_bytes(self._line(LOOPBACK) + others)
        self.file.chmod(0o644)  # the service may run as anyone

    @property
    def launcher(self) -> tuple[str, ...]:
        """The words before a command that let it see this file."""
        return *PYTHON, own_hosts.__file__, str(self.file)

    def point_to(self, address: str) -> None:
        """Give the name this address; who looks it up from now on finds it there."""
        # In place and of the same length: the file is mounted where it is seen, and never half written.
        with self.file.open("r+b") as file:
            file.write(self._line(address))

    def _line(self, address: str) -> bytes:
        return f"{address:<15} {self.name}\n".encode()


def why_not(name: str) -> str:
    """Why a process can't be given an /etc/hosts of its own here, or wouldn't heed it; empty when it can."""
    if sys.platform != "linux":
        return f"it takes a mount namespace, which {sys.platform} doesn't have"
    if not is_ours(ELSEWHERE):
        return f"{ELSEWHERE} isn't an address of this machine"
    with tempfile.TemporaryDirectory(prefix="prodready-") as folder:
        try:
            return _tried(Hosts(Path(folder) / "hosts", name))
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)


def _tried(hosts: Hosts) -> str:
    hosts.point_to(ELSEWHERE)
    command = [*hosts.launcher, *PYTHON, "-c", LOOK_UP, hosts.name]
    tried = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TRIED_WITHIN_S)
    if tried.returncode == own_hosts.FAILED:
        return f"{tried.stderr.strip()}{_obstacles()}"
    if tried.stdout.strip() != ELSEWHERE:
        said = (tried.stdout or tried.stderr).strip().splitlines()
        return f"names in {own_hosts.HOSTS} aren't heeded: {hosts.name} is {said[-1] if said else 'unknown'}"
    return ""


def _obstacles() -> str:
    """The system's settings that are known to be in the way, in brackets."""
    found = []
    for name, value in OBSTACLES.items():
        with suppress(OSError, ValueError):
            if int(Path("/proc/sys", name.replace(".", "/")).read_text()) == value:
                found.append(f"{name} = {value}")
    return f" ({', '.join(found)})" if found else ""
