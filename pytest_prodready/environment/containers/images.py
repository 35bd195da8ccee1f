"""Which images the servers run from, and pulling those that the engine doesn't have yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import docker
import docker.errors
import requests
from testcontainers.core.config import testcontainers_config

from pytest_prodready.environment.containers.engine import Engine
from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.errors import ServerError
from pytest_prodready.settings import Settings

DEFAULTS: Mapping[str, str] = {
    "postgres": "postgres:17",
    "redis": "redis:7.4",
    "toxiproxy": "ghcr.io/shopify/toxiproxy:2.12.0",
}
KEYS: Mapping[str, str] = {
    "postgres": "[postgres] image",
    "redis": "[redis] image",
    "toxiproxy": "[faultproxy] image",
}
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """An image, and what named it."""

    name: str
    source: str
    exact: bool = False  # named in full: not to be looked for at a mirror of Docker Hub

    @property
    def full_name(self) -> str:
        """The name with the prefix that testcontainers puts before those of Docker Hub."""
        return self.name if self.exact else testcontainers_config.hub_image_name_prefix + self.name

    def __str__(self) -> str:
        return self.name


def chosen(settings: Settings, variables: Mapping[str, str] = os.environ) -> dict[str, Image]:
    """The image of each server: by environment variable, else by prodready.toml, else the default."""
    tables = {"postgres": settings.postgres, "redis": settings.redis, "toxiproxy": settings.faultproxy}
    found = {}
    for server, default in DEFAULTS.items():
        variable, table = f"PRODREADY_{server.upper()}_IMAGE", tables[server]
        if variables.get(variable):
            found[server] = Image(variables[variable], f"environment variable {variable}")
        elif table is not None and table.image:
            found[server] = Image(table.image, KEYS[server])
        else:
            found[server] = Image(default, f"the default; {KEYS[server]} or {variable} sets another")
    return found


def ensure(engine: Engine, image: Image, progress: Progress) -> None:
    """Pull the image unless the engine has it, and say how far that is."""
    name = image.full_name
    with explained(f"Looking for the image {name}", image.source):
        try:
            engine.api.images.get(name)
            return
        except docker.errors.ImageNotFound:
            pass
    progress(f"pulling {name}")
    try:
        _pull(engine, name, progress)
    except (docker.errors.APIError, requests.RequestException, _PullFailed) as failure:
        raise _unavailable(image, name, failure) from None


class _PullFailed(Exception):
    """The engine said in the middle of a pull that it failed."""


def _pull(engine: Engine, name: str, progress: Progress) -> None:
    repository, tag = _split(name)
    layers: dict[str, bool] = {}
    for event in engine.api.api.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in event:
            raise _PullFailed(event["error"])
        if "id" in event and event["id"] != tag:
            layers[event["id"]] = event.get("status") in ("Pull complete", "Already exists")
            progress(f"pulling {name}: {sum(layers.values())} of {len(layers)} layers")


def _split(name: str) -> tuple[str, str | None]:
    """Repository and tag; a digest stays with its repository."""
    if "@" in name:
        return name, None
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _unavailable(image: Image, name: str, failure: Exception) -> ServerError:
    said = getattr(failure, "explanation", None) or failure
    return ServerError(
        f"The image {name} is not on the Docker engine and can't be pulled.",
        value=said,
        source=image.source,
        remedy=(
            "see that the name is right and the registry can be reached and read (docker pull says why not),"
            " or name an image that this engine has"
        ),
    )
