"""Failures of a local PostgreSQL with and without a standby: each is felt, and put back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing

import psycopg
import pytest

from pytest_prodready.environment import failures
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.failover_steps import TRANSACTIONS_END_WITHIN_S
from pytest_prodready.environment.standby import Mode, PromotionFailed, Standby
from pytest_prodready.faults import UnsupportedFault

from .conftest import settings_of
from .standing import ask, database_of, is_as_before, proxied_of, seen_by, server_of, session, tell

IN_RECOVERY = "SELECT pg_is_in_recovery()"
COUNT = "SELECT count(*) FROM kept"
INSERT = "INSERT INTO kept VALUES (1)"
READ_ONLY = "25006"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """An environment with a table of one row."""
    settings = settings_of(service={"env": {"DATABASE_URL": "{postgres.url}"}})
    started = Environment.start(settings, folder=tmp_path_factory.mktemp("target"))
    tell(started, "CREATE TABLE kept AS SELECT 1 AS id")
    yield started
    started.stop()


def refused(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    """The SQLSTATE with which a write is refused, or that there is no connection; None where it isn't."""
    try:
        connection.execute(INSERT)
    except psycopg.Error as error:
        return error.sqlstate or "no connection"
    return None


@pytest.mark.parametrize("failure", [failures.killed, failures.stopped])
def test_dead_meanwhile(standing: Environment, failure: failures.Failure) -> None:
    """Nobody gets in, and afterwards it is there with its data; also after an error."""
    before = ask(standing, COUNT)
    with failure(server_of(standing)), pytest.raises(psycopg.OperationalError):
        session(standing)
    assert ask(standing, COUNT) == before
    with pytest.raises(ZeroDivisionError), failure(server_of(standing)):
        _ = 1 / 0
    assert ask(standing, COUNT) == before


def test_frozen_meanwhile(standing: Environment) -> None:
    """A connection is silent, and then it goes on."""
    with closing(session(standing)) as own:
        with failures.paused(server_of(standing)), pytest.raises(psycopg.OperationalError):
            psycopg.connect(database_of(standing).url(), connect_timeout=2)
        assert own.execute("SELECT 1").fetchone() == (1,)


def test_read_only_meanwhile(standing: Environment) -> None:
    """Live and new sessions are refused with 25006, what was begun before has ended, and all is back."""
    with closing(session(standing)) as live, closing(session(standing)) as other:
        other.autocommit = False
        other.execute(INSERT)
        began = time.monotonic()
        with failures.read_only(database_of(standing)):
            assert time.monotonic() - began < TRANSACTIONS_END_WITHIN_S + 3
            assert other.closed or refused(other) is not None
            assert refused(live) == READ_ONLY
            with closing(session(standing)) as new:
                assert refused(new) == READ_ONLY
        assert refused(live) is None
    assert is_as_before(standing)


@pytest.mark.parametrize("mode", ["asynchronous", "synchronous"])
def test_failed_over(standing: Environment, mode: Mode) -> None:
    """Clients reach the promoted standby, which has all rows; then the old primary, with what it had."""
    marks: list[str] = []
    before = ask(standing, COUNT)
    with standing.standby(mode) as standby:
        assert standby.caught_up()
        with closing(session(standing)) as live, failures.failed_over(standby, marks.append) as seen:
            assert seen.failed_at < seen.promoted_at < seen.switched_at < time.monotonic()
            assert 0 < seen.promotion_s <= seen.promoted_at - seen.failed_at
            assert refused(live) is not None
            assert ask(standing, COUNT) == before
            tell(standing, INSERT)
            assert seen_by(standby.database, COUNT) == before + 1
        assert ask(standing, COUNT) == before
        assert marks == ["killed", "promoted", "switched"]
    assert is_as_before(standing)


def test_failed_over_and_an_error(standing: Environment) -> None:
    """The error is the one that is raised, and everything is put back."""
    with (
        pytest.raises(ZeroDivisionError),
        standing.standby("synchronous") as standby,
        failures.failed_over(standby),
    ):
        _ = 1 / 0
    assert is_as_before(standing)


@pytest.mark.parametrize("failure", [failures.failed_over, failures.stale_primary])
def test_a_promotion_that_fails(
    standing: Environment, failure: Callable[[Standby], AbstractContextManager[object]]
) -> None:
    """It is told apart from a service that doesn't follow, and everything is put back."""
    with standing.standby() as standby:
        standby.promote = lambda within_s=1.0: _fail()  # type: ignore[method-assign]
        with pytest.raises(PromotionFailed, match="on purpose"), failure(standby):
            pytest.fail("the block begins")
    assert is_as_before(standing)


def _fail() -> float:
    raise PromotionFailed("on purpose")


def test_a_stale_primary(standing: Environment) -> None:
    """Restarted as a standby: who connected to it stays there, read-only; new ones reach the new primary."""
    marks: list[str] = []
    before = ask(standing, COUNT)
    sticky: list[psycopg.Connection[tuple[object, ...]]] = []

    def mark(name: str) -> None:
        marks.append(name)
        if name == "demoted":
            sticky.append(session(standing))

    with standing.standby("synchronous") as standby:
        with failures.stale_primary(standby, mark, stale_s=0.1) as seen:
            assert seen.failed_at < seen.promoted_at < seen.switched_at
            assert marks == ["stopped", "promoted", "demoted", "switched"]
            assert sticky[0].execute(IN_RECOVERY).fetchone() == (True,)
            assert refused(sticky[0]) == READ_ONLY
            with pytest.raises(psycopg.Error):  # no session can insist on writing
                sticky[0].execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; " + INSERT)
            assert ask(standing, IN_RECOVERY) is False
            tell(standing, INSERT)
        assert ask(standing, COUNT) == before + 1  # nothing is lost on the way back
        sticky[0].close()
    assert is_as_before(standing)


def test_a_stale_primary_in_place(standing: Environment) -> None:
    """No connection is ever cut: a live one stays on the old primary, read-only, and can write afterwards."""
    before = ask(standing, COUNT)
    with standing.standby("synchronous") as standby, closing(session(standing)) as live:
        with failures.stale_primary(standby, restarted=False):
            assert refused(live) == READ_ONLY
            tell(standing, INSERT)
            assert seen_by(standby.database, COUNT) == before + 1
            assert live.execute("SELECT 1").fetchone() == (1,)
        assert refused(live) is None
        assert ask(standing, COUNT) == before + 1
    assert is_as_before(standing)


@pytest.mark.parametrize("restarted", [True, False])
def test_a_stale_primary_and_an_error(standing: Environment, restarted: bool) -> None:
    """The error is the one that is raised, and everything is put back."""
    with (
        pytest.raises(ZeroDivisionError),
        standing.standby() as standby,
        failures.stale_primary(standby, restarted=restarted, stale_s=0),
    ):
        _ = 1 / 0
    assert is_as_before(standing)


@pytest.mark.parametrize("restarted", [True, False])
def test_live_connections_that_cannot_be_kept(
    standing: Environment, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """Where the proxy lacks the extension, that is said before anything is broken."""
    reason = UnsupportedFault(
        "keep_live", "this server, be it Toxiproxy or an old one, doesn't know it", "here"
    )

    def lacking(extension: str) -> None:
        raise reason

    with standing.standby() as standby, closing(session(standing)) as live:
        monkeypatch.setattr(proxied_of(standing), "require", lacking)
        with (
            pytest.raises(UnsupportedFault, match="keep_live"),
            failures.stale_primary(standby, restarted=restarted),
        ):
            pytest.fail("the block begins")
        assert refused(live) is None
        assert standby.caught_up()
