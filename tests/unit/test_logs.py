"""The end of a log, however long its lines are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.environment.logs import (
    MOST_READ_BACK,
    READ_BACK,
    last_lines,
    lines_since,
    shortened,
    size,
    tail,
)
from pytest_prodready.probes.load_service import tells_of_error


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


def test_what_came_since(tmp_path: Path) -> None:
    """Each line after a place is told, however many there are; a log that began anew is told from there."""
    log = written(tmp_path, "before\n" * 6000)
    start = size(log)
    with log.open("a") as file:
        file.write("after\n" * 7000)
    assert list(lines_since(log, start)) == ["after\n"] * 7000
    log.write_text("anew\n")
    assert list(lines_since(log, start)) == ["anew\n"]
    assert max(map(len, lines_since(written(tmp_path, "x" * 3 * READ_BACK), 0))) == READ_BACK
    assert (size(tmp_path / "none.log"), list(lines_since(tmp_path / "none.log", 0))) == (0, [])


@pytest.mark.parametrize(
    "line",
    [
        "ERROR:    Exception in ASGI application",
        "Traceback (most recent call last):",
        "panic: runtime error: index out of range",
        '{"level":"error","msg":"no connection"}',
        '{"severity": "CRITICAL", "msg": "x"}',
        'time=2026-01-01 level=fatal msg="x"',
        '{"level":50,"time":1700000000000,"msg":"x"}',
        "2026/01/01 10:00:00 [error] 7#7: *1 upstream timed out",
        "2026-01-01T10:00:00Z \x1b[31mERROR\x1b[0m jobboard: no connection",
        "2026-01-01 10:00:00 [error    ] no connection",
        '{"log_level": "error"}',
        '{"@l":"Error","@m":"no connection"}',
        "fail: Microsoft.AspNetCore.Server.Kestrel[13]",
    ],
)
def test_a_line_about_an_error(line: str) -> None:
    """Whatever the logger, an error is known by its level or by how languages begin to tell of one."""
    assert tells_of_error(line)


@pytest.mark.parametrize(
    "line",
    [
        'INFO: 127.0.0.1 - "GET /errors HTTP/1.1" 200 OK',
        '{"level":"info","msg":"0 errors","error":null}',
        '{"level":30,"size":"50"}',
        "level=warn msg=retry",
    ],
)
def test_a_line_about_something_else(line: str) -> None:
    """The word alone, in a path or a message, makes no error."""
    assert not tells_of_error(line)
