"""A few words behind the running test that say what is being done, for how long, and how much is left."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TextIO

REDRAW_S = 0.5
ROOM = 24  # columns; with less, nothing is said


class StatusLine:
    """Writes to the real terminal, past pytest's capture; does nothing where there is no terminal."""

    def __init__(self, *, enabled: bool) -> None:
        self._terminal: TextIO | None = _terminal() if enabled else None
        self._step_began = time.monotonic()
        self._text = ""
        self._column = 0
        self._lock = threading.Lock()
        self._shown = False
        self._done = threading.Event()
        self._ends: float | None = None  # when it should be over, by how long the last run took
        if self._terminal is not None:
            threading.Thread(target=self._redraw, name="prodready-status", daemon=True).start()

    def expect(self, seconds: float) -> None:
        """Say from now on how much of this time is left."""
        self._ends = time.monotonic() + seconds

    def follow(self, nodeid: str) -> None:
        """Stand behind this test's name, which pytest has just written."""
        with self._lock:
            self._column = len(nodeid) + 1

    def update(self, text: str) -> None:
        """Say what is done now."""
        with self._lock:
            self._text, self._step_began = text, time.monotonic()
            self._draw()

    def clear(self) -> None:
        """Remove the line, for the next test's line to stand there."""
        with self._lock:
            self._text = ""
            self._erase()

    def close(self) -> None:
        """Remove the line for good."""
        self._done.set()
        self.clear()
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def _redraw(self) -> None:
        while not self._done.wait(REDRAW_S):
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if self._terminal is None or not self._text or self._done.is_set():
            return
        now = time.monotonic()
        line = f"… {self._text} ({now - self._step_began:.0f} s){self._left(now)}"
        room = os.get_terminal_size(self._terminal.fileno()).columns - self._column - 2
        if room < ROOM:
            return
        # After the test's name on its own line, and back: pytest then writes the result over it.
        self._terminal.write(f"\0337\033[K {line[:room]}\0338")
        self._terminal.flush()
        self._shown = True

    def _left(self, now: float) -> str:
        if self._ends is None:
            return ""
        left = self._ends - now
        return f", about {left:.0f} s left" if left > 0 else ", longer than last time"

    def _erase(self) -> None:
        if self._terminal is not None and self._shown:
            self._terminal.write("\033[K")
            self._terminal.flush()
            self._shown = False


def _terminal() -> TextIO | None:
    """The terminal behind stdout; pytest replaces stdout itself while tests run."""
    try:
        if not sys.__stdout__ or not sys.__stdout__.isatty():
            return None
        return os.fdopen(os.dup(sys.__stdout__.fileno()), "w")
    except (OSError, ValueError):
        return None
