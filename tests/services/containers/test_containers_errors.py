"""What keeps containers from starting is said in one clear message."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pytest_prodready.environment.containers.failures import PortTaken, told
from pytest_prodready.environment.containers.images import chosen
from pytest_prodready.environment.ports import Ports
from pytest_prodready.environment.select import choose
from pytest_prodready.errors import ConfigError, ServerError
from tests.images.build import Images

from .conftest import ROOT, Start, settings_of

ASK = """
import os
from pytest_prodready.environment.select import choose
from tests.services.containers.conftest import settings_of
choose("auto", settings_of())  # while all of Python's files can still be read
os.setgroups([]), os.setgid(65534), os.setuid(65534)
print(choose("auto", settings_of()))
"""


def test_an_engine_that_answers_is_chosen(images: Images) -> None:
    """Auto takes containers where an engine answers, and says which."""
    choice = choose("auto", settings_of())
    assert choice.backend == "containers"
    assert "answers" in choice.reason


def test_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: the address, where it comes from, and what else there is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    with pytest.raises(ConfigError) as caught:
        choose("containers", settings_of())
    for part in ("connection refused", f"127.0.0.1:{port}", "DOCKER_HOST", "--prodready-backend=processes"):
        assert part in caught.value.message
    assert os.environ["DOCKER_HOST"] == f"tcp://127.0.0.1:{port}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_permission(images: Images) -> None:
    """A user who may not use the socket gets processes by auto, with the reason."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "processes" in done.stdout
    assert "permission denied" in done.stdout


def test_no_testcontainers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra: what to install."""
    monkeypatch.setitem(sys.modules, "pytest_prodready.environment.containers.engine", None)
    with pytest.raises(ConfigError, match=r"pip install 'pytest-prodready\[containers\]'"):
        choose("containers", settings_of())
    assert choose("auto", settings_of()).backend == "processes"


def test_no_image(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that can't be had: its name, what named it, and what else there is."""
    monkeypatch.setenv("PRODREADY_REDIS_IMAGE", "127.0.0.1:1/nobody/redis:0")
    with pytest.raises(ServerError) as caught:
        start()
    for part in ("127.0.0.1:1/nobody/redis:0", "PRODREADY_REDIS_IMAGE", "can't be pulled"):
        assert part in caught.value.message


def test_a_taken_port_is_replaced(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody else took meanwhile costs another attempt, not the run."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1]]
        reserve = Ports.reserve
        monkeypatch.setattr(Ports, "reserve", lambda self: ports.pop() if ports else reserve(self))
        environment = start(settings_of(redis=None))
        assert environment.database is not None
        assert ports == []
        with environment.database.admin() as admin:
            assert admin.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("write /var/lib/docker/tmp: no space left on device", "disk is full"),
        ("all predefined address pools have been fully subnetted", "no address range left"),
        ("OCI permission denied", "does not permit"),
        ("something else", "something else"),
    ],
)
def test_what_the_engine_refuses(said: str, part: str) -> None:
    """The usual refusals of an engine come with a reason and a remedy."""
    error = told("Making a network", said, "[postgres] image")
    assert part in error.message
    assert "do:" in error.message
    assert "[postgres] image" in error.message


def test_a_taken_port_is_known() -> None:
    """The engine's words for a taken port lead to another attempt."""
    assert isinstance(told("x", "Bind for 127.0.0.1:1 failed: port is already allocated", None), PortTaken)


def test_where_images_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variable before file before default, and each says what named it."""
    settings = settings_of(postgres={"image": "postgis/postgis:17-3.5"}, redis={"image": "valkey/valkey:8"})
    found = chosen(settings, {"PRODREADY_REDIS_IMAGE": "mirror.example/redis:7"})
    assert (found["postgres"].name, found["postgres"].source) == (
        "postgis/postgis:17-3.5",
        "[postgres] image",
    )
    assert (found["redis"].name, found["redis"].source) == (
        "mirror.example/redis:7",
        "environment variable PRODREADY_REDIS_IMAGE",
    )
    assert found["toxiproxy"].name == "ghcr.io/shopify/toxiproxy:2.12.0"
    assert "[faultproxy] image" in found["toxiproxy"].source
