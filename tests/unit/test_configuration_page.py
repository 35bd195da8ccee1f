"""What docs/configuration.md says of a table's keys is what its settings are, and of each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_prodready.settings import Settings
from pytest_prodready.settings.base import Table

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
TABLES = ("pool", "explain", "migration", "backup", "failover", "load")
WITH_DEFAULT = re.compile(r"`(\w+)`\s(\d[\d,.]*\d|\d)")  # `steps` 25, `small_rows` 1,000
FENCED = re.compile(r"```.*?```", re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
FIRST_COLUMN = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)
NAME = re.compile(r"`(\w+)(?: = [^`]*)?`")


def section(table: str) -> str:
    """What the page says of one table."""
    return PAGE.partition(f"\n## [{table}]\n")[2].partition("\n## ")[0]


def settings_of(table: str) -> type[Table]:
    """The settings of one table."""
    found = Settings.model_fields[table].annotation
    assert isinstance(found, type)
    assert issubclass(found, Table)
    return found


@pytest.mark.parametrize("table", TABLES)
def test_each_key_is_described(table: str) -> None:
    """Every key stands in its section, as code."""
    said = section(table)
    code = " ".join(SPAN.findall(FENCED.sub("", said)) + re.findall(rf"\[{table}\.(\w+)\]", said))
    missing = settings_of(table).model_fields.keys() - set(re.findall(r"\w+", code))
    assert missing == set()


@pytest.mark.parametrize("table", TABLES)
def test_each_described_key_is_there(table: str) -> None:
    """What is named with a default, or in the first column, is a key, and has that default."""
    fields, said = settings_of(table).model_fields, section(table)
    named = {name for cell in FIRST_COLUMN.findall(said) for name in NAME.findall(cell)}
    defaults = {name: float(value.replace(",", "")) for name, value in WITH_DEFAULT.findall(said)}
    assert {*named, *defaults} - fields.keys() == set()
    assert {name: fields[name].default for name in defaults} == defaults
