"""Failures of the servers themselves, each a context manager that puts everything back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.failover_steps import (
    end_writers,
    follow,
    postgres_of,
    primary_with_everything,
    put_back,
    put_back_redis,
    redis_of,
    require_caught_up,
    require_following,
    started_again,
    wait_until_answered,
)
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.environment.roles import Server
from pytest_prodready.environment.standby import Standby, reload
from pytest_prodready.faults import Proxied
from pytest_prodready.stopwatch import WAITING, spent

Mark = Callable[[str], None]
Failure = Callable[[Server], AbstractContextManager[None]]
STALE_S = 1.0


@dataclass(frozen=True, slots=True)
class Failover:
    """When the parts of a failover were done; moments of time.monotonic()."""

    failed_at: float  # the old primary was dead, or writable no more
    promoted_at: float
    switched_at: float  # new connections reach the new primary
    promotion_s: float


def unheard(_: str) -> None:
    """Tell nobody that something has happened."""


@contextmanager
def killed(server: Server, proxied: Proxied | None = None) -> Iterator[None]:
    """End all of its processes at once; it runs again on the same data afterwards."""
    _kill(server, proxied)
    try:
        yield
    finally:
        server.start()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Shut it down in order; it runs again afterwards."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """Freeze it: connections stay open, nothing answers, the system still accepts new ones."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    """Let every transaction that begins be read-only (SQLSTATE 25006) unless it says otherwise.

    Those that could still write when it begins have ended when the block starts.
    """
    with database.admin() as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        reload(admin)
        end_writers(admin, database.user)
    try:
        yield
    finally:
        with database.admin() as admin:
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            reload(admin)


@contextmanager
def failed_over(standby: Standby, mark: Mark = unheard) -> Iterator[Failover]:
    """Kill the primary, promote the standby, and switch the service to it.

    Afterwards the old primary is back with the data that it had: what was written meanwhile is gone, and so
    is the standby.
    """
    server = postgres_of(standby.primary)
    with ExitStack() as undone:
        switch = put_back(undone, standby, started_again)
        _kill(server, standby.primary.proxied)
        failed_at = _marked(mark, "killed")
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(standby.switched())
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)
    wait_until_answered(standby.primary)


@contextmanager
def stale_primary(
    standby: Standby, mark: Mark = unheard, *, restarted: bool = True, stale_s: float = STALE_S
) -> Iterator[Failover]:
    """Let live connections reach the old primary, which is read-only, and new ones the promoted standby.

    Restarted, the old primary is a true standby of the new one; the service has some time to connect to it
    before new connections go elsewhere, as while a name still has its old address. Afterwards all that was
    written is there. Not restarted, no connection is ever cut, and sessions could insist on writing; what was
    written to the new primary is gone afterwards.
    """
    steps = _demoted_by_restart if restarted else _demoted_in_place
    with steps(standby, mark, stale_s) as failover:
        yield failover
    wait_until_answered(standby.primary)


@contextmanager
def redis_failed_over(replica: RedisReplica, mark: Mark = unheard) -> Iterator[Failover]:
    """Kill Redis, promote its replica, and switch the service to it; afterwards all data is back."""
    server = redis_of(replica.primary)
    with ExitStack() as undone:
        switch = put_back_redis(undone, replica)
        undone.callback(server.start)
        _kill(server, replica.primary.proxied)
        failed_at = _marked(mark, "killed")
        promotion_s = replica.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(replica.switched())
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)
    wait_until_answered(replica.primary)


@contextmanager
def redis_demoted(
    replica: RedisReplica, mark: Mark = unheard, *, keep_live: bool = True
) -> Iterator[Failover]:
    """Let Redis and its replica swap places: the old one answers READONLY; new connections reach the new one.

    Live connections keep the old one, or are closed. Afterwards all data is back.
    """
    reroute = replica.switched(keep_live=keep_live)
    with ExitStack() as undone:
        switch = put_back_redis(undone, replica)
        promotion_s = replica.take_over()
        promoted_at = _marked(mark, "demoted")
        switch.enter_context(reroute)
        yield Failover(promoted_at, promoted_at, _marked(mark, "switched"), promotion_s)
    wait_until_answered(replica.primary)


@contextmanager
def _demoted_by_restart(standby: Standby, mark: Mark, stale_s: float) -> Iterator[Failover]:
    reroute = standby.switched(keep_live=True)  # or an error, before anything is broken
    server = postgres_of(standby.primary)
    with ExitStack() as undone:
        switch = put_back(undone, standby, primary_with_everything)
        require_caught_up(standby)
        follow(standby.primary, standby.server)
        server.stop()
        failed_at = _marked(mark, "stopped")
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        server.start()
        require_following(standby.primary)
        mark("demoted")
        with spent(WAITING):
            threading.Event().wait(stale_s)
        switch.enter_context(reroute)
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)


@contextmanager
def _demoted_in_place(standby: Standby, mark: Mark, stale_s: float) -> Iterator[Failover]:
    reroute = standby.switched(keep_live=True)
    with ExitStack() as undone:
        switch = put_back(undone, standby, Standby.release_commits)
        undone.enter_context(read_only(standby.primary))
        failed_at = _marked(mark, "demoted")
        require_caught_up(standby)
        standby.release_commits()
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(reroute)
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)


def _kill(server: Server, proxied: Proxied | None) -> None:
    """Kill a server while its proxy, if any, refuses clients, and let those that come later find it dead.

    A container's address goes before its name does. A connection that Toxiproxy begins in between hangs for
    half a minute, and holds up all other clients and every change of the proxy.
    """
    with proxied.down() if proxied is not None else nullcontext():
        server.kill()


def _marked(mark: Mark, name: str) -> float:
    mark(name)
    return time.monotonic()
