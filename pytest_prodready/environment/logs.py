"""The end of a log file."""

from __future__ import annotations

from pathlib import Path

READ_BACK = 64 * 1024


def tail(file: Path, lines: int = 20) -> str:
    """The last lines of a log, however long it is; empty when there is none."""
    try:
        with file.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - READ_BACK))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def last_lines(text: str, lines: int) -> str:
    """The last lines of a log that isn't in a file."""
    return "\n".join(text[-READ_BACK:].splitlines()[-lines:])


def write_private(file: Path, text: str) -> None:
    """Write a log for this user's eyes alone: it may hold passwords."""
    file.touch(mode=0o600)
    file.write_text(text)
