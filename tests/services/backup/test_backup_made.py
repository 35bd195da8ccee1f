"""A database with something of everything, backed up and restored; and what its restored copy lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.capabilities import configured
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.findings import Capability
from pytest_prodready.probes import drill_rows
from pytest_prodready.probes.backup import backup_made
from pytest_prodready.probes.backup_controls import damaged_backups
from pytest_prodready.probes.backup_facts import BackupRun, Compared
from pytest_prodready.probes.backup_markers import Written, recovered
from pytest_prodready.probes.backup_rollback import rollback_plan
from pytest_prodready.probes.backup_sizes import restore_times
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings
from tests.services.backup.test_contents import EVERYTHING
from tests.services.environment.conftest import settings_of as tiny

CLUSTER = """
    CREATE ROLE readers NOLOGIN;
    CREATE ROLE reporting LOGIN PASSWORD 'correct-horse' CONNECTION LIMIT 3 IN ROLE readers;
    CREATE ROLE unconcerned LOGIN;
    ALTER ROLE reporting SET work_mem = '64MB';
    ALTER DATABASE tiny_one SET statement_timeout = '20s';
    ALTER ROLE reporting IN DATABASE tiny_one SET search_path = public;
    GRANT CONNECT ON DATABASE tiny_one TO readers;
    CREATE TABLE parent (id serial PRIMARY KEY, note text CHECK (note <> ''));
    CREATE TABLE heir (extra text DEFAULT 'x') INHERITS (parent);
    CREATE VIEW shown AS SELECT * FROM parent;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM parent;
    ALTER TABLE parent OWNER TO tiny_one;
    ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON parent FOR SELECT TO readers USING (id > 0);
    GRANT SELECT ON parent TO readers;
    ALTER DEFAULT PRIVILEGES FOR ROLE tiny_one GRANT SELECT ON TABLES TO readers;
    INSERT INTO parent (note) SELECT n::text FROM generate_series(1, 100) n;
    SELECT lo_from_bytea(0, 'a photo')
"""


# As superuser: all roles, and the database with its properties.
COMMANDS = {
    "backup": (
        'sh -ec \'pg_dumpall --globals-only --dbname "$1" >"$0.roles";'
        ' pg_dump --format custom --file "$0" "$2"\''
        " {backup} {postgres.server_url} {postgres.admin_url}"
    ),
    "restore": (
        'sh -ec \'psql --no-psqlrc --quiet --dbname "$1" --file "$0.roles";'
        ' pg_restore --exit-on-error --clean --if-exists --create --dbname "$1" "$0";'
        ' vacuumdb --analyze-only --quiet --dbname "$2"\''
        " {backup} {postgres.server_url} {postgres.admin_url}"
    ),
}


def settings_of(**tables: Any) -> Settings:
    """Settings with the tiny service and a Postgres."""
    return tiny(**{"postgres": {}, **tables})


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A tiny service whose database has something of everything."""
    started = Environment.start(settings_of(), folder=tmp_path_factory.mktemp("target"), backend="processes")
    try:
        assert started.database is not None
        with started.database.admin() as admin:
            admin.execute(EVERYTHING.encode())
            admin.execute(CLUSTER.encode())
        yield started
    finally:
        started.stop()


def made(environment: Environment, **backup: Any) -> BackupRun:
    """The measurement, with these settings of [backup]."""
    assert environment.application is not None
    assert environment.database is not None
    traffic = Traffic(environment.application.base_url)
    try:
        settings = settings_of(backup=backup)
        return backup_made(environment, environment.database, traffic, settings, lambda _: None)
    finally:
        traffic.close()


@pytest.mark.parametrize("how", ["custom", "directory"])
def test_everything_comes_back(environment: Environment, how: str) -> None:
    """By the gate's own procedure nothing differs, in whatever format."""
    run = made(environment, format=how)
    assert [step.status for step in (*run.backup, *run.restore)] == [0, 0, 0, 0, 0], run
    assert run.compared == Compared()
    assert (run.source.views, run.source.large_objects, run.source.settings) == (1, 1, 3)
    assert run.source.roles == 3
    assert run.backup_bytes > 1000


def test_the_source_is_not_touched(environment: Environment) -> None:
    """A backup writes nothing into the database, and leaves no database, role or session behind."""
    assert environment.database is not None
    query = """
        SELECT (SELECT array_agg(datname ORDER BY 1) FROM pg_database), (SELECT count(*) FROM pg_roles),
               (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables)
    """
    with environment.database.admin() as admin:
        before = admin.execute(query).fetchone()
        made(environment)
        assert admin.execute(query).fetchone() == before


def test_commands_with_the_services_role(environment: Environment) -> None:
    """Who signs in as the service's role gets it and its extensions; what it can't bring back is told."""
    run = made(
        environment,
        backup="pg_dump --format custom --file {backup} {postgres.admin_url}",
        restore="pg_restore --dbname {postgres.url} {backup}",
    )
    assert run.backup[0].status == 0
    assert run.restore[0].errors
    assert run.provisioned == ("tiny_one",)
    assert run.compared is not None
    roles = [each for each in run.compared.cluster if each.kind == "role"]
    assert [str(each) for each in roles] == ["missing: role readers", "missing: role reporting"]


