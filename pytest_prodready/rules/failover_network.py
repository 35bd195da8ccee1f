"""The rules of the failover suite about a database that is there, and whose network isn't."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "14. Failover and recovery"
_OURS = frozenset({Needs.SERVICE, Needs.REQUESTS, Needs.DATABASE, Needs.FAULT_PROXY, Needs.DESTRUCTIVE})

STALLED = (
    Rule(
        id="failover.stall-is-bounded",
        claim="When the database stops answering in the middle of everything, each request is still answered in time.",
        why="A frozen disk or a hung switch closes no connection: whoever waits without a deadline waits for ever, with a worker.",
        how="The proxy holds back all data both ways for longer than the deadline, under requests on an open schedule.",
        remedy="Give every request a deadline of its own that ends the wait for the database too (asyncio.timeout, a context with "
        "timeout in Go, query_timeout in node pg, psycopg without asyncio: a timer that shuts the connection's socket down), "
        "answer 503, and close the connection that was waited for. statement_timeout doesn't help: the server's word doesn't arrive.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] deadline_s, recover_within_s",
    ),
    Rule(
        id="failover.dead-peer-is-noticed",
        claim="Connections whose other end has vanished are noticed within the limit, and the service recovers.",
        why="A host that loses power says no goodbye: TCP alone goes on sending for a quarter of an hour.",
        how="Every packet between service and proxy is dropped in the kernel, new connections included, for longer than the limit.",
        remedy="Set keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=5000 and connect_timeout=2 (libpq; "
        "Go and Node know the last as a timeout of dialling), or a deadline for each request that covers connecting too.",
        level=Level.SHOULD,  # packets can be dropped by the built-in proxy only, and not everywhere
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] dead_peer_within_s, recover_within_s",
    ),
)

SLOW = (
    Rule(
        id="failover.slow-database-is-isolated",
        claim="When the database is slow, requests are served or refused in time, and those that don't need it stay fast.",
        why="A slow database takes down what would have worked without it: workers all wait, health checks among them fail.",
        how="Every answer of the database is delayed by a second, with requests that need it and others that don't side by side.",
        remedy="Bound the wait for a connection (to 1 s, say), answer 503 beyond it, and let no wait for the database hold a worker "
        "that others need (async driver; gunicorn: --worker-class gthread with more --threads than can wait; a limit on requests in flight).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_OURS,
        limits="[failover] deadline_s, slowdown",
    ),
)
