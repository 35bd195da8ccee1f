"""What became of each write that was sent under load."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pytest_prodready.environment.database import Database
from pytest_prodready.generator.answers import NEVER_SENT, RIGHT
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.drill_ledger import ACKNOWLEDGED, REFUSED, UNKNOWN, ReadBack
from pytest_prodready.probes.drill_rows import rows_with

SERVER_ERROR = 500


def ledger(samples: Iterable[Sample], plan: Plan, read_back: ReadBack, database: Database | None) -> Ledger:
    """Read everything back that was acknowledged; what is unknown may be there or not."""
    writes = [
        (f"{plan.prefix}{each.write:05d}", _outcome(each), each.ended_s)
        for each in samples
        if each.write >= 0 and each.verdict != NEVER_SENT
    ]
    rows = partial(rows_with, database) if database is not None and database.has_admin else None
    return read_back.ledger(writes, plan.prefix, rows)


def _outcome(sample: Sample) -> str:
    """What its client knows: a 5xx, and a success that looks like an error, may hide a commit."""
    if sample.verdict == RIGHT:
        return ACKNOWLEDGED
    return REFUSED if 400 <= sample.status < SERVER_ERROR else UNKNOWN
