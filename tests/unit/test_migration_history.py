"""Revisions as tools tell them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from pytest_prodready.environment.placeholders import check
from pytest_prodready.errors import ConfigError
from pytest_prodready.probes.migration_history import MARK, History, of_alembic, of_files, of_list
from pytest_prodready.settings import MigrationSettings, Settings


def alembic(heads: list[str], downs: Mapping[str, object]) -> History:
    """What alembic would print, read back."""
    return of_alembic(f"noise\n{MARK}{json.dumps([heads, list(downs.items())])}\n")


def test_a_line() -> None:
    """Revisions behind each other, each with the one before it."""
    history = alembic(["c"], {"c": "b", "b": "a", "a": []})
    assert history == History(("c",), ("a", "b", "c"))
    assert history.newest(10) == (("", "a"), ("a", "b"), ("b", "c"))
    assert history.newest(1) == (("b", "c"),)


def test_a_merge() -> None:
    """Only what follows the merge is stepped through: the way back from it would be ambiguous."""
    downs = {"e": "d", "d": "m", "m": ["b", "c"], "c": "a", "b": "a", "a": []}
    history = alembic(["e"], downs)
    assert (history.revisions, history.older) == (("m", "d", "e"), 3)
    assert history.newest(10) == (("m", "d"), ("d", "e"))


def test_two_heads() -> None:
    """There is no line behind two heads."""
    history = alembic(["b", "c"], {"b": "a", "c": "a", "a": []})
    assert (history.heads, history.revisions) == (("b", "c"), ())


def test_nothing_told() -> None:
    """A command that says something else leaves a doubt."""
    assert of_alembic("No module named alembic").doubt
    assert of_list("\n").doubt


def test_lists_and_files() -> None:
    """One a line, the first word; files by their names, of which two of one number are two heads."""
    assert of_list("0001 tables\n0002 more\n").revisions == ("0001", "0002")
    assert of_files(["1_a", "2_b"]).heads == ("2_b",)
    assert of_files(["1_a", "2_b", "2_c"]).heads == ("2_b", "2_c")
    assert of_files(["add_users", "add_jobs"]).heads == ("add_jobs",)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tool": "alembic", "upgrade": "x"}, "tool and upgrade exclude each other"),
        ({"tool": "alembic", "files": "x"}, "tool and files exclude each other"),
        ({"upgrade": "x {revision}", "files": "x"}, "files give the steps"),
        ({"downgrade": "x"}, "downgrade needs upgrade"),
        ({"seed": "x"}, "seed needs tool, files or upgrade"),
        ({"upgrade": "x", "revisions": "ls"}, "stepped through by {revision}"),
        ({"upgrade": "x {revision}", "irreversible": {"1": ""}}, "at least 3"),
    ],
)
def test_settings_that_contradict(given: dict[str, object], says: str) -> None:
    """What can't be meant is refused."""
    with pytest.raises(ValidationError, match=says):
        MigrationSettings.model_validate(given)


def test_unknown_placeholder() -> None:
    """A placeholder of a command that nothing fills is refused before anything starts."""
    service = {"name": "shop", "command": "serve --port {port}"}
    settings = Settings.model_validate({"service": service, "migration": {"upgrade": "up {revison}"}})
    with pytest.raises(ConfigError, match=r"did you mean \{revision\}"):
        check(settings)
