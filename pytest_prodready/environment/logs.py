"""The end of a log file, and what came into it since a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

READ_BACK = 64 * 1024  # at first; more where the lines are long
MOST_READ_BACK = 4 * 1024 * 1024


def tail(file: Path, lines: int = 20) -> str:
    """The last lines of a log, of 4 MiB at most; empty when there is none."""
    try:
        with file.open("rb") as log:
            text = _end(log, lines).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _end(log: BinaryIO, lines: int) -> bytes:
    """As much of the end as holds so many lines, from the beginning of one."""
    size, length = log.seek(0, 2), READ_BACK
    while length < size:
        log.seek(size - length)
        # What is left of a line may end in half a password, which nobody would know as one.
        end = log.read(length).partition(b"\n")[2]
        if end.count(b"\n") >= lines or length >= MOST_READ_BACK:
            return end
        length *= 2
    log.seek(0)
    return log.read(size)


def size(file: Path) -> int:
    """Where a log ends by now; 0 when there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def lines_since(file: Path, start: int) -> Iterator[str]:
    """Each line after that place, or all of a log that is shorter by now; a line too long comes in parts."""
    if not file.exists():
        return
    with file.open("rb") as log:
        log.seek(start if start <= size(file) else 0)
        while line := log.readline(READ_BACK):
            yield line.decode(errors="replace")


def last_lines(text: str, lines: int) -> str:
    """The last lines of a log that isn't in a file."""
    if len(text) > MOST_READ_BACK:
        text = text[-MOST_READ_BACK:].partition("\n")[2]
    return "\n".join(text.splitlines()[-lines:])


def shortened(text: str) -> str:
    """Its last lines, of 64 KiB at most: enough for whoever reads it, however long its lines are."""
    return text if len(text) <= READ_BACK else text[-READ_BACK:].partition("\n")[2]


def write_private(file: Path, text: str) -> None:
    """Write a log for this user's eyes alone: it may hold passwords."""
    file.touch(mode=0o600)
    file.write_text(text)
