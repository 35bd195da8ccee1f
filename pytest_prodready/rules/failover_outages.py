"""The rules of the failover suite about a database that goes away again and again, or for long."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "14. Failover and recovery"
_OURS = frozenset({Needs.SERVICE, Needs.REQUESTS, Needs.DATABASE, Needs.FAULT_PROXY, Needs.DESTRUCTIVE})

OUTAGES = (
    Rule(
        id="failover.flapping-is-survived",
        claim="A database that comes and goes leaves the service with as many connections as before, and meets no storm.",
        why="Each return is the moment of the next fall: a retry storm keeps the database down, a leak takes the service down.",
        how="The database goes away for a second and comes back for a second, several times, while the proxy counts who connects.",
        remedy="One attempt to connect for each request at most, with a pause after a failure; give connections back on every path "
        "(with, defer Release and rows.Close, finally).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] accepts_per_s, recover_within_s",
    ),
    Rule(
        id="failover.long-outage-is-survived",
        claim="After a long outage of the database the same process serves again within seconds.",
        why="A backoff that doubles without end adds as much again to the outage, and a service that gives up adds a page at night.",
        how="Connections to the database are refused for long, then requests are sent until they are served.",
        remedy="Limit pauses between attempts to connect to a few seconds, and let no failed attempt end the process (no log.Fatal, no "
        "process.exit, no unhandled rejection).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] long_outage_s, long_recover_within_s",
    ),
)
