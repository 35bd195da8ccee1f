"""What every SQLAlchemy engine of this process sends while one test is under way.

It is on the way of each statement, so it does as little as can be: it notes, and others read later. The
dialect's events cost a third of the connection's, which have all other events of a connection looked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_prodready.in_process.hearing import hear, hear_no_more
from pytest_prodready.in_process.places import CONNECTS, Place, nearest

ABOVE = 3  # frames up, at least, stands whoever called SQLAlchemy


@dataclass(frozen=True, slots=True)
class Ran:
    """One statement that was sent; with several sets of parameters it is still one."""

    text: str
    place: Place | None = None  # None: no line but those of libraries was under way
    dialect: str = "postgresql"


@dataclass
class Recording:
    """The statements of one test, in order."""

    notes: list[tuple[Any, ...]] = field(default_factory=list)

    def statements(self) -> tuple[Ran, ...]:
        """What was noted, so that it can be read."""
        return tuple(
            Ran(text, None if isinstance(place, int) else Place.of(place), dialect.name)
            for text, place, dialect in self.notes
        )


class _Now:
    """The recording that is under way; a statement of any thread belongs to it."""

    recording: Recording | None = None


def listen() -> None:
    """Hear of the statements of all engines, those that exist too."""
    hear(_LISTENERS)


def forget() -> None:
    """Hear of nothing any more."""
    hear_no_more(_LISTENERS)


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record every statement that is sent inside the block."""
    outer, _Now.recording = _Now.recording, Recording()
    try:
        yield _Now.recording
    finally:
        _Now.recording = outer


def _sent(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
    recording = _Now.recording
    if recording is not None:
        place = nearest(sys._getframe(ABOVE))
        if place != CONNECTS:
            recording.notes.append((statement, place, context.dialect))


def _sent_alone(cursor: Any, statement: str, context: Any) -> None:
    recording = _Now.recording
    if recording is not None:
        place = nearest(sys._getframe(ABOVE))
        if place != CONNECTS:
            recording.notes.append((statement, place, context.dialect))


_LISTENERS: dict[str, Callable[..., Any]] = {
    "do_execute": _sent,
    "do_executemany": _sent,
    "do_execute_no_params": _sent_alone,
}
