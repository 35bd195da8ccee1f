"""The end of a log, however long its lines are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.environment.logs import MOST_READ_BACK, READ_BACK, last_lines, shortened, tail


def written(folder: Path, text: str) -> Path:
    """A log of this text."""
    file = folder / "service.log"
    file.write_text(text)
    return file


def test_all_lines_that_were_asked_for(tmp_path: Path) -> None:
    """Long lines cost none of them: the first of a few hundred is still there."""
    lines = [f"{number} {'x' * 1000}" for number in range(500)]
    log = written(tmp_path, "\n".join([*lines, ""]))
    assert tail(log, 5000).splitlines() == lines
    assert tail(log, 3).splitlines() == lines[-3:]
    assert last_lines(log.read_text(), 5000).splitlines() == lines


@pytest.mark.parametrize("length", [READ_BACK - 1, READ_BACK, READ_BACK + 1, 3 * READ_BACK])
def test_no_line_is_cut(length: int, tmp_path: Path) -> None:
    """A line is told whole or not at all: half a password could not be redacted."""
    text = f"secret-{'y' * length}\nlast\n"
    assert tail(written(tmp_path, text), 5) == text.rstrip("\n")


def test_a_flood_is_bounded(tmp_path: Path) -> None:
    """Of a line without end nothing is told, and of many lines no more than the last few megabytes."""
    flood = "x" * (MOST_READ_BACK + 10)
    assert tail(written(tmp_path, flood), 5) == ""
    assert last_lines(flood, 5) == ""
    told = tail(written(tmp_path, f"{'x' * 99}\n" * (MOST_READ_BACK // 50)), 10**6)
    assert MOST_READ_BACK - 100 <= len(told) <= MOST_READ_BACK


def test_no_log(tmp_path: Path) -> None:
    """A log that isn't there, and one of nothing, have no lines."""
    assert tail(tmp_path / "none.log") == ""
    assert tail(written(tmp_path, "")) == ""


def test_what_is_told_is_short() -> None:
    """What goes into a message has whole lines, and not many of the long ones."""
    assert shortened("a\nb") == "a\nb"
    assert shortened(f"{'x' * READ_BACK}\nlast") == "last"
