"""Failures of the servers themselves, each a context manager that puts everything back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from psycopg import sql

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_following import SIGNAL
from pytest_prodready.environment.reachable import check_postgres, check_redis
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.environment.roles import PostgresRole, RedisRole, Server
from pytest_prodready.environment.standby import Standby, promote, reload
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError

Mark = Callable[[str], None]
Failure = Callable[[Server], AbstractContextManager[None]]
OLD_PRIMARY = "prodready_old_primary"
TRANSACTIONS_END_WITHIN_S = 5.0
FOLLOWS_WITHIN_S = 10.0
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
def killed(server: Server) -> Iterator[None]:
    """End all of its processes at once; it runs again on the same data afterwards."""
    server.kill()
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
        _end_writers(admin, database.user)
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
    server = _postgres(standby.primary)
    with ExitStack() as undone:
        switch = _put_back(undone, standby, _started_again)
        server.kill()
        failed_at = _marked(mark, "killed")
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(standby.switched())
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)
    _answers(standby.primary)


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
    _answers(standby.primary)


@contextmanager
def redis_failed_over(replica: RedisReplica, mark: Mark = unheard) -> Iterator[Failover]:
    """Kill Redis, promote its replica, and switch the service to it; afterwards all data is back."""
    server = _redis(replica.primary)
    with ExitStack() as undone:
        switch = _put_back_redis(undone, replica)
        undone.callback(server.start)
        server.kill()
        failed_at = _marked(mark, "killed")
        promotion_s = replica.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(replica.switched())
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)
    _answers(replica.primary)


@contextmanager
def redis_demoted(
    replica: RedisReplica, mark: Mark = unheard, *, keep_live: bool = True
) -> Iterator[Failover]:
    """Let Redis and its replica swap places: the old one answers READONLY; new connections reach the new one.

    Live connections keep the old one, or are closed. Afterwards all data is back.
    """
    reroute = replica.switched(keep_live=keep_live)
    with ExitStack() as undone:
        switch = _put_back_redis(undone, replica)
        promotion_s = replica.take_over()
        promoted_at = _marked(mark, "demoted")
        switch.enter_context(reroute)
        yield Failover(promoted_at, promoted_at, _marked(mark, "switched"), promotion_s)
    _answers(replica.primary)


@contextmanager
def _demoted_by_restart(standby: Standby, mark: Mark, stale_s: float) -> Iterator[Failover]:
    reroute = standby.switched(keep_live=True)  # or an error, before anything is broken
    server = _postgres(standby.primary)
    with ExitStack() as undone:
        switch = _put_back(undone, standby, _primary_with_everything)
        _require_caught_up(standby)
        _follow(standby.primary, standby.server)
        server.stop()
        failed_at = _marked(mark, "stopped")
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        server.start()
        _require_following(standby.primary)
        mark("demoted")
        threading.Event().wait(stale_s)
        switch.enter_context(reroute)
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)


@contextmanager
def _demoted_in_place(standby: Standby, mark: Mark, stale_s: float) -> Iterator[Failover]:
    reroute = standby.switched(keep_live=True)
    with ExitStack() as undone:
        switch = _put_back(undone, standby, Standby.release_commits)
        undone.enter_context(read_only(standby.primary))
        failed_at = _marked(mark, "demoted")
        _require_caught_up(standby)
        standby.release_commits()
        promotion_s = standby.promote()
        promoted_at = _marked(mark, "promoted")
        switch.enter_context(reroute)
        yield Failover(failed_at, promoted_at, _marked(mark, "switched"), promotion_s)


def _put_back(undone: ExitStack, standby: Standby, repair: Callable[[Standby], None]) -> ExitStack:
    """At the end repair the old primary, undo what is put on the stack returned, and dismiss the standby."""
    undone.callback(standby.dismiss)
    switch = undone.enter_context(ExitStack())
    undone.callback(repair, standby)
    return switch


def _put_back_redis(undone: ExitStack, replica: RedisReplica) -> ExitStack:
    undone.callback(replica.dismiss)
    switch = undone.enter_context(ExitStack())
    undone.callback(replica.give_back)
    return switch


def _started_again(standby: Standby) -> None:
    """The old primary on its own data; nobody has to confirm its commits."""
    _postgres(standby.primary).start()
    standby.release_commits()


def _primary_with_everything(standby: Standby) -> None:
    """The old primary with what the new one was told, which hands all of it over when it is shut down."""
    if standby.promoted and standby.server.alive:
        standby.server.stop()
    _postgres(standby.primary).start()
    promote(standby.primary)
    with standby.primary.admin() as admin:
        for name in ("primary_conninfo", "wal_retrieve_retry_interval"):
            admin.execute(f"ALTER SYSTEM RESET {name}".encode())
    standby.release_commits()


def _follow(old: Database, new: PostgresRole) -> None:
    """Let a server start the next time as a standby of this one."""
    conninfo = new.followed_by(OLD_PRIMARY)
    with old.admin() as admin:
        for name, value in (("primary_conninfo", conninfo), ("wal_retrieve_retry_interval", "100ms")):
            admin.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
        signal = sql.Literal(f"{_shown(admin, 'data_directory')}/{SIGNAL}")
        admin.execute(sql.SQL("COPY (SELECT 1) TO {}").format(signal))


def _require_following(old: Database) -> None:
    question = b"SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
    with old.admin() as admin:
        if comes_true(lambda: admin.execute(question).fetchone() == (True,), FOLLOWS_WITHIN_S):
            return
    raise ServerError(
        f"The old primary did not follow the new one within {FOLLOWS_WITHIN_S:g} s.",
        value=old.endpoint,
        tried=[f"its last lines:\n{old.log_tail()}"],
    )


def _require_caught_up(standby: Standby) -> None:
    if not standby.caught_up():
        raise ServerError(
            "The standby did not catch up with the primary, so it can't take over without a loss.",
            value=standby.lag,
            tried=[f"its last lines:\n{standby.log_tail()}"],
        )


def _end_writers(admin: Connection, user: str) -> None:
    """Wait until those transactions have ended that may still write, and end them if they don't."""
    (now,) = admin.execute("SELECT clock_timestamp()").fetchone() or (None,)
    old = "FROM pg_stat_activity WHERE usename = %s AND xact_start < %s"
    count = f"SELECT count(*) {old}".encode()
    if not comes_true(
        lambda: admin.execute(count, (user, now)).fetchone() == (0,), TRANSACTIONS_END_WITHIN_S
    ):
        admin.execute(f"SELECT pg_terminate_backend(pid) {old}".encode(), (user, now))


def _shown(admin: Connection, setting: str) -> str:
    row = admin.execute("SELECT current_setting(%s)", (setting,)).fetchone()
    return str(row[0]) if row else ""


def _postgres(database: Database) -> PostgresRole:
    assert database.server is not None
    return database.server


def _redis(cache: Cache) -> RedisRole:
    assert cache.server is not None
    return cache.server


def _answers(handle: Database | Cache) -> None:
    """Wait until the server answers through its proxy as before."""
    assert handle.proxied is not None
    if isinstance(handle, Database):
        check_postgres(_postgres(handle), handle.proxied)
    else:
        check_redis(_redis(handle), handle.proxied)


def _marked(mark: Mark, name: str) -> float:
    mark(name)
    return time.monotonic()
