"""A server of the user's own is as it was, whatever dies in the middle of a backup of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.postgres_template import SUPERUSER
from pytest_prodready.environment.runs import Run
from pytest_prodready.probes.contents import Contents, contents
from pytest_prodready.probes.schema import Schema, schema
from tests.acceptance.test_ending import WITHIN_S, clean, runs_in, started, wait_for
from tests.targets import small_target

TARGET = """\
[service]
name = "small"
command = "{{python}} server.py {{port}}"

[postgres]
url = "{url}"
admin_url = "{admin_url}"

[health]
liveness = "/live"
readiness = "/ready"

[[requests]]
path = "/200"
"""
ROWS = "CREATE TABLE kept AS SELECT n AS id, md5(n::text) AS word FROM generate_series(1, 200000) n"
# All that a backup of one database could leave on its server.
AROUND = """
    SELECT 'database', datname FROM pg_database UNION ALL SELECT 'role', rolname FROM pg_roles
    UNION ALL SELECT 'slot', slot_name::text FROM pg_replication_slots
    UNION ALL SELECT 'setting', name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'
    UNION ALL SELECT 'prepared', gid FROM pg_prepared_xacts ORDER BY 1, 2
"""
DUMP = "prodready.toml::backup::test_dump_succeeds"
Everything = tuple[Contents, Schema, list[tuple[Any, ...]]]


class Source:
    """A server of the user's own, with a table of rows."""

    def __init__(self, run: Run) -> None:
        self.server = PostgresServer(
            run, find_postgres(), Authority(run.folder), Account("app", "app", "correct-horse")
        )
        self.server.create()
        with self.server.connect("app") as admin:
            admin.execute("SET ROLE app")
            admin.execute(ROWS)

    def target(self) -> str:
        """A prodready.toml for a service on this database."""
        server = self.server
        return TARGET.format(
            url=f"postgresql://app:correct-horse@{server.endpoint}/app?sslmode=require",
            admin_url=f"postgresql://{SUPERUSER}:{server.admin_password}@/app?host={server.folder}"
            f"&port={server.endpoint.port}",
        )

    def everything(self) -> Everything:
        """What it holds, and what is around it."""
        with closing(self.server.connect("app", timeout_s=60)) as admin:
            return contents(admin), schema(admin), admin.execute(AROUND.encode()).fetchall()

    def is_read(self) -> bool:
        """Whether somebody dumps it right now."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
        with closing(self.server.connect("postgres")) as admin:
            row = admin.execute(query).fetchone()
        return bool(row and row[0])


@pytest.fixture
def source() -> Iterator[Source]:
    """It outlives the gate that looks at it."""
    run = Run.open()
    try:
        yield Source(run)
    finally:
        run.close()


def test_gate_killed(source: Source, tmp_path: Path, base: Path) -> None:
    """A gate that dies while it reads or restores leaves the server alone; the next run is clean."""
    small_target(tmp_path, source.target())
    before = source.everything()
    restoring = lambda: any((run / "empty" / "tools" / "backup").exists() for run in runs_in(base))  # noqa: E731
    for moment in (source.is_read, restoring):
        run = started(tmp_path, base, DUMP)
        wait_for(moment)
        run.kill()
        run.communicate(timeout=WITHIN_S)
        assert source.everything() == before
    run = started(tmp_path, base, DUMP)
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 0, output
    assert source.everything() == before
    clean(tmp_path, base)


def test_server_killed(source: Source, tmp_path: Path, base: Path) -> None:
    """A server that dies while it is read has lost nothing; the run says what happened, and is clean."""
    small_target(tmp_path, source.target())
    before = source.everything()
    run = started(tmp_path, base, DUMP)
    wait_for(source.is_read)
    source.server.kill()
    output, _ = run.communicate(timeout=WITHIN_S)
    assert run.returncode == 1, output
    assert "NOT READY" in output
    assert source.server.admin_password not in output
    source.server.start()
    assert source.everything() == before
    clean(tmp_path, base)
