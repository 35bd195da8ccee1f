"""What became of each write that was sent under load."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pytest_prodready.environment.database import Database
from pytest_prodready.generator.answers import NEVER_SENT, RIGHT
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.drill_ledger import ReadBack
from pytest_prodready.probes.drill_rows import rows_with

SERVER_ERROR = 500


def ledger(samples: Iterable[Sample], plan: Plan, read_back: ReadBack, database: Database | None) -> Ledger:
    """Read everything back that was acknowledged; what is unknown may be there or not."""
    by_outcome: dict[str, list[tuple[str, float]]] = {"acknowledged": [], "refused": [], "unknown": []}
    for each in samples:
        if each.write >= 0 and each.verdict != NEVER_SENT:
            by_outcome[_outcome(each)].append((f"{plan.prefix}{each.write:05d}", each.ended_s))
    acknowledged = dict(by_outcome["acknowledged"])
    rows = partial(rows_with, database) if database is not None and database.has_admin else None
    found, read_from, doubt = read_back.found(list(acknowledged), plan.prefix, rows)
    lost = [] if doubt else [token for token in acknowledged if not found.get(token)]
    return Ledger(
        acknowledged=len(acknowledged),
        refused=len(by_outcome["refused"]),
        unknown=len(by_outcome["unknown"]),
        lost=tuple(lost),
        lost_at_s=tuple(round(acknowledged[token], 3) for token in lost),
        twice=tuple(sorted(token for token, count in found.items() if count > 1)),
        refused_but_there=sum(bool(found.get(token)) for token, _ in by_outcome["refused"]),
        unknown_but_there=sum(bool(found.get(token)) for token, _ in by_outcome["unknown"]),
        read_from=read_from,
        doubt=doubt,
    )


def _outcome(sample: Sample) -> str:
    """What its client knows: a 5xx, and a success that looks like an error, may hide a commit."""
    if sample.verdict == RIGHT:
        return "acknowledged"
    return "refused" if 400 <= sample.status < SERVER_ERROR else "unknown"
