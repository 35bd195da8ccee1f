"""Which of the declared requests run statements on the database each time they are sent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request

REPEATS = 3
UNKNOWN = Request(path="/prodready-unknown-path", name="an unknown path", expect=tuple(range(200, 500)))


class Counted(Protocol):
    """A database that counts the statements of the service."""

    def statements(self) -> int:
        """Statements that the service's role has run so far."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one declared request does to the database."""

    request: str
    answered: bool  # every one of the repeats got its declared answer
    statements: float  # per request, when repeated, less what an idle service runs
    seconds: float  # median


def usage(traffic: Traffic, database: Counted, requests: Sequence[Request]) -> tuple[Usage, ...]:
    """Send each request a few times, one at a time, and count the statements that it causes."""
    idle_per_s = _idle_rate(database)
    return tuple(_one(traffic, database, request, idle_per_s) for request in requests)


def cached(requests: Sequence[Request], used: Sequence[Usage]) -> tuple[Request, ...]:
    """The requests that ran no statement when they were repeated: a cache answers them, until it expires."""
    quiet = {each.request for each in used if each.answered and each.statements < 0.1}
    return tuple(request for request in requests if request.label in quiet)


def runs_no_statement(traffic: Traffic, database: Counted, request: Request, deadline_s: float) -> bool:
    """Whether a request is answered as declared and needs no database."""
    before = database.statements()
    answers = [traffic.send(request, deadline_s) for _ in range(REPEATS)]
    return all(each.expected for each in answers) and database.statements() - before < REPEATS


def holders(requests: Sequence[Request], used: Sequence[Usage]) -> tuple[Request, ...]:
    """The requests that certainly take a database connection each time, cheapest first."""
    ranks = {seen.request: seen.seconds for seen in used if seen.answered and seen.statements >= 1}
    return tuple(sorted((r for r in requests if r.label in ranks), key=lambda r: ranks[r.label]))


def _one(traffic: Traffic, database: Counted, request: Request, idle_per_s: float) -> Usage:
    traffic.send(request, deadline_s=10)  # fills the caches, so that what remains is what repeats
    before, began = database.statements(), time.monotonic()
    answers = [traffic.send(request, deadline_s=10) for _ in range(REPEATS)]
    caused = database.statements() - before - idle_per_s * (time.monotonic() - began)
    return Usage(
        request=request.label,
        answered=all(answer.expected for answer in answers),
        statements=caused / REPEATS,
        seconds=sorted(answer.seconds for answer in answers)[REPEATS // 2],
    )


def _idle_rate(database: Counted, watch_s: float = 0.3) -> float:
    """Statements a second of a service that nobody asks for anything."""
    before, began = database.statements(), time.monotonic()
    deadline = began + watch_s
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(left)
    return (database.statements() - before) / (time.monotonic() - began)
