"""A streaming standby of the service's own PostgreSQL, there only as long as it is asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from pytest_prodready.environment.admin import Connection
from pytest_prodready.environment.database import Database
from pytest_prodready.environment.postgres_following import STANDBY
from pytest_prodready.environment.roles import PostgresRole, ProxyRole
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.errors import ServerError
from pytest_prodready.faults import Proxied
from pytest_prodready.stopwatch import CLEARING, STARTING, spent

Mode = Literal["asynchronous", "synchronous"]
STREAMS_WITHIN_S = 30.0
CAUGHT_UP_WITHIN_S = 10.0
PROMOTED_WITHIN_S = 30.0
SETTLED_WITHIN_S = 10.0
POLL_S = 0.005


class PromotionFailed(ServerError):
    """A standby did not become the primary: nobody can tell whether the service would have followed."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What the standby has not replayed yet, and for how long it has been behind."""

    bytes: int
    seconds: float


class Standby:
    """A server that follows the service's primary, and can take its place."""

    def __init__(self, primary: Database, server: PostgresRole, mode: Mode, proxy: ProxyRole) -> None:
        self.primary, self.server, self.mode = primary, server, mode
        self.promoted = False
        self._proxy = proxy
        self._dismissed = False
        self.database = primary.on(server)

    @property
    def endpoint(self) -> Endpoint:
        """Where clients in this process reach it; `primary.url(endpoint)` is the service's URL for it."""
        return self.server.endpoint

    @property
    def upstream(self) -> Endpoint:
        """Where the fault proxy reaches it."""
        return self.server.upstream

    @property
    def lag(self) -> Lag:
        """How far it is behind the primary, which has to run."""
        with self.database.admin() as admin:
            replayed, seconds = _row(
                admin,
                "SELECT pg_last_wal_replay_lsn()::text, CASE WHEN pg_last_wal_replay_lsn() >="
                " pg_last_wal_receive_lsn() THEN 0 ELSE greatest(0, extract(epoch FROM"
                " clock_timestamp() - pg_last_xact_replay_timestamp())) END::float8",
            )
        with self.primary.admin() as admin:
            (behind,) = _row(admin, "SELECT greatest(0, pg_current_wal_lsn() - %s::pg_lsn)::bigint", replayed)
        return Lag(int(behind), float(seconds or 0.0))

    def caught_up(self, within_s: float = CAUGHT_UP_WITHIN_S) -> bool:
        """Whether it replays in time all that the primary has written by now."""
        with self.primary.admin() as admin:
            (written,) = _row(admin, "SELECT pg_current_wal_lsn()::text")
        with self.database.admin() as admin:
            question = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s::pg_lsn, false)"
            return comes_true(lambda: bool(_row(admin, question, written)[0]), within_s, POLL_S)

    @contextmanager
    def replay_paused(self) -> Iterator[None]:
        """Replay nothing meanwhile: what it answers gets stale, though everything is received."""
        with self.database.admin() as admin:
            admin.execute("SELECT pg_wal_replay_pause()")
            # Old servers only tell that it was asked for, not that it has happened.
            state = (
                "SELECT pg_get_wal_replay_pause_state() = 'paused'"
                if admin.info.server_version >= 140_000
                else "SELECT pg_is_wal_replay_paused()"
            )
            if not comes_true(lambda: bool(_row(admin, state)[0]), SETTLED_WITHIN_S, POLL_S):
                raise ServerError("The standby's replay could not be paused.", value=self.endpoint)
        try:
            yield
        finally:
            if self.server.alive and not self.server.paused:
                with self.database.admin() as admin:
                    resume_replay = "SELECT pg_wal_replay_resume() WHERE pg_is_in_recovery()"
                    admin.execute(resume_replay.encode())

    def promote(self, within_s: float = PROMOTED_WITHIN_S) -> float:
        """Make it the primary; returns the seconds until it accepted writes."""
        seconds = promote(self.database, within_s)
        self.promoted = True
        return seconds

    def switched(self, *, keep_live: bool = False) -> AbstractContextManager[None]:
        """Let the service's new connections reach it; live ones are closed, both times, or kept."""
        proxied, server = self._primarys
        if keep_live:
            return self._proxy.rerouted(proxied, server, self.server)
        return proxied.upstream_switched(str(self.upstream))

    def release_commits(self) -> None:
        """Let commits of the primary wait for nobody."""
        _release_commits(self.primary)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        return self.server.log_tail(lines)

    @spent(CLEARING)
    def dismiss(self) -> None:
        """End it, and leave no trace of it at the primary; harmless when done before."""
        if self._dismissed:
            return
        self._dismissed = True
        self.database.close()
        _remove(self.primary, self.server)

    @property
    def _primarys(self) -> tuple[Proxied, PostgresRole]:
        assert self.primary.proxied is not None
        assert self.primary.server is not None
        return self.primary.proxied, self.primary.server


