"""Statistics without values: what is left of a dump says nothing of the data, and is still taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_prodready.environment.binaries import HIDE
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.statistics import inject
from pytest_prodready.environment.statistics_dump import read_dump
from pytest_prodready.environment.statistics_redacted import KEPT
from tests.gate import run_gate

from .test_statistics import dumped, made, server

__all__ = ["server"]

# Text, numbers, times, JSON, arrays, ranges, uuids and bytes, each with values that occur nowhere else.
SCHEMA = """
CREATE TABLE people (
    id int PRIMARY KEY, name text, salary numeric, born date, seen timestamptz, about jsonb, tags text[],
    away daterange, mark uuid, raw bytea, vip boolean
);
INSERT INTO people
SELECT 71000000 + n, 'Zebediah O''Neil ' || n % 40, 9173.25 + n % 30, date '1931-03-09' + n % 50,
    timestamptz '2003-04-05 06:07:08Z' + n % 45 * interval '1 hour',
    jsonb_build_object('ssn', 88800 + n % 35),
    ARRAY['tag-' || n % 20, 'label'], daterange(date '1977-01-01' + n, date '1978-01-01' + n),
    md5((n % 60)::text)::uuid, decode(md5((n % 55 + 1000)::text), 'hex'), n % 3 = 0
FROM generate_series(1, 5000) AS n;
CREATE INDEX people_lower ON people (lower(name));
CREATE STATISTICS people_both (mcv, ndistinct, dependencies) ON name, salary FROM people;
ANALYZE people;
"""
COLUMNS = ("id", "name", "salary", "born", "seen", "about", "tags", "away", "mark", "raw")


def values(server: PostgresServer) -> Iterator[str]:
    """Every value of the table, and the parts of the structured ones, as the dump writes them."""
    with server.connect("people") as connection:
        for column in COLUMNS:
            for (value,) in connection.execute(f"SELECT DISTINCT {column}::text FROM people".encode()):
                yield value
                yield from (part for part in re.split(r"[][{}(),:\" ]+", value) if len(part) > 4)
        yield from ("Zebediah", "zebediah", "O'Neil", "O''Neil", "ssn", "tag-", "label")


def test_nothing_of_the_data_is_left(server: PostgresServer, tmp_path: Path) -> None:
    """Every value of every column is searched for: the dump has hundreds, what is left of it none."""
    made(server, "people", SCHEMA).close()
    dump = dumped(server, "people", tmp_path / "stats.sql")
    run = run_gate(tmp_path, "--prodready-redact-statistics=stats.sql")
    assert run.code == 0, run.output
    redacted = tmp_path / "stats.redacted.sql"
    assert "removed:" in run.output
    assert "most_common_vals" in run.output
    assert redacted.name in run.output
    before, after = dump.read_text(), redacted.read_text()
    known = set(values(server))
    assert sum(value in before for value in known) > 300
    assert [value for value in known if value in after] == []
    kept = {argument.name for one in read_dump(redacted) for argument in one.arguments}
    assert kept <= frozenset().union(*KEPT.values())
    with (
        inject(server, redacted, like="people", name="people_statistics") as injected,
        server.connect(injected.database) as connection,
    ):
        about = "SELECT n_distinct, most_common_vals, histogram_bounds FROM pg_stats WHERE attname = 'name'"
        assert connection.execute(about).fetchone() == (40.0, None, None)
        assert connection.execute("SELECT reltuples FROM pg_class WHERE relname = 'people'").fetchone() == (
            5000,
        )


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't such a dump is left alone, with the line that tells, and no file is written."""
    monkeypatch.setenv(HIDE, "1")
    (tmp_path / "stats.sql").write_text("CREATE TABLE t (a int);\n")
    run = run_gate(tmp_path, "--prodready-redact-statistics=stats.sql")
    assert run.code == 4
    assert "stats.sql:1" in run.output
    assert "--prodready-redact-statistics" in run.output
    assert not (tmp_path / "stats.redacted.sql").exists()
    missing = run_gate(tmp_path, "--prodready-redact-statistics=gone.sql")
    assert missing.code == 4
    assert "gone.sql" in missing.output
