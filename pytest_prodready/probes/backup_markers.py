"""Writes of the service just before a backup, looked for in the restored database: that is what RPO means."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import psycopg

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.waiting import comes_true
from pytest_prodready.probes.backup_facts import Markers
from pytest_prodready.probes.drill_rows import rows_with
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import WritesSettings

WRITES = 5
DEADLINE_S = 10.0
SETTLE_S = 3.0  # an acknowledged write may come later to the database
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens of acknowledged writes in their order, and when each was acknowledged (monotonic)."""

    prefix: str
    tokens: tuple[str, ...]
    acknowledged_at: tuple[float, ...]
    unusable: str = ""


def written(traffic: Traffic, writes: WritesSettings, database: Database) -> Written:
    """Write a few times through the service, and wait until the database has all that was acknowledged."""
    prefix = f"prodready{secrets.token_hex(4)}x"
    tokens, times, refusal = [], [], "no answer"
    for number in range(WRITES):
        token = f"{prefix}{number:05d}"
        answer = traffic.send(writes.create, DEADLINE_S, token)
        if answer.expected:
            tokens.append(token)
            times.append(time.monotonic())
        else:
            refusal = str(answer.status or answer.error)
    if not tokens:
        return Written(prefix, (), (), f"no write was acknowledged: {refusal}")
    try:
        if not comes_true(lambda: len(rows_with(database, prefix)) >= len(tokens), SETTLE_S, POLL_S):
            return Written(prefix, (), (), "acknowledged writes can't be found in the service's own database")
    except psycopg.Error as error:
        return Written(prefix, (), (), f"the service's own database can't be searched for writes: {error}")
    return Written(prefix, tuple(tokens), tuple(times))


def recovered(known: Written, restored: Database, began: float) -> Markers:
    """How many of the writes are in the restored database; `began` is when its backup did (monotonic)."""
    if known.unusable:
        return Markers(0, 0, 0.0, unusable=known.unusable)
    try:
        found = rows_with(restored, known.prefix)
    except psycopg.Error as error:
        return Markers(0, 0, 0.0, unusable=f"the restored database can't be searched for writes: {error}")
    there = [at for token, at in zip(known.tokens, known.acknowledged_at, strict=True) if token in found]
    lost = [token for token in known.tokens if token not in found]
    age = began - (there[-1] if there else known.acknowledged_at[0])
    return Markers(len(known.tokens), len(there), round(age, 3), lost[0] if lost else "")
