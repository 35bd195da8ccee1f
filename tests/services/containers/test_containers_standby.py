"""A standby and a replica as containers, and failovers to them: the same as with local processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pytest_prodready.environment import failures
from pytest_prodready.environment.containers.leftovers import LABEL
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.environment.runs import sweep
from pytest_prodready.environment.standby import Mode, PromotionFailed
from pytest_prodready.errors import ServerError
from tests.services.environment.standing import ask, is_as_before, seen_by, session, tell

from .conftest import Child, Start, left_of, settings_of

COUNT = "SELECT count(*) FROM kept"
INSERT = "INSERT INTO kept VALUES (1)"
READ_ONLY = "25006"
HBA = "hostssl production app 10.0.0.0/8 scram-sha-256\n"


def refused(connection: psycopg.Connection[Any]) -> str | None:
    """The SQLSTATE with which a write is refused, or that there is no connection; None where it isn't."""
    try:
        connection.execute(INSERT)
    except psycopg.Error as error:
        return error.sqlstate or "no connection"
    return None


def names_of(api: docker.DockerClient, environment: Environment) -> dict[str, str]:
    """The run's containers by name, with their ids."""
    wanted = {"label": f"{LABEL}={environment.run.id}"}
    return {
        str(one.name): str(one.id)
        for one in api.containers.list(all=True, filters=wanted, ignore_removed=True)
    }


def test_a_standby(start: Start, api: docker.DockerClient, tmp_path: Path) -> None:
    """In both modes, with production's hba: it streams, can be paused and promoted, and leaves nothing."""
    (tmp_path / "pg_hba.conf").write_text(HBA)
    environment = start(settings_of(postgres={"hba": "pg_hba.conf"}, redis=None))
    tell(environment, "CREATE TABLE kept AS SELECT 1 AS id")
    before = names_of(api, environment)
    modes: tuple[Mode, ...] = ("asynchronous", "synchronous")
    for mode in modes:
        _streams(environment, mode)
        assert is_as_before(environment)
        assert names_of(api, environment) == before
    assert "started streaming WAL" in environment.logs()["standby"]
    _is_promoted(environment)
    _fails_to_be_promoted(environment)
    assert is_as_before(environment)


def _streams(environment: Environment, mode: Mode) -> None:
    rows = int(ask(environment, COUNT))
    with environment.standby(mode) as standby:
        sync = seen_by(standby.primary, "SELECT sync_state FROM pg_stat_replication")
        assert sync == mode.removesuffix("hronous")
        with standby.replay_paused():
            tell(environment, INSERT)
            assert not standby.caught_up(within_s=0.2)
            assert seen_by(standby.database, COUNT) == rows
        assert standby.caught_up()
        assert seen_by(standby.database, COUNT) == rows + 1
        with closing(psycopg.connect(standby.primary.url(standby.endpoint), autocommit=True)) as reader:
            assert refused(reader) == READ_ONLY


def _is_promoted(environment: Environment) -> None:
    with environment.standby() as standby:
        assert 0 < standby.promote() < 10
        standby.server.kill()
        standby.server.start()
        with standby.database.admin() as admin:
            admin.execute(INSERT)


def _fails_to_be_promoted(environment: Environment) -> None:
    with environment.standby() as standby:
        standby.server.kill()
        with pytest.raises(PromotionFailed, match="could not be promoted"):
            standby.promote(within_s=1)


def test_failovers(start: Start, api: docker.DockerClient) -> None:
    """Clients follow by the proxy; live ones can be left at a primary that has become read-only."""
    environment = start(settings_of(redis=None))
    tell(environment, "CREATE TABLE kept AS SELECT 1 AS id")
    before = names_of(api, environment)
    _fails_over(environment)
    for restarted in (True, False):
        _leaves_live_ones_behind(environment, restarted=restarted)
        assert is_as_before(environment)
        assert names_of(api, environment) == before


def _fails_over(environment: Environment) -> None:
    rows = int(ask(environment, COUNT))
    with environment.standby("synchronous") as standby:
        with closing(session(environment)) as live, failures.failed_over(standby) as seen:
            assert seen.failed_at < seen.promoted_at < seen.switched_at < time.monotonic()
            # Whether the kill tells its clients, or just ends, is the moment's.
            assert refused(live) in ("no connection", "57P01", "57P02")
            tell(environment, INSERT)
            assert seen_by(standby.database, COUNT) == rows + 1
        assert ask(environment, COUNT) == rows
    assert is_as_before(environment)


def _leaves_live_ones_behind(environment: Environment, *, restarted: bool) -> None:
    rows, live = int(ask(environment, COUNT)), [session(environment)]

    def mark(name: str) -> None:
        if name == "demoted" and restarted:
            live.append(session(environment))

    with environment.standby("synchronous") as standby:
        with failures.stale_primary(standby, mark, restarted=restarted, stale_s=0.1):
            assert refused(live[-1]) == READ_ONLY
            tell(environment, INSERT)
            assert live[-1].execute("SELECT 1").fetchone() == (1,)
        assert ask(environment, COUNT) == rows + restarted
    for each in live:
        each.close()


def test_a_replica(start: Start, api: docker.DockerClient) -> None:
    """It follows by TLS ports or without, and can take over, with live clients left behind or not."""
    for tls in (True, False):
        environment = start(settings_of(postgres=None, redis={"tls": tls}))
        before = names_of(api, environment)
        with environment.replica() as replica:
            _hands_over(environment, replica)
        with environment.replica() as replica:
            with failures.redis_failed_over(replica), client(environment) as own:
                own.set("meanwhile", 2)
            with client(environment) as own:
                assert own.mget("meanwhile", "before") == ["2", "1"]
        assert names_of(api, environment) == before


def _hands_over(environment: Environment, replica: RedisReplica) -> None:
    with client(environment) as live:
        live.set("before", 1)
        with failures.redis_demoted(replica), client(environment) as new:
            with pytest.raises(redis.exceptions.ReadOnlyError):
                live.set("key", 1)
            assert live.get("before") == "1"
            new.set("meanwhile", 1)
        assert live.get("meanwhile") == "1"
        live.set("key", 2)


def client(environment: Environment) -> Any:
    """A client as the service makes it, which tries once; closed at the end."""
    assert environment.cache is not None
    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "decode_responses": True}
    return closing(redis.Redis.from_url(environment.cache.url(), socket_timeout=5, **options))


def test_a_primary_that_allows_no_standby(start: Start, api: docker.DockerClient) -> None:
    """The error has the server's reason, and nothing of the attempt is left."""
    environment = start(
        settings_of(postgres={"settings": {"wal_level": "minimal", "max_wal_senders": 0}}, redis=None)
    )
    before = names_of(api, environment)
    with pytest.raises(ServerError, match="max_wal_senders"), environment.standby():
        pass
    assert names_of(api, environment) == before


def test_a_killed_owner_leaves_nothing(child: Callable[..., Child], api: docker.DockerClient) -> None:
    """SIGKILL while there is a standby and a replica, and names are swapped: a sweep removes all of it."""
    dead = child(None, sys.executable, str(Path(__file__).with_name("child_standby.py")))
    run = dead.hear("run")["run"]
    assert len(left_of(api, run)) == 6  # two and two servers, the proxy, the network
    dead.kill()
    sweep()
    assert left_of(api, run) == []
