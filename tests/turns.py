"""Whose turn it is among the workers of one session: a test marked `alone` has the machine to itself."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GATE, PLACE = "turns.gate", "turns.place"


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a place among those who run, or for the only one; the system frees it if we die."""
    with (folder / PLACE).open("a") as place:
        # Who waits to be alone holds the gate meanwhile, so that nobody new comes in.
        with (folder / GATE).open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(place, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
