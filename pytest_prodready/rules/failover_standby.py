"""The rules of the failover suite that need a standby."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "14. Failover and recovery"

_STANDBY = frozenset(
    {
        Needs.SERVICE,
        Needs.REQUESTS,
        Needs.WRITES,
        Needs.DATABASE,
        Needs.FAULT_PROXY,
        Needs.DESTRUCTIVE,
        Needs.STANDBY,
    }
)

RULES = (
    Rule(
        id="failover.promotion-is-followed",
        claim="When the primary dies and the standby takes over, the service follows it without a restart.",
        why="A failover that the database survives and the service doesn't is an outage all the same.",
        how="PostgreSQL is killed, its streaming standby is promoted, and new connections are led to it.",
        remedy="Replace dead connections (pool_pre_ping, psycopg_pool check=…, node pg: pool.on('error', …)), connect by a name that follows "
        "the primary, and try again with pauses of a few seconds at most.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_STANDBY,
        limits="[failover] follow_within_s",
    ),
    Rule(
        id="failover.promotion-loses-nothing",
        claim="With synchronous replication no acknowledged write is lost in a failover; without, few are.",
        why="An acknowledged write that the promoted standby doesn't have is lost, and its user was told otherwise.",
        how="Writes are journalled all through the failover and read back from the promoted standby.",
        remedy="Use synchronous_standby_names, keep synchronous_commit on, and answer only when COMMIT has returned.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_STANDBY,
        limits="[failover] lost_writes",
    ),
    Rule(
        id="failover.read-only-primary-is-left",
        claim="Connections to a primary that was demoted to read-only are given up for the new primary.",
        why="A demoted primary keeps connections open and refuses writes: a pool that keeps them refuses every write.",
        how="The primary becomes a standby of its successor; new connections reach the successor, live ones stay.",
        remedy="Close the connection that answered SQLSTATE 25006 (SQLAlchemy: is_disconnect in handle_error, psycopg: connection.close(), pgxpool: "
        "Reset(), node pg: release(true)). target_session_attrs=read-write is heeded by new connections alone.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_STANDBY,
        limits="[failover] follow_within_s",
    ),
)
