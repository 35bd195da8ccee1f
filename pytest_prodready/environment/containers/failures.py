"""What a Docker engine refuses, said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests

from pytest_prodready.errors import ServerError

PORT_TAKEN = ("port is already allocated", "address already in use", "ports are not available")
Told = tuple[str, str]
REASONS: tuple[tuple[str, Told], ...] = (
    (
        "no space left on device",
        ("the engine's disk is full", "make room there: docker system df shows what takes it"),
    ),
    (
        "predefined address pools",
        (
            "the engine has no address range left for another network",
            "remove networks that nobody uses (docker network prune)",
        ),
    ),
    (
        "permission denied",
        ("the engine does not permit it", "let this user use the engine, or choose another by DOCKER_HOST"),
    ),
    (
        "cgroup",
        ("the engine can't control the container's processes", "use an engine that runs with cgroups"),
    ),
)


class PortTaken(ServerError):
    """A port that was to be published is taken by another program."""


@contextmanager
def explained(what: str, source: str | None = None) -> Iterator[None]:
    """Turn what the engine says into an error of ours: what failed, why, and what to do."""
    try:
        yield
    except docker.errors.DockerException as failure:
        raise told(what, _text(failure), source) from None
    except requests.RequestException as failure:
        raise ServerError(
            f"{what} failed: the Docker engine gave no answer.",
            value=type(failure).__name__,
            source=source,
            remedy="see that the engine runs and is not overloaded (docker info)",
        ) from None


def told(what: str, text: str, source: str | None) -> ServerError:
    """The error for what the engine said."""
    lower = text.lower()
    if any(mark in lower for mark in PORT_TAKEN):
        return PortTaken(
            f"{what} failed: a port is taken.", value=text, source=source, remedy="end what listens there"
        )
    for mark, (reason, remedy) in REASONS:
        if mark in lower:
            return ServerError(f"{what} failed: {reason}.", value=text, source=source, remedy=remedy)
    return ServerError(f"{what} failed.", value=text, source=source, remedy="read what the engine said above")


def _text(failure: docker.errors.DockerException) -> str:
    explanation = getattr(failure, "explanation", None)
    if isinstance(explanation, bytes):
        explanation = explanation.decode("utf-8", "replace")
    return str(explanation or failure).strip()
