"""The parts that failovers are made of, and how each is undone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from psycopg import sql

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_following import SIGNAL
from pytest_prodready.environment.reachable import check_postgres, check_redis
from pytest_prodready.environment.replica import RedisReplica
from pytest_prodready.environment.roles import PostgresRole, RedisRole
from pytest_prodready.environment.standby import Standby, promote
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.stopwatch import CLEARING, spent

OLD_PRIMARY = "prodready_old_primary"
TRANSACTIONS_END_WITHIN_S = 5.0
FOLLOWS_WITHIN_S = 10.0


def put_back(undone: ExitStack, standby: Standby, repair: Callable[[Standby], None]) -> ExitStack:
    """At the end repair the old primary, undo what is put on the stack returned, and dismiss the standby."""
    undone.callback(standby.dismiss)
    switch = undone.enter_context(ExitStack())
    undone.callback(repair, standby)
    return switch


def put_back_redis(undone: ExitStack, replica: RedisReplica) -> ExitStack:
    """The same for Redis: at the end hand everything back to the old primary."""
    undone.callback(replica.dismiss)
    switch = undone.enter_context(ExitStack())
    undone.callback(replica.give_back)
    return switch


@spent(CLEARING)
def started_again(standby: Standby) -> None:
    """The old primary on its own data; nobody has to confirm its commits."""
    postgres_of(standby.primary).start()
    standby.release_commits()


@spent(CLEARING)
def primary_with_everything(standby: Standby) -> None:
    """The old primary with what the new one was told, which hands all of it over when it is shut down."""
    if standby.promoted and standby.server.alive:
        standby.server.stop()
    postgres_of(standby.primary).start()
    promote(standby.primary)
    with standby.primary.admin() as admin:
        for name in ("primary_conninfo", "wal_retrieve_retry_interval"):
            admin.execute(f"ALTER SYSTEM RESET {name}".encode())
    standby.release_commits()


def follow(old: Database, new: PostgresRole) -> None:
    """Let a server start the next time as a standby of this one."""
    conninfo = new.followed_by(OLD_PRIMARY)
    with old.admin() as admin:
        for name, value in (("primary_conninfo", conninfo), ("wal_retrieve_retry_interval", "100ms")):
            admin.execute(
                sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            )
        signal = sql.Literal(f"{_shown(admin, 'data_directory')}/{SIGNAL}")
        admin.execute(sql.SQL("COPY (SELECT 1) TO {}").format(signal))


def require_following(old: Database) -> None:
    """Raise unless the old primary streams from the new one."""
    question = b"SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
    with old.admin() as admin:
        if comes_true(lambda: admin.execute(question).fetchone() == (True,), FOLLOWS_WITHIN_S):
            return
    raise ServerError(
        f"The old primary did not follow the new one within {FOLLOWS_WITHIN_S:g} s.",
        value=old.endpoint,
        tried=[f"its last lines:\n{old.log_tail()}"],
    )


def require_caught_up(standby: Standby) -> None:
    """Raise unless the standby has all that the primary has written."""
    if not standby.caught_up():
        raise ServerError(
            "The standby did not catch up with the primary, so it can't take over without a loss.",
            value=standby.lag,
            tried=[f"its last lines:\n{standby.log_tail()}"],
        )


def end_writers(admin: Connection, user: str) -> None:
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


def postgres_of(database: Database) -> PostgresRole:
    """The server of a database of ours."""
    assert database.server is not None
    return database.server


def redis_of(cache: Cache) -> RedisRole:
    """The server of a Redis of ours."""
    assert cache.server is not None
    return cache.server


@spent(CLEARING)
def wait_until_answered(handle: Database | Cache) -> None:
    """Wait until the server answers through its proxy as before."""
    assert handle.proxied is not None
    if isinstance(handle, Database):
        check_postgres(postgres_of(handle), handle.proxied)
    else:
        check_redis(redis_of(handle), handle.proxied)
