"""What the generator writes while it runs: a line of JSON for each sample, and for each thing that it tells.

A sample is an array of numbers, anything else an object with one key.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol


class Sample(NamedTuple):
    """One request; times in seconds since the schedule began."""

    number: int
    stage: int
    ask: int
    intended_s: float
    started_s: float
    ended_s: float
    status: int  # 0: no answer
    verdict: int  # as in answers.py
    error: int  # number of the error's name; -1: none
    busy: int  # 1: nobody was idle when it was due
    write: int  # number of its token; -1: no write


SAMPLE = "[%d,%d,%d,%.6f,%.6f,%.6f,%d,%d,%d,%d,%d]"


class Written(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> Any:
        """Take some lines."""

    def flush(self) -> None:
        """Let go of them."""


class Writer:
    """Collects lines, and writes them when told to."""

    def __init__(self, file: Written) -> None:
        self._file = file
        self._lines: list[str] = []
        self._errors: dict[str, int] = {}

    def sample(self, sample: Sample) -> None:
        """One more request."""
        self._lines.append(SAMPLE % sample)  # takes a fifth of the time of json.dumps

    def tell(self, name: str, value: Any) -> None:
        """Anything else."""
        self._lines.append(json.dumps({name: value}, separators=(",", ":")))

    def copy(self, lines: str) -> None:
        """What another writer has written."""
        self._lines.append(lines.rstrip("\n"))

    def error(self, words: str) -> int:
        """The number of an error, which is told when it first occurs."""
        if words not in self._errors:
            self._errors[words] = len(self._errors)
            self.tell("error", words)
        return self._errors[words]

    def flush(self) -> None:
        """Write what was collected."""
        lines, self._lines = self._lines, []
        if lines:
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()