def test_commands_with_a_superuser(environment: Environment) -> None:
    """Who signs in as superuser finds nothing but the empty database; half of a backup is noticed."""
    run = made(environment, **COMMANDS)
    assert run.restore[0].status == 0, run.restore[0]
    assert run.restore[0].errors == ()
    assert run.compared == Compared()
    assert run.halved is not None
    assert run.halved.noticed
    assert run.moved == ()


def test_writes_that_nobody_can_look_for(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database too large to be searched for writes says nothing of them, and is no failed restore."""
    monkeypatch.setattr(drill_rows, "WITHIN_S", 0.001)
    database = environment.database
    assert database is not None
    with database.admin() as admin:
        admin.execute("CREATE TABLE large AS SELECT n, md5(n::text) FROM generate_series(1, 100000) n")
        try:
            seen = recovered(Written("prodreadyx", ("prodreadyx00000",), (1.0,)), database, 2.0)
        finally:
            admin.execute("DROP TABLE large")
    assert seen.unusable.startswith("the restored database can't be searched for writes: canceling statement")


@pytest.mark.parametrize("backup", [{}, COMMANDS], ids=["gate", "commands"])
def test_rollback_plan(environment: Environment, backup: dict[str, Any]) -> None:
    """What a failed migration did is undone by either procedure, and of its backup nothing stays."""
    settings = settings_of(backup=backup, requests=[{"path": "/"}])
    folders = {path.name for path in environment.run.folder.iterdir() if path.is_dir()}
    seen = rollback_plan(environment, settings, lambda _: None)
    assert seen.noticed
    assert seen.compared == Compared(), seen.restore
    assert [each.status for each in seen.answers_after] == [200]
    assert (seen.rows > 100, seen.revision, seen.not_started, seen.why_not) == (True, "", "", "")
    assert {path.name for path in environment.run.folder.iterdir() if path.is_dir()} == folders


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("no_such_program {backup}", 127),
        ("sh -c 'read answer; exit 3' {backup}", 3),
        ("sh -c 'kill -9 $$' {backup}", -9),
        ("sh -c 'sleep 60' {backup}", None),
    ],
)
def test_commands_that_fail(environment: Environment, command: str, status: int | None) -> None:
    """A command that isn't there, asks, dies or hangs ends in bounded time, and nothing is restored."""
    run = made(environment, backup=command, restore=command, within_s=1)
    assert run.backup[0].status == status
    assert run.restore == ()
    assert run.why_not == "there is no backup to restore"


def test_controls(environment: Environment) -> None:
    """Each way of damaging a backup is found; in an uncompressed dump by the comparison alone."""
    controls = damaged_backups(environment, lambda _: None)
    assert controls.sound
    assert [each.found_by for each in controls.tried] == [
        "comparison",
        "pg_restore",
        "pg_restore",
        "pg_restore",
    ]


def test_sizes(environment: Environment) -> None:
    """Restores of growing sizes are timed, each of them at least twice."""
    assert environment.database is not None
    settings = settings_of(backup={"rto_rows": [100, 200, 300]}, explain={"rows": {"parent": 10}})
    seen = restore_times(environment, environment.database, settings, lambda _: None)
    assert not seen.why_not
    assert {timing.rows for timing in seen.timings} == {100, 200, 300}
    assert len(seen.timings) >= 6
    assert all(timing.restore_s > 0 and timing.backup_bytes > 0 for timing in seen.timings)


def test_a_server_of_the_users_own(server: PostgresServer, tmp_path: Path) -> None:
    """What lies on a server of the user's is only read, and restored on one of ours."""
    with server.connect("tiny_db") as admin:
        admin.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT n FROM generate_series(1, 10) n")
    account = server.account
    url = f"postgresql://{account.user}:{account.password}@localhost:{server.endpoint.port}/tiny_db"
    ca_file = server.folder.parent / "ca.pem"
    given = {"url": url, "admin_url": server.admin_url("tiny_db"), "ca": str(ca_file)}
    settings = settings_of(postgres=given)
    environment = Environment.start(settings, folder=tmp_path, backend="external")
    try:
        assert environment.application is not None
        assert environment.database is not None
        traffic = Traffic(environment.application.base_url)
        try:
            run = backup_made(environment, environment.database, traffic, settings, lambda _: None)
        finally:
            traffic.close()
        assert run.compared is not None, run
        assert run.compared.contents == ()
        assert run.source.rows == 10
    finally:
        environment.stop()


def test_commands_need_leave_on_a_server_of_the_users_own() -> None:
    """Commands of the user's own run beside such a server only by --prodready-allow-destructive."""
    commands = {"backup": "pg_dump -f {backup}", "restore": "psql -f {backup}"}
    given = {"url": "postgresql://u:p@h/d", "admin_url": "postgresql://a:p@h/d"}
    theirs = settings_of(postgres=given, backup=commands)
    assert Capability.RESTORING not in configured(theirs)
    assert Capability.RESTORING in configured(theirs, allow_destructive=True)
    assert Capability.RESTORING in configured(settings_of(postgres=given))
    assert Capability.RESTORING in configured(settings_of(backup=commands))
