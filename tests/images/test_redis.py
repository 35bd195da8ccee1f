"""The Redis image behaves as the official one, as far as the gate relies upon it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment.certificates import Authority
from tests.images.build import Images
from tests.images.containers import Container, Files, started


@contextmanager
def client(container: Container, **settings: Any) -> Iterator[redis.Redis]:
    """A client from outside, closed afterwards."""
    made = redis.Redis(
        host="127.0.0.1",
        port=container.port(6379),
        decode_responses=True,
        socket_timeout=5,
        retry=Retry(NoBackoff(), 0),
        **settings,
    )
    try:
        yield made
    finally:
        made.close()


def answers(container: Container, **settings: Any) -> bool:
    """Whether it answers from outside."""
    with client(container, **settings) as connected:
        return bool(connected.ping())


@contextmanager
def served(images: Images, *command: str, files: Files | None = None, **settings: Any) -> Iterator[Container]:
    """A server that answers from outside."""
    with started(images.redis, *command, files=files, publish=6379) as container:
        container.comes_to(lambda: answers(container, **settings), "a first answer")
        yield container


def test_lets_others_in_without_a_password(images: Images) -> None:
    """Protected mode is off, as in the official image: a client from another host is served."""
    with served(images) as container:
        assert container.exec("stat", "--format=%u", "/proc/1").said == "999"
        assert container.exec("redis-cli", "ping").said == "PONG"


@pytest.mark.parametrize("first", [(), ("redis-server",)], ids=["bare", "redis-server"])
def test_arguments_are_the_servers(images: Images, first: tuple[str, ...]) -> None:
    """Options may follow the server's name, or stand alone."""
    with served(
        images, *first, "--requirepass", "s3cret", "--maxclients", "77", password="s3cret"
    ) as container:
        with client(container, password="s3cret") as connected:
            assert connected.config_get("maxclients") == {"maxclients": "77"}
        with pytest.raises(redis.AuthenticationError):
            answers(container)


@pytest.mark.parametrize("first", [(), ("redis-server",)], ids=["bare", "redis-server"])
def test_configuration_file(images: Images, first: tuple[str, ...]) -> None:
    """A .conf file is read, and options after it win."""
    files = {"/usr/local/etc/redis/redis.conf": b"maxclients 66\nrequirepass s3cret\n"}
    command = (*first, *files, "--maxclients", "77")
    with (
        served(images, *command, files=files, password="s3cret") as container,
        client(container, password="s3cret") as connected,
    ):
        assert connected.config_get("maxclients") == {"maxclients": "77"}


@pytest.mark.parametrize("where", ["file", "option"])
def test_protected_mode_can_be_asked_for(images: Images, where: str) -> None:
    """What the image sets by default gives way to what is configured."""
    files = {"/redis.conf": b"protected-mode yes\n" if where == "file" else b"\n"}
    options = () if where == "file" else ("--protected-mode", "yes")
    with started(images.redis, *files, *options, files=files, publish=6379) as container:
        container.comes_to(lambda: container.exec("redis-cli", "ping").said == "PONG", "an answer inside")
        with pytest.raises(redis.RedisError, match="protected mode"):
            answers(container)


@pytest.mark.parametrize("signal", [None, "SIGINT", "SIGTERM"], ids=["stop", "SIGINT", "SIGTERM"])
def test_stops_cleanly_and_keeps_its_data(images: Images, signal: str | None) -> None:
    """Each way to stop saves; started again, the data is there."""
    with served(images) as container:
        with client(container) as connected:
            connected.set("kept", "42")
        assert container.stop(signal) == 0
        container.start()
        container.comes_to(lambda: answers(container), "an answer after the restart")
        with client(container) as connected:
            assert connected.get("kept") == "42"


def test_tls(images: Images, tmp_path: Path) -> None:
    """The build can do TLS, with a certificate that the client verifies."""
    authority = Authority(tmp_path)
    certificate = authority.issue(tmp_path, "localhost", "127.0.0.1")
    files = {
        "/tls/server.pem": certificate.cert_file.read_bytes(),
        "/tls/key.pem": certificate.key_file.read_bytes(),
    }
    options = ["--tls-port", "6379", "--port", "0", "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", "/tls/server.pem", "--tls-key-file", "/tls/key.pem"]
    settings: dict[str, Any] = {
        "ssl": True,
        "ssl_ca_certs": str(authority.ca_file),
        "ssl_check_hostname": True,
    }
    with served(images, *options, files=files, **settings) as container:
        assert container.exec("redis-cli", "--tls", "--insecure", "ping").said == "PONG"
