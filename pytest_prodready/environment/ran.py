"""A command that ran within a limit of time: how it ended, and the end of what it printed."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType

from pytest_prodready.environment.logs import READ_BACK

CHUNK = 64 * 1024
TELLING = re.compile(r"error:|error\b.*:|exception|failed|violation|fatal|cannot|can't", re.IGNORECASE)
ASIDE = "(Background on this error"  # SQLAlchemy's last word
DRAINED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Command:
    """A command with the service's variables: a migration, a seed."""

    name: str  # of its log
    text: str
    source: str  # the key that says so


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and the end of what it printed; a container tells of no more than it kept."""

    status: int | None  # None: it was still running, and was ended; below 0: by that signal
    seconds: float
    printed: str
    printed_bytes: int
    left: int = 0  # processes that it left behind; they were ended

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself, and well."""
        return self.status == 0

    @property
    def ended(self) -> str:
        """How it ended, as a verb with its object."""
        if self.status is None:
            return f"did not end within {self.seconds:.0f} s"
        return (
            f"ended with status {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"
        )

    @property
    def telling(self) -> str:
        """The line that says most of what went wrong: the last one about an error, or else the last."""
        lines = [line.strip() for line in self.printed.splitlines() if line.strip()]
        errors = [line for line in lines if TELLING.search(line) and not line.startswith(ASIDE)]
        return next(iter((errors or lines)[-1:]), "")


class Output:
    """What is printed into a pipe: its end and its size; the rest is forgotten, however much it is."""

    def __init__(self) -> None:
        self.size = 0
        self._kept: deque[bytes] = deque()
        self._reading, self.writing = os.pipe()
        self._reader = threading.Thread(target=self._read, name="output of a command", daemon=True)

    def __enter__(self) -> Output:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.writing)
        # Everybody who could print has been ended; what they printed may still be under way.
        self._reader.join(DRAINED_WITHIN_S)

    def text(self) -> str:
        """The last lines."""
        kept = b"".join(self._kept)
        if self.size > READ_BACK:
            # What is left of a line may begin with half a password, which nobody would know as one.
            kept = kept[-READ_BACK:].partition(b"\n")[2]
        return kept.decode(errors="replace").rstrip("\n")

    def _read(self) -> None:
        kept = 0
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(CHUNK):
                self.size += len(chunk)
                self._kept.append(chunk)
                kept += len(chunk)
                while kept - len(self._kept[0]) > READ_BACK:
                    kept -= len(self._kept.popleft())
