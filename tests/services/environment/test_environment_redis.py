"""Our own Redis, plain and behind TLS."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment.binaries import find_redis
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.redis import RedisServer
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError

from .conftest import PASSWORD


def client(url: str) -> redis.Redis:
    """A client that tries once."""
    return redis.Redis.from_url(url, socket_timeout=2, retry=Retry(NoBackoff(), 0))


@pytest.fixture(params=["plain", "tls"])
def cache(request: pytest.FixtureRequest, run: Run) -> Cache:
    """A running Redis without a proxy."""
    authority = Authority(run.folder)
    server = RedisServer(run, find_redis(), PASSWORD, authority if request.param == "tls" else None)
    server.create()
    return Cache(
        endpoint=server.endpoint,
        origin="gate",
        version=server.binary.version,
        password=PASSWORD,
        tls=server.tls,
        ca_file=authority.ca_file,
        server=server,
    )


def test_life(cache: Cache) -> None:
    """It can be stopped, killed, frozen and started again at the same address."""
    server = cache.server
    assert server is not None
    with client(cache.url()) as service:
        assert service.set("key", "value")
        for end in (server.stop, server.kill):
            end()
            assert is_free(server.endpoint.port)
            with pytest.raises(redis.ConnectionError):
                service.ping()
            server.start()
            assert service.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            service.ping()
        with pytest.raises(ServerError, match="paused"):
            cache.client()
        server.resume()
        assert service.ping()
    with cache.client() as admin:
        assert admin.ping()


def test_it_refuses_strangers(cache: Cache) -> None:
    """A client needs the password, and TLS where that was wanted."""
    with (
        pytest.raises(redis.AuthenticationError),
        client(cache.url().replace(f":{PASSWORD}@", "")) as stranger,
    ):
        stranger.ping()
    if cache.tls:
        plain = cache.url().replace("rediss:", "redis:").partition("?")[0]
        with pytest.raises(redis.RedisError), client(plain) as careless:
            careless.ping()
        elsewhere = cache.url().partition("?")[0]
        with (
            pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
            client(elsewhere) as wary,
        ):
            wary.ping()


@pytest.mark.parametrize("end", ["discard", "pause", "nothing"])
def test_nothing_is_left(run: Run, cache: Cache, end: str) -> None:
    """However it ended, closing the run leaves no process, file or port."""
    server = cache.server
    assert server is not None
    if end != "nothing":
        getattr(server, end)()
    run.close()
    assert not run.folder.exists()
    assert is_free(server.endpoint.port)
    assert is_free(server.plain_endpoint.port)
    assert of_run(run.folder) == []


def test_no_password_is_told(run: Run, cache: Cache) -> None:
    """Neither repr, logs nor process arguments hold the password."""
    assert isinstance(cache.server, RedisServer)
    arguments = [" ".join(process.cmdline()) for process in cache.server.processes()]
    logs = [file.read_text() for file in run.folder.glob("*.log")]
    assert not [text for text in (repr(cache), repr(cache.server), *arguments, *logs) if PASSWORD in text]
