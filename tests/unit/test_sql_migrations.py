"""Folders of migrations as SQL files, and what is sent of each file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_prodready.environment.capabilities import configured
from pytest_prodready.environment.session_options import session_options
from pytest_prodready.environment.sql_migrations import BREAKPOINT, JOURNAL, sql_migrations
from pytest_prodready.errors import ConfigError
from pytest_prodready.findings import Capability
from pytest_prodready.settings import Settings

Make = Callable[..., Path]
TWO = f"CREATE TABLE a (id int);\n{BREAKPOINT}\nCREATE TABLE b (id int);\n"


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """Makes a folder of these files."""

    def make(*names: str, text: str = "SELECT 1", journal: object = None) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        if journal is not None:
            (tmp_path / JOURNAL).parent.mkdir(exist_ok=True)
            (tmp_path / JOURNAL).write_text(json.dumps(journal))
        return tmp_path

    return make


def tags(*names: str) -> dict[str, object]:
    """A journal with these entries."""
    return {"version": "7", "entries": [{"idx": number, "tag": name} for number, name in enumerate(names)]}


def test_pairs(made: Make) -> None:
    """Files with a way down, in the order of their names."""
    found = sql_migrations(made("2_b.up.sql", "1_a.up.sql", "1_a.down.sql"))
    assert (found.layout, found.names, found.goes_back) == ("pairs", ("1_a", "2_b"), True)
    assert (found.up("1_a").name, found.down("1_a").name) == ("1_a.up.sql", "1_a.down.sql")


def test_plain_files(made: Make) -> None:
    """In the order of their numbers, not of their letters."""
    found = sql_migrations(made("V10__c.sql", "V2__b.sql", "V1.1__a.sql", "V1__first.sql", "R__views.sql"))
    assert found.names == ("V1__first", "V1.1__a", "V2__b", "V10__c", "R__views")
    assert (found.goes_back, found.up("V2__b").name) == (False, "V2__b.sql")


def test_drizzle(made: Make) -> None:
    """What its journal names, in that order; each file in a transaction, statement by statement."""
    folder = made("0000_a.sql", "0001_b.sql", "0002_never.sql", text=TWO, journal=tags("0001_b", "0000_a"))
    found = sql_migrations(folder)
    assert (found.layout, found.names) == ("files", ("0001_b", "0000_a"))
    first, *both, last = found.queries(found.up("0000_a"))
    assert (first, [each.split()[2] for each in both], last) == (b"BEGIN", [b"a", b"b"], b"COMMIT")
    (folder / "0000_a.sql").write_text("SELECT 2")
    assert found.queries(found.up("0000_a")) == (b"BEGIN", b"SELECT 2", b"COMMIT")


def test_prisma(made: Make) -> None:
    """A folder each; its file is one query."""
    found = sql_migrations(made("2_b/migration.sql", "1_a/migration.sql", "migration_lock.toml"))
    assert (found.layout, found.names) == ("folders", ("1_a", "2_b"))
    assert found.queries(found.up("1_a")) == (b"SELECT 1",)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("readme.md",), "has no migrations"),
        (("1_a.down.sql",), "has no migrations"),
        (("1_a.up.sql", "2_b.sql"), "mixes layouts"),
        (("1_a.sql", "2_b/migration.sql"), "mixes layouts"),
    ],
)
def test_neither_layout(names: tuple[str, ...], says: str, made: Make) -> None:
    """What is in no layout, or in several, is told with those that there are."""
    with pytest.raises(ConfigError, match=says) as raised:
        sql_migrations(made(*names))
    assert "NAME/migration.sql (as prisma)" in str(raised.value)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that isn't there."""
    with pytest.raises(ConfigError, match="does not exist"):
        sql_migrations(tmp_path / "nowhere")


@pytest.mark.parametrize("mark", ["-- migrate:down", "-- +goose Down", "--  +migrate Down"])
def test_both_ways_in_one_file(mark: str, made: Make) -> None:
    """Sent as a whole, such a file would take back what it makes."""
    with pytest.raises(ConfigError, match="holds its way down in the same file"):
        sql_migrations(made("1_a.sql", text=f"-- up\nCREATE TABLE a ();\n{mark}\nDROP TABLE a;\n"))


@pytest.mark.parametrize(
    ("journal", "says"),
    [
        (tags("0000_gone"), "isn't there"),
        ({"entries": [{"idx": 1}]}, "can't be read"),
        ([], "can't be read"),
    ],
)
def test_broken_journals(journal: object, says: str, made: Make) -> None:
    """A journal that can't be followed is told."""
    with pytest.raises(ConfigError, match=says):
        sql_migrations(made("0001_b.sql", journal=journal))


@pytest.mark.parametrize(
    ("variables", "theirs"),
    [
        ({"DATABASE_URL": "postgresql://u@h/d?options=-c%20lock_timeout%3D250"}, "-c lock_timeout=250"),
        ({"A": "postgres://u@h/d", "B": "postgresql+psycopg://u@h/d?x=1&options=-clock_timeout%3D1s"}, None),
        ({"PGOPTIONS": "-c lock_timeout=3s", "A": "postgres://u@h/d?options=-cx%3D1"}, "-c lock_timeout=3s"),
        ({"DATABASE_URL": "postgres://u@h/d"}, ""),
    ],
)
def test_session_options(variables: dict[str, str], theirs: str | None) -> None:
    """What the service's variables set comes first, and the limit always."""
    wanted = "-clock_timeout=1s" if theirs is None else theirs
    assert session_options(variables, 2) == f"{wanted} -c statement_timeout=2000".strip()


def test_capabilities(made: Make) -> None:
    """Beside a command they give the history; a way down only where there are files for it."""
    folder = made("drizzle/0000_a.sql", "pairs/1.up.sql")
    service = {"name": "shop", "command": "serve", "env": {"DATABASE_URL": "{postgres.url}"}}

    def of(**migration: str) -> frozenset[Capability]:
        settings = Settings.model_validate({"service": service, "migration": migration})
        return configured(settings, folder=folder)

    both = of(upgrade="migrate", files="drizzle")
    assert {Capability.MIGRATION_COMMAND, Capability.MIGRATION_HISTORY} <= both
    assert Capability.MIGRATION_DOWNGRADE not in both
    assert Capability.MIGRATION_DOWNGRADE in of(files="pairs")
    assert Capability.MIGRATION_DOWNGRADE in of(upgrade="migrate", downgrade="back", files="drizzle")
