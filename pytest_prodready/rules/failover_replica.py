"""The rule of the failover suite about a replica that the service reads from."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "14. Failover and recovery"

REPLICA = (
    Rule(
        id="failover.replica-reads-are-fresh",
        claim="What was acknowledged is soon seen by the service's own reads, also when its replica lags behind.",
        why="A replica that stops replaying answers as quickly as ever: users miss what they saved, and save it again.",
        how="The service reads from a standby whose replay is paused; writes go on, and each is read back all along.",
        remedy="Compare what the replica has replayed with what the primary has written, and read from the primary beyond a limit.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset(
            {
                Needs.SERVICE,
                Needs.PROCESS,
                Needs.REQUESTS,
                Needs.WRITES,
                Needs.DATABASE,
                Needs.FAULT_PROXY,
                Needs.DESTRUCTIVE,
                Needs.REPLICA,
            }
        ),
        limits="[failover] stale_within_s",
    ),
)
