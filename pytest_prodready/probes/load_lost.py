"""A load whose generator, or one of its workers, is gone before the end: what is still told of it."""

from __future__ import annotations

from pytest_prodready.errors import ServerError
from pytest_prodready.probes.load import Load


class GeneratorLost(ServerError):
    """Who generates is gone in the middle of a load; what is left of it is no load that could be judged."""


def given_up(seen: Load, lost: str) -> str:
    """That a load was given up, and what was known of it by then."""
    due, answered = (sum(getattr(each, name) for each in seen.climb) for name in ("due", "answered"))
    at_s = max((each.at_s for each in seen.seconds), default=0.0)
    last = seen.stages[-1] if seen.stages else None
    p95 = f", p95 {last.response.p95.ms:.0f} ms at last" if last is not None and last.response else ""
    where = f"{at_s:.0f} s after its start, in stage {last.name}" if last is not None else "at its start"
    known = (
        f"; until then {answered} of the {due} requests of the climb that were told of were answered{p95}"
        if due
        else ""
    )
    return f"the load was given up {where}: {lost}{known}"
