"""The replica that the service reads from stops replaying; what was written since is read back all along."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pytest_prodready.environment.database import Database
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.standby import Standby
from pytest_prodready.probes.drill import Sent
from pytest_prodready.probes.drill_ledger import Journal
from pytest_prodready.probes.drill_scene import steadied
from pytest_prodready.probes.health import wait_until
from pytest_prodready.probes.shutdown import traffic_to
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Settings

ROUNDS = 5
FELT_WITHIN_S = 10.0  # some services need a while until they trust a replica
WRITES = 8
WRITE_EVERY_S = 0.5
READ_EVERY_S = 0.5
BEYOND_S = 1.5  # after the last write is as old as may be, it is read for so long
AGAIN_S = 5.0  # beyond the limit, freshness is waited for so much longer


@dataclass(frozen=True, slots=True)
class Read:
    """One try to read a write back; `shown` is whether the answer had it."""

    age_s: float  # of the write's acknowledgement, when the read was sent
    seconds: float
    status: int | None
    shown: bool
    error: str = ""

    @property
    def refused_politely(self) -> bool:
        """Whether it was told that the service can't serve now (503, or 429)."""
        return self.status in (429, 503)

    @property
    def missing(self) -> bool:
        """Whether the answer tells that the write isn't there."""
        return not self.shown and self.status is not None and self.status < 500 and not self.refused_politely


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A write that was acknowledged while nothing was replayed, and the tries to read it meanwhile."""

    reads: tuple[Read, ...] = ()  # by age

    @property
    def shown_after_s(self) -> float | None:
        """How old it was when it was first shown; None: never."""
        return next((each.age_s + each.seconds for each in self.reads if each.shown), None)


@dataclass(frozen=True, slots=True)
class Staleness:
    """What a service showed of its writes while its replica replayed nothing, and afterwards."""

    doubt: str = ""  # why nothing was tried
    asked: int = 0  # requests sent to find out whether they reach the replica
    read_there: int = 0  # statements on the replica that read data meanwhile
    paused_s: float = 0.0
    lag_bytes: int = 0  # at the end of the pause
    attempts: tuple[Sent, ...] = ()  # writes
    written: tuple[ReadBack, ...] = ()  # those acknowledged
    fresh_again_s: float | None = None  # from the end of the pause until all of them were shown
    alive: bool = True
    steady_after: bool = False
    unsteady: str = ""


def stale_replica(environment: Environment, settings: Settings, progress: Callable[[str], None]) -> Staleness:
    """Start a service that reads from a standby, pause replay, and read back what is written meanwhile."""
    assert settings.writes is not None
    progress("replica: starting a standby and a service that reads from it")
    # Of a synchronous one commits may await the replay (remote_apply): then nothing stale is acknowledged.
    mode = settings.failover.standby or "asynchronous"
    with environment.read_replica(mode) as replica, traffic_to(replica.application, settings) as traffic:
        application = replica.application
        journal = Journal(traffic, settings.writes, settings.failover.deadline_s)
        if doubt := steadied(traffic, settings, lambda: not application.alive) or journal.try_one():
            return Staleness(f"the service was not steady before the fault: {doubt}")
        progress("replica: reading from it")
        seen = _felt(replica.standby.database, traffic, settings)
        if not seen.read_there:
            return seen
        seen = _paused(replica.standby, Writing(traffic, settings), seen, progress)
        progress("replica: waiting for the steady state")
        unsteady = steadied(traffic, settings, lambda: not application.alive)
        return replace(seen, alive=application.alive, steady_after=not unsteady, unsteady=unsteady)


def _felt(database: Database, traffic: Traffic, settings: Settings) -> Staleness:
    """Send requests until as many of them have read data on the standby as there are rounds."""
    assert settings.writes is not None
    end = time.monotonic() + FELT_WITHIN_S
    requests = (*settings.traffic, settings.writes.read_back) * ROUNDS
    while True:
        before = reading_statements(database)
        for request in requests:
            traffic.send(request, settings.failover.deadline_s)
        there = reading_statements(database) - before
        if there >= ROUNDS or time.monotonic() > end:
            return Staleness(asked=len(requests), read_there=there if there >= ROUNDS else 0)
        wait_until(time.monotonic() + 0.2)


def reading_statements(database: Database) -> int:
    """How many statements of the service have read data there; asking for the lag alone reads none."""
    query = (
        "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s"
        " JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = %s"
        " AND s.shared_blks_hit + s.shared_blks_read > 0"
    )
    with database.admin(database="postgres") as admin:
        row = admin.execute(query.encode(), (database.user,)).fetchone()
    return int(row[0]) if row else 0


def _paused(
    standby: Standby, writing: Writing, seen: Staleness, progress: Callable[[str], None]
) -> Staleness:
    with standby.replay_paused():
        began = time.monotonic()
        progress(f"replica: replay paused for {writing.lasts_s:g} s, reading back what is written meanwhile")
        attempts, written = writing.run()
        lag = standby.lag.bytes
        paused_s = time.monotonic() - began
    fresh_again_s = writing.shown_again()
    return replace(
        seen,
        paused_s=round(paused_s, 3),
        lag_bytes=lag,
        attempts=attempts,
        written=written,
        fresh_again_s=fresh_again_s,
    )


class Writing:
    """Writes a few times, and reads each acknowledged write over and over until all are old enough."""

    def __init__(self, traffic: Traffic, settings: Settings) -> None:
        assert settings.writes is not None
        self._traffic, self._writes, self._limits = traffic, settings.writes, settings.failover
        self._prefix = f"prodready{secrets.token_hex(4)}x"
        self._acknowledged: list[str] = []
        self._began = 0.0

    @property
    def lasts_s(self) -> float:
        """How long it takes in all: until the last write is older than may be."""
        return (WRITES - 1) * WRITE_EVERY_S + self._limits.stale_within_s + BEYOND_S

    def run(self) -> tuple[tuple[Sent, ...], tuple[ReadBack, ...]]:
        """Every attempt to write, and what was read of those acknowledged."""
        self._began = time.monotonic()
        with ThreadPoolExecutor(WRITES, "prodready-replica") as threads:
            done = list(threads.map(self._write_and_read, range(WRITES)))
        return tuple(sent for sent, _ in done), tuple(back for _, back in done if back is not None)

    def shown_again(self) -> float | None:
        """The seconds from now until every acknowledged write is shown; None: not in time."""
        began = time.monotonic()
        missing = list(self._acknowledged)

        def all_shown() -> bool:
            missing[:] = [token for token in missing if not self._read(token, began).shown]
            return not missing

        within_s = self._limits.stale_within_s + AGAIN_S
        shown = wait_until(began + within_s, all_shown, every_s=0.1)
        return round(time.monotonic() - began, 3) if shown else None

    def _write_and_read(self, number: int) -> tuple[Sent, ReadBack | None]:
        wait_until(self._began + number * WRITE_EVERY_S)
        token, sent_at = f"{self._prefix}{number:05d}", time.monotonic()
        answer = self._traffic.send(self._writes.create, self._limits.deadline_s, token)
        sent = Sent(
            "write",
            round(sent_at - self._began, 4),
            round(answer.seconds, 4),
            answer.status,
            answer.expected,
            answer.error,
        )
        if not answer.expected:
            return sent, None
        acknowledged_at, reads = time.monotonic(), []
        self._acknowledged.append(token)
        while (now := time.monotonic()) < self._began + self.lasts_s:
            reads.append(self._read(token, acknowledged_at))
            wait_until(now + READ_EVERY_S)
        return sent, ReadBack(tuple(reads))

    def _read(self, token: str, since: float) -> Read:
        age_s = time.monotonic() - since
        answer = self._traffic.send(self._writes.read_back, self._limits.deadline_s, token)
        shown = answer.expected and token in answer.body
        return Read(round(age_s, 3), round(answer.seconds, 4), answer.status, shown, answer.error)
