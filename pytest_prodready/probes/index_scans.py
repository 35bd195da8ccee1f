"""How the service's tables are read while its declared requests are sent: by index, or from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_prodready.environment.database import Database
from pytest_prodready.probes.index_facts import Table
from pytest_prodready.probes.indexes import tables
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

ANSWER_WITHIN_S = 10.0
ROUNDS = 3
# A backend tells the server what it has read at the end of a transaction, and once a second at most.
ROUND_S = 1.1


@dataclass(frozen=True, slots=True)
class Scans:
    """Reads of each table by the declared requests, and on a server that was there before by everyone."""

    origin: Literal["gate", "external"]
    requests: int  # sent
    expected: int  # answered as declared
    during: tuple[Table, ...] = ()  # scans while they were sent
    ever: tuple[Table, ...] = ()  # since the counters were reset
    doubt: str = ""  # why nothing was counted


def scans(database: Database, traffic: Traffic, settings: Settings, progress: Callable[[str], None]) -> Scans:
    """Send each declared request a few times, and count how the tables are read meanwhile."""
    if not database.count_own_reads():
        return Scans(database.origin, 0, 0, doubt="sessions of the gate's own, just closed, still read")
    before = {each.name: each for each in tables(database)}
    answers = []
    for number in range(ROUNDS):
        progress(f"counting scans: round {number + 1} of {ROUNDS}")
        began = time.monotonic()
        answers += [traffic.send(request, ANSWER_WITHIN_S) for request in settings.traffic]
        if number < ROUNDS - 1:
            _wait_until(began + ROUND_S)
    after = tables(database)
    return Scans(
        origin=database.origin,
        requests=len(answers),
        expected=sum(each.expected for each in answers),
        during=tuple(_since(before, each) for each in after),
        ever=after,
    )


def _wait_until(when: float) -> None:
    while (left := when - time.monotonic()) > 0:
        time.sleep(left)


def _since(before: Mapping[str, Table], table: Table) -> Table:
    earlier = before.get(table.name, table)
    return Table(
        table.name,
        table.rows,
        table.partitioned,
        table.parent,
        max(0, table.seq_scans - earlier.seq_scans),
        max(0, table.index_scans - earlier.index_scans),
    )
