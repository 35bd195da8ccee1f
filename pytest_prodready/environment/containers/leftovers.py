"""Labels of what a run makes on an engine, and the removal of all that carries them."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import requests
from docker.models.containers import Container

from pytest_prodready.environment.containers.failures import explained
from pytest_prodready.errors import ServerError

LABEL = "pytest-prodready.run"
BASE_LABEL = "pytest-prodready.base"
OWNER_LABEL = "pytest-prodready.owner"
ASKED_WITHIN_S = 60
GONE_WITHIN_S = 30.0
ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def labels(run: str, base: Path, own_container: str | None) -> dict[str, str]:
    """The labels of everything of one run: its name, where its folder is, the container that it runs in."""
    owner = {OWNER_LABEL: own_container} if own_container else {}
    return {LABEL: run, BASE_LABEL: _base(base), **owner}


def note_engine(record: Path) -> None:
    """Write down which engine is used, before anything is made there."""
    record.write_text(json.dumps({name: os.environ[name] for name in ENGINE_VARIABLES if name in os.environ}))


def sweep(record: Path, run: str) -> int | None:
    """Remove what a dead run left on the engine that it wrote down; None when not all of it could be."""
    with suppress(docker.errors.DockerException, requests.RequestException, OSError, ServerError):
        noted = _noted(record)
        if noted is None:
            return 0
        elsewhere = {**{k: v for k, v in os.environ.items() if k not in ENGINE_VARIABLES}, **noted}
        api = docker.from_env(environment=elsewhere, timeout=ASKED_WITHIN_S)
        try:
            return remove(api, run)
        finally:
            api.close()
    return None


def _noted(record: Path) -> dict[str, str] | None:
    """Which engine a run has used; None of one that died as it wrote this down, before it made anything."""
    try:
        noted: dict[str, str] = json.loads(record.read_text())
    except ValueError:
        return None
    return noted


def remove(api: docker.DockerClient, run: str) -> int:
    """Remove the containers, volumes and networks of a run; returns how many containers there were."""
    wanted = {"label": f"{LABEL}={run}"}
    with explained("Removing the containers of a run"):
        containers = api.containers.list(all=True, filters=wanted, ignore_removed=True)
        for container in containers:
            _remove(container)
        for network in api.networks.list(filters=wanted):
            _disconnect(api, network.id)
            with suppress(docker.errors.NotFound):
                network.remove()
        for volume in api.volumes.list(filters=wanted):
            with suppress(docker.errors.NotFound):
                volume.remove(force=True)
    return len(containers)


def _remove(container: Container) -> None:
    """Remove a container, or wait until whoever else is removing it has done so."""
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as failure:
        if "already in progress" not in str(failure):
            raise
        deadline = time.monotonic() + GONE_WITHIN_S
        with suppress(docker.errors.NotFound):
            while time.monotonic() < deadline:
                container.reload()
                time.sleep(0.05)


def sweep_base(api: docker.DockerClient, base: Path) -> int:
    """Remove what nobody else will: of runs below this folder that are gone, or whose container has ended.

    What the engine doesn't remove now is left to the next sweep: it hinders no run.
    """
    here = _base(base)
    with explained("Looking for containers of dead runs"):
        made = _labels_of_all(api)
        dead = {each[LABEL] for each in made if _is_dead(api, each, here, base)}
    removed = 0
    for run in sorted(dead):
        with suppress(ServerError):
            removed += remove(api, run)
    return removed


def _labels_of_all(api: docker.DockerClient) -> list[dict[str, str]]:
    wanted = {"label": LABEL}
    made = [one.labels for one in api.containers.list(all=True, filters=wanted, ignore_removed=True)]
    return made + [one.attrs.get("Labels") or {} for one in api.networks.list(filters=wanted)]


def _is_dead(api: docker.DockerClient, labels: Mapping[str, str], here: str, base: Path) -> bool:
    if (owner := labels.get(OWNER_LABEL)) and not _runs(api, owner):
        return True
    return labels.get(BASE_LABEL) == here and not (base / labels[LABEL]).exists()


def _runs(api: docker.DockerClient, container: str) -> bool:
    with suppress(docker.errors.NotFound):
        return str(api.containers.get(container).status) in ("running", "paused")
    return False


def _base(base: Path) -> str:
    """This folder on this machine."""
    return f"{socket.gethostname()}:{base}"


def _disconnect(api: docker.DockerClient, network: str) -> None:
    """Take out of a network whatever is not ours to remove: the container that a dead gate ran in."""
    with suppress(docker.errors.NotFound):
        for container in api.networks.get(network).attrs.get("Containers") or {}:
            with suppress(docker.errors.APIError):
                api.api.disconnect_container_from_network(container, network, force=True)
