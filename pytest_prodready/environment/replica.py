"""A replica of the service's own Redis, there only as long as it is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import redis

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.roles import ProxyRole, RedisRole
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.standby import PromotionFailed
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import Proxied
from pytest_prodready.stopwatch import CLEARING, STARTING, spent

SYNCED_WITHIN_S = 30.0
PROMOTED_WITHIN_S = 10.0
POLL_S = 0.005


class RedisReplica:
    """A server that follows the service's Redis, and can take its place."""

    def __init__(self, primary: Cache, server: RedisRole, proxy: ProxyRole) -> None:
        self.primary, self.server = primary, server
        self.promoted = False
        self._proxy = proxy
        # The same account and data, seen past every proxy on the replica's own server.
        self.cache = replace(primary, endpoint=server.endpoint, server=server, proxied=None, inside=None)

    @property
    def endpoint(self) -> Endpoint:
        """Where clients in this process reach it."""
        return self.server.endpoint

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it."""
        return self.server.upstream

    def caught_up(self, within_s: float = SYNCED_WITHIN_S) -> bool:
        """Whether it has in time all that the primary has been told by now."""
        with self.primary.client() as client:
            written = _about(client)["master_repl_offset"]
        with self.cache.client() as client:
            return comes_true(lambda: _follows(client, written), within_s, POLL_S)

    def promote(self) -> float:
        """Let it follow nobody, as when the primary has died; returns the seconds that it took."""
        began = time.monotonic()
        _promoted(self.cache)
        self.promoted = True
        return time.monotonic() - began

    def take_over(self) -> float:
        """Swap places with a living primary, which follows it then; nothing acknowledged is lost."""
        seconds = _swapped(self.primary, self.cache)
        self.promoted = True
        return seconds

    @spent(CLEARING)
    def give_back(self) -> None:
        """Make the old primary the primary again, with all that this one was told meanwhile."""
        old = self._primarys[1]
        if self.server.alive and not self.server.paused:
            with self.primary.client() as client:
                if _about(client)["role"] == "master":
                    where = self.server.followed_at
                    client.replicaof(where.host, where.port)
                if not comes_true(lambda: _follows(client, 0), SYNCED_WITHIN_S, POLL_S):
                    raise ServerError("The old primary of Redis could not follow the new one.", value=old)
            _swapped(self.cache, self.primary)
        _promoted(self.primary)

    def switched(self, *, keep_live: bool = False) -> AbstractContextManager[None]:
        """Let the service's new connections reach it; live ones are closed, both times, or kept."""
        proxied, server = self._primarys
        if keep_live:
            return self._proxy.rerouted(proxied, server, self.server)
        return proxied.upstream_switched(str(self.upstream))

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self.server.log_tail(lines)

    @spent(CLEARING)
    def dismiss(self) -> None:
        """End it; harmless when done before."""
        self.server.discard()

    @property
    def _primarys(self) -> tuple[Proxied, RedisRole]:
        assert self.primary.proxied is not None
        assert self.primary.server is not None
        return self.primary.proxied, self.primary.server


@contextmanager
def replicating(primary: Cache, server: RedisRole, proxy: ProxyRole) -> Iterator[RedisReplica]:
    """Start this server as a replica; it is in sync when the block begins, and gone when it ends."""
    try:
        with spent(STARTING):
            server.create()
            replica = RedisReplica(primary, server, proxy)
            if not replica.caught_up():
                raise ServerError(
                    f"The replica of Redis was not in sync within {SYNCED_WITHIN_S:g} s.",
                    value=server.endpoint,
                    tried=[f"its last lines:\n{server.log_tail()}"],
                )
        yield replica
    finally:
        server.discard()


def _about(client: redis.Redis) -> dict[str, Any]:
    about: dict[str, Any] = client.info("replication")
    return about


def _follows(client: redis.Redis, written: int) -> bool:
    """Whether it is in sync with whom it follows, and has got so much."""
    about = _about(client)
    in_sync = about.get("master_link_status") == "up" and not about.get("master_sync_in_progress")
    return bool(in_sync and about["slave_repl_offset"] >= written)


def _is_primary(client: redis.Redis) -> bool:
    return bool(_about(client)["role"] == "master")


def _promoted(cache: Cache) -> None:
    try:
        with cache.client() as client:
            client.replicaof("NO", "ONE")
            if comes_true(lambda: _is_primary(client), PROMOTED_WITHIN_S, POLL_S):
                return
        reason = f"it was still a replica after {PROMOTED_WITHIN_S:g} s"
    except (redis.RedisError, ServerError) as failure:
        reason = str(failure)
    raise _failed(cache, reason)


def _swapped(primary: Cache, replica: Cache) -> float:
    """Let a primary hand over to its replica: it holds writes back until the other has all of them."""
    began = time.monotonic()
    try:
        with primary.client() as old, replica.client() as new:
            old.execute_command("FAILOVER", "TIMEOUT", int(PROMOTED_WITHIN_S * 1000))
            done = comes_true(
                lambda: _is_primary(new) and not _is_primary(old), PROMOTED_WITHIN_S + 1, POLL_S
            )
        if done:
            return time.monotonic() - began
        reason = f"the places were not swapped after {PROMOTED_WITHIN_S:g} s"
    except (redis.RedisError, ServerError) as failure:
        reason = str(failure)
    raise _failed(replica, reason)


def _failed(cache: Cache, reason: str) -> PromotionFailed:
    return PromotionFailed(
        "The replica of Redis could not be promoted.",
        value=f"{cache.endpoint}: {reason}",
        tried=[f"its last lines:\n{cache.log_tail()}"],
    )
