"""Labels of what a run makes on an engine, and the removal of all that carries them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import requests

from pytest_prodready.environment.containers.failures import explained

LABEL = "pytest-prodready.run"
BASE_LABEL = "pytest-prodready.base"
ASKED_WITHIN_S = 60
ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def labels(run: str, base: Path) -> dict[str, str]:
    """The labels of everything of one run."""
    return {LABEL: run, BASE_LABEL: _base(base)}


def note_engine(record: Path) -> None:
    """Write down which engine is used, before anything is made there."""
    record.write_text(json.dumps({name: os.environ[name] for name in ENGINE_VARIABLES if name in os.environ}))


def sweep(record: Path, run: str) -> int | None:
    """Remove what a dead run left on the engine that it wrote down; None when the engine doesn't answer."""
    with suppress(docker.errors.DockerException, requests.RequestException, OSError, ValueError):
        noted: dict[str, str] = json.loads(record.read_text())
        elsewhere = {**{k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}, **noted}
        api = docker.from_env(environment=elsewhere, timeout=ASKED_WITHIN_S)
        try:
            return remove(api, run)
        finally:
            api.close()
    return None


def remove(api: docker.DockerClient, run: str) -> int:
    """Remove the containers, volumes and networks of a run; returns how many containers there were."""
    wanted = {"label": f"{LABEL}={run}"}
    with explained("Removing the containers of a run"):
        containers = api.containers.list(all=True, filters=wanted, ignore_removed=True)
        for container in containers:
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        for network in api.networks.list(filters=wanted):
            _disconnect(api, network.id)
            with suppress(docker.errors.NotFound):
                network.remove()
        for volume in api.volumes.list(filters=wanted):
            with suppress(docker.errors.NotFound):
                volume.remove(force=True)
    return len(containers)


def sweep_base(api: docker.DockerClient, base: Path) -> int:
    """Remove what runs below this folder left whose folders are gone; returns how many containers."""
    wanted = {"label": f"{BASE_LABEL}={_base(base)}"}
    with explained("Looking for containers of dead runs"):
        made = [*api.containers.list(all=True, filters=wanted, ignore_removed=True)]
        runs = {_run(one.labels) for one in made}
        runs |= {_run(one.attrs.get("Labels") or {}) for one in api.networks.list(filters=wanted)}
    return sum(remove(api, run) for run in sorted(runs) if run and not (base / run).exists())


def _run(labels: Mapping[str, str]) -> str:
    return labels.get(LABEL, "")


def _base(base: Path) -> str:
    """This folder on this machine."""
    return f"{socket.gethostname()}:{base}"


def _disconnect(api: docker.DockerClient, network: str) -> None:
    """Take out of a network whatever is not ours to remove: the container that a dead gate ran in."""
    with suppress(docker.errors.NotFound):
        for container in api.networks.get(network).attrs.get("Containers") or {}:
            with suppress(docker.errors.APIError):
                api.api.disconnect_container_from_network(container, network, force=True)
