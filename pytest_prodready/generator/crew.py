"""Who sends: users that wait for their turn, and who gives it to them when it is due."""

from __future__ import annotations

import time
from collections import deque

import gevent
from gevent.event import AsyncResult

from pytest_prodready.generator.schedule import Schedule, Slot


class Crew:
    """Hands each slot to an idle user when it is due; where nobody is idle, to the first who gets free.

    The user who came last is asked first, so that no more connections are used than are needed.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.began = 0.0  # monotonic
        self.under_way = 0
        self._idle: list[AsyncResult] = []
        self._due: deque[Slot] = deque()
        self._over = False

    @property
    def now_s(self) -> float:
        """Seconds since the schedule began."""
        return time.monotonic() - self.began

    @property
    def unsent(self) -> int:
        """How many requests are due and wait for a user."""
        return len(self._due)

    def next(self) -> tuple[Slot, bool] | None:
        """What to send now, and whether it had to wait for a user; None when there is nothing left."""
        if self._due:
            self.under_way += 1
            return self._due.popleft(), True
        if self._over:
            return None
        turn: AsyncResult = AsyncResult()
        self._idle.append(turn)
        slot = turn.get()
        return None if slot is None else (slot, False)

    def done(self) -> None:
        """One request has its answer, or never will."""
        self.under_way -= 1

    def run(self) -> None:
        """Give out the whole schedule; returns when the last slot was given."""
        while (slot := self.schedule.next()) is not None:
            self._wait_for(slot)
            if not self.schedule.dropped(slot):
                self._give(slot)
        self._over = True
        while self._idle:
            self._idle.pop().set(None)

    def _wait_for(self, slot: Slot) -> None:
        while (left := slot.at_s - self.now_s) > 0 and not self.schedule.dropped(slot):
            gevent.sleep(min(left, 0.1))

    def _give(self, slot: Slot) -> None:
        if self._idle:
            self.under_way += 1  # from now on, and not when the user wakes up
            self._idle.pop().set(slot)
        else:
            self._due.append(slot)
