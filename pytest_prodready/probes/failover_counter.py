"""Redis executes increments and its answers are lost; then the number is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pytest_prodready.environment.cache import Cache
from pytest_prodready.environment.environment import Environment
from pytest_prodready.faults import Proxied
from pytest_prodready.probes.drill import Sent
from pytest_prodready.probes.drill_scene import Scene, renew
from pytest_prodready.probes.failover_redis import redis_of
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.redis_costs import commands_of
from pytest_prodready.probes.traffic import Answer, Traffic
from pytest_prodready.settings import CounterSettings, Settings

ROUNDS = 5
EXECUTED_WITHIN_S = 1.0
READY_WITHIN_S = 5.0
QUIET_S = 1.5  # a number that stays the same for so long has seen every late resend
SETTLED_WITHIN_S = 8.0
BUSY_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Counted:
    """What clients were told of their increments, and how far the number moved."""

    doubt: str = ""
    answers: tuple[Sent, ...] = ()  # request: calm or cut
    executed: int = 0  # increments whose answers were swallowed after Redis had executed something
    moved: int | None = None  # the number at the end, less the number at the beginning
    stuck: str = ""  # what became of increments that never worked again after a lost answer

    @property
    def acknowledged(self) -> int:
        """Increments whose clients were told that they count."""
        return sum(each.expected for each in self.answers)

    @property
    def attempted(self) -> int:
        """Increments that were sent."""
        return len(self.answers)


def redis_counter(
    environment: Environment, traffic: Traffic, settings: Settings, progress: Callable[[str], None]
) -> Counted:
    """Count in calm and with answers lost, in turns; then read the number until it rests."""
    cache, proxied = redis_of(environment)
    counter = settings.failover.counter
    assert counter is not None
    counting = Counting(cache, proxied, traffic, counter, settings.failover.deadline_s)
    scene = Scene(environment, traffic, settings, progress)
    before = counting.number_in_calm()
    if before is None and renew(scene):  # an earlier fault may have left it so
        before = counting.number_in_calm()
    if before is None:
        return Counted(doubt=f"the number could not be read before anything was broken: {counting.unread}")
    if doubt := counting.calm() or counting.is_moved(before):
        return Counted(doubt=doubt)
    for number in range(ROUNDS):
        progress(f"losing the answer to an increment, {number + 1} of {ROUNDS}")
        counting.cut()
        if doubt := counting.calm():
            renew(scene)
            stuck = f"{READY_WITHIN_S:g} s after an answer was lost {doubt}"
            return Counted(answers=tuple(counting.answers), executed=counting.executed, stuck=stuck)
    progress("reading the number until it rests")
    after = counting.rested()
    if environment.application is not None:
        environment.application.ensure_ready()
    moved = None if after is None else after - before
    return Counted("", tuple(counting.answers), counting.executed, moved)


class Counting:
    """Increments, and what became of them."""

    def __init__(
        self, cache: Cache, proxied: Proxied, traffic: Traffic, counter: CounterSettings, deadline_s: float
    ) -> None:
        self._cache, self._proxied, self._traffic = cache, proxied, traffic
        self._counter, self._deadline_s = counter, deadline_s
        self._began = time.monotonic()
        self.answers: list[Sent] = []
        self.executed = 0
        self.unread = ""  # why the number was not read the last time

    def calm(self) -> str:
        """Increment until one is acknowledged; returns what is wrong if none is."""

        def acknowledged() -> bool:
            answer = self._traffic.send(self._counter.increment, self._deadline_s)
            self._note("calm", answer)
            return answer.expected

        if wait_until(time.monotonic() + READY_WITHIN_S, acknowledged, BUSY_EVERY_S):
            return ""
        return f"an increment got {self.answers[-1].kind}"

    def is_moved(self, before: int) -> str:
        """Whether an increment adds one to the number that is read; returns what is wrong if not.

        Connections that an earlier loss of Redis left dead may have cost some increments their answers.
        """
        acknowledged = sum(each.expected for each in self.answers)

        def moved() -> bool:
            number = self.number()
            return number is not None and acknowledged <= number - before <= len(self.answers)

        if wait_until(time.monotonic() + QUIET_S, moved, 0.05):
            return ""
        return (
            f"{len(self.answers)} increments, {acknowledged} of them acknowledged, moved the number"
            f" from {before} to {self.number()}"
        )

    def cut(self) -> None:
        """Send one increment whose answer is swallowed; once Redis has executed it its connection is cut."""
        before = commands_of(self._cache)
        with self._proxied.answers_lost():
            flight = self._traffic.start([self._counter.increment], 1, self._deadline_s)
            end = time.monotonic() + EXECUTED_WITHIN_S
            # Answered already: it didn't wait for Redis, or was refused without asking.
            wait_until(end, lambda: bool(commands_of(self._cache) - before) or not flight.unanswered)
            self.executed += bool(commands_of(self._cache) - before)
        self._note("cut", flight.join()[0])

    def rested(self) -> int | None:
        """The number, after it has stayed the same for a while."""
        end = time.monotonic() + SETTLED_WITHIN_S
        number, since = self.number(), time.monotonic()
        while time.monotonic() < end and (number is None or time.monotonic() - since < QUIET_S):
            wait_until(time.monotonic() + 0.1)
            if (now := self.number()) != number:
                number, since = now, time.monotonic()
        return number

    def number_in_calm(self) -> int | None:
        """The number, as soon as it can be read; None: it can't be for a while."""
        number: int | None = None

        def read() -> bool:
            nonlocal number
            number = self.number()
            return number is not None

        wait_until(time.monotonic() + READY_WITHIN_S, read, BUSY_EVERY_S)
        return number

    def number(self) -> int | None:
        """The number as the service tells it; None: it doesn't."""
        answer = self._traffic.send(self._counter.read, self._deadline_s)
        number = number_in(answer.body, self._counter.value) if answer.expected else None
        self.unread = "its answer holds none, or several" if answer.expected else f"got {_kind(answer)}"
        return number

    def _note(self, name: str, answer: Answer) -> None:
        at_s = time.monotonic() - self._began - answer.seconds
        self.answers.append(
            Sent(name, round(at_s, 3), round(answer.seconds, 4), answer.status, answer.expected, answer.error)
        )


def _kind(answer: Answer) -> str:
    return answer.error if answer.status is None else str(answer.status)


def number_in(body: str, place: str = "") -> int | None:
    """The number in an answer: at a place such as `stats.views`, else the only one there is."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    for key in place.split(".") if place else ():
        data = data.get(key) if isinstance(data, dict) else None
    found = list(_numbers(data))
    return found[0] if len(found) == 1 else None


def _numbers(data: Any) -> Iterator[int]:
    if isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _numbers(each)
    elif isinstance(data, int) and not isinstance(data, bool):
        yield data
    elif isinstance(data, str):
        with suppress(ValueError):
            yield int(data)
