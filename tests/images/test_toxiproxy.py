"""The Toxiproxy image is the released version, and its proxies work."""

from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.images.build import Images
from tests.images.containers import Container, network, started
from tests.images.golang import TOXIPROXY, toxiproxy_server


def version(container: Container) -> str:
    """What it says that it is."""
    answer: dict[str, str] = httpx.get(f"http://127.0.0.1:{container.port(8474)}/version").json()
    return answer["version"]


def test_says_its_version_and_stops(images: Images) -> None:
    """The API answers on its port; SIGTERM ends it with success."""
    with started(images.toxiproxy, publish=8474) as container:
        container.comes_to(lambda: version(container) == TOXIPROXY, "an answer")
        assert container.exec("/toxiproxy-cli", "list").code == 0
        assert container.stop() == 0


def test_proxies_to_a_server_of_its_network(images: Images) -> None:
    """A proxy made by the API carries bytes to another container."""
    with (
        network() as name,
        started(images.redis, options=("--network", name, "--network-alias", "cache")) as cache,
        started(
            images.toxiproxy, publish=8474, options=("--network", name, "--network-alias", "proxy")
        ) as proxy,
    ):
        proxy.comes_to(lambda: version(proxy), "an answer of the proxy")
        wanted = {"name": "cache", "listen": "0.0.0.0:6380", "upstream": "cache:6379"}
        httpx.post(f"http://127.0.0.1:{proxy.port(8474)}/proxies", json=wanted).raise_for_status()
        ping = ("redis-cli", "-h", "proxy", "-p", "6380", "ping")
        cache.comes_to(lambda: cache.exec(*ping).said == "PONG", "an answer through the proxy")


def test_server_for_this_machine() -> None:
    """The binary that the image has can also be run without a container."""
    server = toxiproxy_server()
    if server is None:
        pytest.skip("no Go to build Toxiproxy with; install Go 1.23 or newer")
    assert server.name == "toxiproxy-server"
    said = subprocess.run([server, "-version"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"toxiproxy-server version {TOXIPROXY}"
