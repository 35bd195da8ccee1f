"""Which requests of Locust's clients are under way: its listeners hear of those alone that have ended."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent

CutOff = Callable[[str, float], None]  # what was asked for, and when it was sent (monotonic)


class UnderWay:
    """Requests by number, and who is told of one whose user was stopped meanwhile."""

    def __init__(self, cut_off: CutOff) -> None:
        self._cut_off = cut_off
        self._numbers = itertools.count()
        self._sent: dict[int, float] = {}
        self.ever = False  # whether any was sent

    def __len__(self) -> int:
        return len(self._sent)

    def watch(self, *clients: Any) -> None:
        """From now on every request of these classes is known while it is under way."""
        for client in clients:
            client.request = self._watched(client.request)

    def _watched(self, request: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(request)
        def watched(client: Any, method: Any, url: Any, *rest: Any, **options: Any) -> Any:
            with self._one(f"{method} {options.get('name') or url}"):
                return request(client, method, url, *rest, **options)

        return watched

    @contextmanager
    def _one(self, what: str) -> Iterator[None]:
        number, sent = next(self._numbers), time.monotonic()
        self._sent[number] = sent
        self.ever = True
        try:
            yield
        except gevent.GreenletExit:
            self._cut_off(what, sent)
            raise
        finally:
            del self._sent[number]
