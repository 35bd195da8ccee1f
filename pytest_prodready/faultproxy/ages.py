"""Connections chosen by when they were opened: those that were there, or those that come."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from pytest_prodready.faultproxy import bodies
from pytest_prodready.faultproxy.refusals import bad_body


@dataclass(frozen=True, slots=True)
class Ages:
    """A span of opening times, fixed when the toxic comes: a connection is concerned for good, or never."""

    given: dict[str, int] = field(default_factory=dict)  # ms, as it was asked for
    since: float = -math.inf  # by the monotonic clock
    until: float = math.inf

    def include(self, opened_at: float) -> bool:
        """Whether a connection that was opened then is concerned."""
        return self.since <= opened_at <= self.until


EVERY_AGE = Ages()


def read(fields: bodies.Fields) -> Ages:
    """What a toxic's `only` says: `older_than`, `younger_than`, both, or nothing."""
    only = bodies.as_fields(fields.get("only"), "only")
    given = {name: _milliseconds(only, name) for name in ("older_than", "younger_than") if name in only}
    now = time.monotonic()  # which the loop's clock is, too
    return Ages(
        given,
        since=now - given["younger_than"] / 1000 if "younger_than" in given else -math.inf,
        until=now - given["older_than"] / 1000 if "older_than" in given else math.inf,
    )


def _milliseconds(only: bodies.Fields, name: str) -> int:
    value = bodies.integer(only, name, 0)
    if value < 0:
        raise bad_body(f"{name} is {value} ms, must be at least 0")
    return value
