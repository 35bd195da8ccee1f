"""The rule of the failover suite about a database that moves to another address."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

MOVED = (
    Rule(
        id="failover.moved-address-is-followed",
        claim="When the database's name moves to another address, new connections go there without a restart.",
        why="Managed databases fail over by changing a DNS record: who keeps the old address stays down until it is restarted.",
        how="The service is started with a name for its database that it alone sees; the old address dies, "
        "and a second later the name leads to another one.",
        remedy="Look the name up for each connection: give the driver the host name and no address (no gethostbyname at start, "
        "no hostaddr); on the JVM set networkaddress.cache.ttl=5.",
        level=Level.SHOULD,  # a name can be moved on Linux only, and not everywhere
        checklist="14. Failover and recovery",
        needs=frozenset(
            {
                Needs.SERVICE,
                Needs.PROCESS,
                Needs.REQUESTS,
                Needs.DATABASE,
                Needs.FAULT_PROXY,
                Needs.DESTRUCTIVE,
            }
        ),
        limits="[failover] moved_within_s",
    ),
)
