"""The Docker engine: whether one answers, and how its containers are reached from here."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.docker_client import DockerClient, get_docker_host

from pytest_prodready.environment.ports import LOOPBACK, is_ours
from pytest_prodready.errors import ServerError

ASKED_WITHIN_S = 60.0
KNOCK_S = 5.0
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
INSIDE = (Path("/.dockerenv"), Path("/run/.containerenv"))
CONTAINER_ID = re.compile(r"\b[0-9a-f]{64}\b")
REMEDY = (
    "start Docker (or Podman's service) and let this user reach its socket, or set DOCKER_HOST,"
    " or use --prodready-backend=processes, which needs no containers"
)


class Engine:
    """A Docker engine that answers, and how its containers are reached from here."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        self.api: docker.DockerClient = client.client
        about = self.api.version()
        self.name = _name(about)
        self.host = _host(client)
        self.own_container = self._own_container()
        mode = testcontainers_config.connection_mode_override
        self.joins = self.own_container is not None and mode is None
        self.direct = self.joins or mode is ConnectionMode.bridge_ip

    @property
    def published_at(self) -> str:
        """The address that ports are published at: loopback unless the engine is reached by another one."""
        address = _resolved(self.host)
        if address is None:
            return "0.0.0.0"  # noqa: S104 (of the engine's machine, which isn't this one)
        if ipaddress.ip_address(address).is_loopback:
            return LOOPBACK
        return address if is_ours(address) else "0.0.0.0"  # noqa: S104 (as above)

    @property
    def renames(self) -> bool:
        """Whether a running container that is renamed is found by its new name; Podman keeps the old one."""
        return not self.name.startswith("Podman")

    @property
    def reached(self) -> str:
        """How its containers are reached, for the report."""
        if self.joins:
            return "from a container beside them"
        return "by their own addresses" if self.direct else f"by ports published at {self.host}"

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Close the connections to the engine."""
        self.api.close()

    def _own_container(self) -> str | None:
        """The container that we run in, if the engine knows it."""
        if not any(mark.exists() for mark in INSIDE):
            return None
        for candidate in dict.fromkeys(_possible_ids()):
            with suppress(docker.errors.APIError):
                if self.api.containers.get(candidate).status == "running":
                    return candidate
        return None


def connect() -> Engine:
    """The engine that testcontainers would use; raises ServerError, with the reason, when none answers."""
    with unchanged_variables():
        address = get_docker_host() or DEFAULT_ADDRESS
        try:
            _knock(address)
            client = DockerClient(timeout=ASKED_WITHIN_S)
        except (docker.errors.DockerException, requests.RequestException, OSError, ValueError) as failure:
            raise _none(failure, address) from None
        try:
            return Engine(client)
        except (docker.errors.DockerException, requests.RequestException) as failure:
            client.client.close()
            raise _none(failure, address) from None


def _knock(address: str) -> None:
    """Connect to a socket file once: the library leaves a descriptor open where that fails."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(KNOCK_S)
            knocking.connect(address.removeprefix("unix://"))


def _none(failure: BaseException, address: str) -> ServerError:
    return ServerError(
        f"No Docker engine can be used: {_reason(failure)}.",
        value=address,
        source="DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "Docker's settings and defaults",
        remedy=REMEDY,
    )


@contextmanager
def unchanged_variables() -> Iterator[None]:
    """Take back what testcontainers writes into the environment, which the service would inherit."""
    before = os.environ.get("DOCKER_HOST")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("DOCKER_HOST", None)


def _reason(failure: BaseException) -> str:
    """The innermost cause in plain words."""
    text = str(failure)
    if "Permission denied" in text:
        return "this user may not use its socket (permission denied)"
    if "No such file or directory" in text or "FileNotFoundError" in text:
        return "there is no socket at this address"
    if "Connection refused" in text:
        return "nothing listens at this address (connection refused)"
    return text.splitlines()[0].rstrip(".") if text else type(failure).__name__


def _name(about: dict[str, Any]) -> str:
    parts = [
        part["Name"] for part in about.get("Components") or () if "podman" in part.get("Name", "").lower()
    ]
    return f"{'Podman' if parts else 'Docker'} {about.get('Version', '')}".strip()


def _host(client: DockerClient) -> str:
    """Where published ports are reached: as testcontainers says, but by address where that is loopback."""
    host = client.host()
    return LOOPBACK if host == "localhost" else host


def _resolved(host: str) -> str | None:
    with suppress(OSError):
        return socket.gethostbyname(host)
    return None


def _possible_ids() -> Iterator[str]:
    """What may be the id of the container that we run in."""
    for file in (Path("/proc/self/cgroup"), Path("/proc/self/mountinfo")):
        with suppress(OSError):
            yield from CONTAINER_ID.findall(file.read_text())
    yield socket.gethostname()
