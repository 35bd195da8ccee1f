"""Which requests of Locust's clients are under way: its listeners hear of those alone that have ended."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent


@dataclass
class Sent:
    """One request under way."""

    what: str
    at: float  # monotonic
    user: Any  # the greenlet that waits for it
    late: bool = False  # it was given up, though its client goes on waiting


CutOff = Callable[[Sent], None]


class UnderWay:
    """Requests by number, and who is told of one whose user was stopped meanwhile."""

    def __init__(self, cut_off: CutOff) -> None:
        self._cut_off = cut_off
        self._numbers = itertools.count()
        self._sent: dict[int, Sent] = {}
        self._given_up: set[Any] = set()  # users whose next answer is one that nobody waits for any more
        self.ever = False  # whether any was sent

    def __len__(self) -> int:
        return len(self._sent)

    def watch(self, *clients: Any) -> None:
        """From now on every request of these classes is known while it is under way."""
        for client in clients:
            client.request = self._watched(client.request)

    def give_up(self, after_s: float) -> list[Sent]:
        """Those that have become so old since this was asked last."""
        now = time.monotonic()
        late = [each for each in self._sent.values() if not each.late and now - each.at >= after_s]
        for each in late:
            each.late = True
            self._given_up.add(each.user)
        return late

    def was_given_up(self) -> bool:
        """Whether that is so of the request that this user hears of now."""
        user = gevent.getcurrent()
        given_up = user in self._given_up
        self._given_up.discard(user)
        return given_up

    def _watched(self, request: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(request)
        def watched(client: Any, method: Any, url: Any, *rest: Any, **options: Any) -> Any:
            with self._one(f"{method} {options.get('name') or url}"):
                return request(client, method, url, *rest, **options)

        return watched

    @contextmanager
    def _one(self, what: str) -> Iterator[None]:
        number, sent = next(self._numbers), Sent(what, time.monotonic(), gevent.getcurrent())
        self._given_up.discard(sent.user)  # of one before, whose end was never told
        self._sent[number] = sent
        self.ever = True
        try:
            yield
        except gevent.GreenletExit:
            if not sent.late:
                self._cut_off(sent)
            raise
        finally:
            del self._sent[number]
