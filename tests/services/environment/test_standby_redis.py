"""A replica of our own Redis as a local process, plain and behind TLS, and failovers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment import failures
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.environment.standby import PromotionFailed

from .conftest import settings_of


@pytest.fixture(scope="module", params=["plain", "tls"])
def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """An environment with a Redis."""
    settings = settings_of(service={"env": {"SHOWN": "{redis.url}"}}, redis={"tls": request.param == "tls"})
    started = Environment.start(settings, folder=tmp_path_factory.mktemp("target"))
    yield started
    started.stop()


def cache_of(environment: Environment) -> Cache:
    """The service's Redis."""
    assert environment.cache is not None
    return environment.cache


def client(environment: Environment) -> Any:
    """A client as the service makes it, which tries once; closed at the end."""
    made = redis.Redis.from_url(
        cache_of(environment).url(), socket_timeout=5, retry=Retry(NoBackoff(), 0), decode_responses=True
    )
    return closing(made)


def role(environment: Environment) -> str:
    """What new connections reach."""
    with client(environment) as own:
        return str(own.info("replication")["role"])


def is_as_before(environment: Environment) -> bool:
    """Whether Redis is alone again and can be written."""
    with client(environment) as own:
        own.set("written", 1)
        about = own.info("replication")
    proxied, server = cache_of(environment).proxied, cache_of(environment).server
    assert proxied is not None
    assert server is not None
    return (
        about["role"] == "master"
        and about["connected_slaves"] == 0
        and proxied.upstream == str(server.upstream)
        and not (environment.run.folder / "redis-replica").exists()
    )


def test_it_follows_and_leaves_nothing(standing: Environment) -> None:
    """Twice in a row: what is written arrives, and afterwards the primary is alone again."""
    for number in range(2):
        with standing.replica() as replica, client(standing) as own:
            own.set("key", number)
            assert replica.caught_up()
            with replica.cache.client() as direct:
                assert direct.get("key") == str(number)
            assert replica.cache.tls == cache_of(standing).tls
        assert is_as_before(standing)
        assert is_free(replica.endpoint.port)


@pytest.mark.parametrize("keep_live", [True, False])
def test_demoted(standing: Environment, keep_live: bool) -> None:
    """The old primary answers READONLY to those who stay, new ones can write, and nothing is lost."""
    marks: list[str] = []
    with standing.replica() as replica, client(standing) as live:
        live.set("before", 1)
        with failures.redis_demoted(replica, marks.append, keep_live=keep_live) as seen:
            assert seen.promoted_at <= seen.switched_at
            if keep_live:
                with pytest.raises(redis.exceptions.ReadOnlyError):
                    live.set("key", 1)
                assert live.get("before") == "1"
            else:  # its connection is closed, and it makes another
                live.set("key", 1)
            assert role(standing) == "master"
            with client(standing) as new:
                new.set("meanwhile", 1)
        assert marks == ["demoted", "switched"]
        with client(standing) as back:
            assert back.mget("before", "meanwhile") == ["1", "1"]
    assert is_as_before(standing)


def test_failed_over(standing: Environment) -> None:
    """The replica has all that was there, and the old primary, back again, all that came meanwhile."""
    marks: list[str] = []
    with standing.replica() as replica, client(standing) as live:
        live.set("before", 2)
        assert replica.caught_up()
        with failures.redis_failed_over(replica, marks.append), client(standing) as new:
            assert new.get("before") == "2"
            new.set("meanwhile", 2)
        assert marks == ["killed", "promoted", "switched"]
        with client(standing) as back:
            assert back.mget("before", "meanwhile") == ["2", "2"]
    assert is_as_before(standing)


@pytest.mark.parametrize("failure", [failures.redis_demoted, failures.redis_failed_over])
def test_an_error(
    standing: Environment, failure: Callable[[RedisReplica], AbstractContextManager[object]]
) -> None:
    """The error is the one that is raised, and everything is put back."""
    with pytest.raises(ZeroDivisionError), standing.replica() as replica, failure(replica):
        _ = 1 / 0
    assert is_as_before(standing)


@pytest.mark.parametrize("failure", [failures.redis_demoted, failures.redis_failed_over])
def test_a_promotion_that_fails(
    standing: Environment, failure: Callable[[RedisReplica], AbstractContextManager[object]]
) -> None:
    """With a dead replica it is an error of its own, and the primary is the primary again."""
    with standing.replica() as replica:
        replica.server.kill()
        with pytest.raises(PromotionFailed), failure(replica):
            pytest.fail("the block begins")
    assert is_as_before(standing)


@pytest.mark.parametrize("end", ["kill", "pause", "stop"])
def test_a_replica_that_ended(standing: Environment, end: str) -> None:
    """Dead, frozen or shut down when the block ends: nothing is left."""
    with standing.replica() as replica:
        getattr(replica.server, end)()
    assert is_as_before(standing)