@contextmanager
def streaming(primary: Database, server: PostgresRole, mode: Mode, proxy: ProxyRole) -> Iterator[Standby]:
    """Start this server as a standby; it streams when the block begins, and is gone when it ends.

    What commits wait for is the service's own choice and its server's (synchronous_commit): a synchronous
    standby only is there to be waited for.
    """
    with ExitStack() as undone:
        with spent(STARTING):
            undone.callback(_remove, primary, server)
            server.create()
            undone.pop_all()
            standby = Standby(primary, server, mode, proxy)
            undone.callback(standby.dismiss)
            if mode == "synchronous":
                with primary.admin() as admin:
                    admin.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'".encode())
                    reload(admin)
            _wait_until_streaming(standby)
        yield standby


def promote(database: Database, within_s: float = PROMOTED_WITHIN_S) -> float:
    """Make a standby the primary; returns the seconds until it accepted writes."""
    began = time.monotonic()
    try:
        with database.admin(within_s=within_s) as admin:
            if not _row(admin, "SELECT pg_is_in_recovery()")[0]:
                return 0.0
            admin.execute("SELECT pg_promote(false)")
            question = "SELECT NOT pg_is_in_recovery()"
            if comes_true(lambda: bool(_row(admin, question)[0]), within_s, POLL_S):
                return time.monotonic() - began
        reason = f"it was still in recovery after {within_s:g} s"
    except (psycopg.Error, ServerError) as failure:
        reason = failure.problem if isinstance(failure, ServerError) else str(failure).strip()
    raise PromotionFailed(
        "The standby could not be promoted.",
        value=f"{database.endpoint}: {reason}",
        tried=[f"its last lines:\n{database.log_tail()}"],
    )


def _release_commits(primary: Database) -> None:
    with primary.admin() as admin:
        admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        reload(admin)


def _remove(primary: Database, server: PostgresRole) -> None:
    """End a standby, and all that its primary, if it runs, knows of it; commits are not to wait meanwhile."""
    with ExitStack() as steps:
        if primary.server is not None and primary.server.alive and not primary.server.paused:
            steps.callback(_drop_slot, primary)
            steps.callback(server.discard)
            _release_commits(primary)
        else:
            server.discard()


def _wait_until_streaming(standby: Standby) -> None:
    wanted = "sync" if standby.mode == "synchronous" else "async"
    question = "SELECT state, sync_state FROM pg_stat_replication WHERE application_name = %s"
    seen: tuple[Any, ...] | None = None

    def streams() -> bool:
        nonlocal seen
        seen = admin.execute(question, (STANDBY,)).fetchone()
        return seen == ("streaming", wanted)

    with standby.primary.admin() as admin:
        if comes_true(streams, STREAMS_WITHIN_S):
            return
    raise ServerError(
        f"The {standby.mode} standby did not start to stream within {STREAMS_WITHIN_S:g} s.",
        value=f"pg_stat_replication: {seen or 'nothing'}",
        tried=[f"its last lines:\n{standby.log_tail()}"],
        remedy="read its last lines above",
    )


def _drop_slot(primary: Database) -> None:
    """Drop the standby's slot, as soon as the server has noticed that nobody reads it any more."""
    end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active"
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s"

    def dropped() -> bool:
        admin.execute(end, (STANDBY,))
        with suppress(psycopg.errors.ObjectInUse):
            admin.execute(drop, (STANDBY,))
            return True
        return False

    with primary.admin() as admin:
        gone = comes_true(dropped, SETTLED_WITHIN_S)
    if not gone:
        raise ServerError("The standby's replication slot could not be dropped.", value=STANDBY)


def reload(admin: Connection) -> None:
    """Let the server read its settings again, and wait until this session has heard of it."""
    (before,) = _row(admin, "SELECT pg_conf_load_time()")
    admin.execute("SELECT pg_reload_conf()")
    comes_true(lambda: bool(_row(admin, "SELECT pg_conf_load_time()")[0] > before), SETTLED_WITHIN_S, POLL_S)


def _row(admin: Connection, query: str, *values: object) -> tuple[Any, ...]:
    row = admin.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row
