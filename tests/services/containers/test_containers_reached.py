"""Wherever the engine is: here, by another address, from inside a container; Podman instead of Docker."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_prodready.environment.ports import is_ours
from tests.images.build import Images

from .conftest import CHILD, ROOT, Child, eventually, left_of

# Limits that a sandbox permits, and the runtime that knows every kind of cgroups.
PODMAN_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""
MakeChild = Callable[..., Child]


def reached(child: Child) -> str:
    """Make sure that everything is reached, and tell how."""
    told = child.hear("run")
    assert told["verified"]
    assert told["pinged"]
    assert child.finish() == 0
    return str(told["versions"]["engine"])


@pytest.fixture
def other_address(api: docker.DockerClient) -> Iterator[str]:
    """An address of this machine that isn't loopback: a bridge's, which no other machine can reach."""
    bridge = api.networks.create(f"prodready-test-{secrets.token_hex(4)}", labels={"prodready-test": "1"})
    try:
        bridge.reload()
        address = str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])
        if not is_ours(address):
            pytest.skip("the engine's bridges are not on this machine")
        yield address
    finally:
        bridge.remove()


def test_by_another_address_of_the_host(child: MakeChild, other_address: str) -> None:
    """TESTCONTAINERS_HOST_OVERRIDE names the host: ports are published there, certificates name it."""
    found = reached(child({"TESTCONTAINERS_HOST_OVERRIDE": other_address}))
    assert f"published at {other_address}" in found


def test_by_the_containers_own_addresses(child: MakeChild, other_address: str) -> None:
    """TESTCONTAINERS_CONNECTION_MODE=bridge_ip: nothing is published."""
    assert "own addresses" in reached(child({"TESTCONTAINERS_CONNECTION_MODE": "bridge_ip"}))


def test_from_a_container_beside_them(
    child: MakeChild, named: Images, api: docker.DockerClient, other_address: str
) -> None:
    """In a container that has the engine's socket, the gate joins the network of its run."""
    python = Path(sys.executable)
    shared = dict.fromkeys(
        [ROOT, Path(sys.prefix), Path(sys.base_prefix).resolve(), python.resolve().parents[1]]
    )
    volumes = [f"--volume={path}:{path}:ro" for path in shared if path != Path("/usr")]
    variables = [f"--env={name}" for name in os.environ if name.startswith("PRODREADY_")]
    inside = child(
        {},
        *("docker", "run", "--rm", "--interactive", "--volume=/var/run/docker.sock:/var/run/docker.sock"),
        *(*volumes, *variables, "--env=TESTCONTAINERS_RYUK_DISABLED=true", f"--env=PYTHONPATH={ROOT}"),
        *(f"--workdir={ROOT}", named.python, str(python), str(CHILD)),
    )
    told = inside.hear("run")
    assert told["verified"]
    assert "beside them" in told["versions"]["engine"]
    assert inside.finish() == 0
    assert eventually(lambda: left_of(api, told["run"]) == [])


@pytest.fixture
def podman(named: Images) -> Iterator[str]:
    """The address of Podman's service with our images, started for this test."""
    if not (shutil.which("podman") and shutil.which("runc")) or os.geteuid() != 0:
        pytest.skip("Podman with runc is not installed, or this is not root")
    with tempfile.TemporaryDirectory() as folder:
        for image in (named.postgres, named.redis, named.toxiproxy):
            _into_podman(image)
        socket = f"unix://{folder}/podman.sock"
        limits = Path(folder, "containers.conf")
        limits.write_text(PODMAN_CONF)
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", socket],
            env={**os.environ, "CONTAINERS_CONF": str(limits)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert eventually(Path(folder, "podman.sock").exists)
            yield socket
        finally:
            service.terminate()
            service.wait()


def _into_podman(image: str) -> None:
    if subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0:
        return
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
        subprocess.run(
            ["podman", "load", "--quiet"], stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL
        )


def test_on_podman(child: MakeChild, podman: str) -> None:
    """Podman's socket serves as well."""
    assert reached(child({"DOCKER_HOST": podman})).startswith("Podman")
