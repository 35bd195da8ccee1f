"""The rules of the failover suite: a server fails and comes back, and the service lives through it."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule
from pytest_prodready.rules.failover_moved import MOVED
from pytest_prodready.rules.failover_network import SLOW, STALLED
from pytest_prodready.rules.failover_outages import OUTAGES
from pytest_prodready.rules.failover_redis import REDIS_RULES
from pytest_prodready.rules.failover_replica import REPLICA
from pytest_prodready.rules.failover_standby import RULES as STANDBY

CHECKLIST = "14. Failover and recovery"

_OURS = frozenset({Needs.SERVICE, Needs.REQUESTS, Needs.DATABASE, Needs.FAULT_PROXY, Needs.DESTRUCTIVE})
_WRITES = _OURS | {Needs.WRITES}

RULES = (
    Rule(
        id="failover.outage-is-survived",
        claim="While the database refuses connections, requests are refused quickly; soon after it is back they are served.",
        why="A short outage of the database must stay short: a service that hangs, dies or sticks makes it a long one.",
        how="Connections to the database are cut and refused for a while, under requests on an open schedule.",
        remedy="Answer errors of the connection with 503 at once, keep the process alive, and let the pool connect again. Wait for a "
        "connection half a second at most (SQLAlchemy pool_timeout, psycopg_pool timeout, node pg connectionTimeoutMillis, pgxpool "
        "a context of its own for Acquire), and handle errors of idle ones (node pg: pool.on('error', …)).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] refuse_within_s, recover_within_s",
    ),
    *STALLED,
    Rule(
        id="failover.crash-loses-no-write",
        claim="No write that was acknowledged is lost when the database crashes.",
        why="Whoever got a 201 will not send it again: what is gone then is gone for ever, and nobody knows.",
        how="Writes are journalled and sent while PostgreSQL is killed and started again; then all are read back.",
        remedy="Answer only when COMMIT has returned, and leave synchronous_commit and fsync on.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_WRITES,
    ),
    Rule(
        id="failover.no-write-twice",
        claim="A write whose answer was lost is there once, also when it is sent again with the same key.",
        why="A COMMIT whose answer is lost may have happened; a blind retry then charges or orders twice.",
        how="Connections are cut while COMMIT has written and not answered; such writes are sent again with their key.",
        remedy="Never repeat a write whose outcome is unknown without a unique key that the database checks.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_WRITES,
    ),
    *STANDBY,
    *REPLICA,
    *SLOW,
    *OUTAGES,
    *MOVED,
    *REDIS_RULES,
)
