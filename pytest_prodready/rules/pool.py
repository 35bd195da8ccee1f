"""The rules of the pool suite: size, exhaustion, leaks, locks, lost connections."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "5. Database connection pooling"

_BLACK_BOX = frozenset({Needs.SERVICE, Needs.DATABASE, Needs.ADMIN, Needs.REQUESTS})
_FAULTS = _BLACK_BOX | {Needs.FAULT_PROXY, Needs.POOL, Needs.DESTRUCTIVE}
_LOCKS = _BLACK_BOX | {Needs.POOL, Needs.DESTRUCTIVE}

RULES = (
    Rule(
        id="pool.fits-server",
        claim="All pools of all replicas together fit into max_connections with room to spare.",
        why="The replica that starts last finds no connection left, typically during the deploy that scales out.",
        how="workers * replicas * pool size is compared with max_connections less the reserved ones.",
        remedy="Lower the pool size or the number of replicas, raise max_connections, or put PgBouncer in between.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.ADMIN, Needs.POOL, Needs.SERVER_SETTINGS}),
        limits="[pool] spare",
    ),
    Rule(
        id="pool.bounded",
        claim="However many requests arrive, the service opens no more connections than its pool declares.",
        why="A service that opens a connection per request takes the whole server down, and every other service with it.",
        how="Far more requests than the pool's size are held at once, and the service's backends are counted.",
        remedy="Set pool_size and max_overflow (SQLAlchemy), max_size (psycopg_pool), max (node pg); no NullPool.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_FAULTS,
        limits="[pool] size",
    ),
    Rule(
        id="pool.checkout-times-out",
        claim="Asking a full pool for one more connection fails within the limit.",
        why="The default waits of pools (30 s in SQLAlchemy and psycopg_pool, for ever in node pg) outlive every client.",
        how="In process, every connection of the engine's pool is checked out, then one more is asked for.",
        remedy="Set pool_timeout=1 (SQLAlchemy), timeout=1 (psycopg_pool), connectionTimeoutMillis: 1000 (node pg).",
        level=Level.SHOULD,  # only a Python service can be looked at in process
        checklist=CHECKLIST,
        needs=frozenset({Needs.ENGINE, Needs.DATABASE}),
        limits="[pool] refuse_within_s",
    ),
    Rule(
        id="pool.excess-is-refused",
        claim="When every connection is busy, further requests are refused with 503 within the limit.",
        why="Requests that wait for a connection hold workers; one slow query then takes the whole service down.",
        how="Every pooled connection is held by a stall at the fault proxy, then more requests are sent.",
        remedy="Give the pool a checkout timeout (SQLAlchemy pool_timeout=1, psycopg_pool timeout=1.5, node pg "
        "connectionTimeoutMillis: 1000, pgxpool a context of 1 s for Acquire) and answer its error with 503 and Retry-After.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_FAULTS,
        limits="[pool] refuse_within_s",
    ),
    Rule(
        id="pool.recovers-after-exhaustion",
        claim="Once the connections are free again, the next request is served within a second.",
        why="A pool that stays broken after the peak turns one slow minute into an outage until someone restarts it.",
        how="After the exhaustion the stall is removed and requests are sent until one is served.",
        remedy="Return or invalidate the connection on every path, also when the request was refused or timed out.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_FAULTS,
        limits="[pool] recover_within_s",
    ),
    Rule(
        id="pool.error-paths-return-connections",
        claim="A request that fails gives its connection back.",
        why="A leak on an error path empties the pool one bad request at a time; anyone can send bad requests.",
        how="Each request that expects an error is sent three times as often as the pool has connections; "
        "then the pool must still serve, and no backend may be left in a transaction.",
        remedy="Take connections in a with block (try/finally; in Go defer Release and rows.Close), also where validation fails "
        "after the checkout.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.POOL, Needs.ERROR_REQUESTS},
    ),
    Rule(
        id="pool.aborted-requests-return-connections",
        claim="A client that goes away mid-query leaves no connection checked out and no query running.",
        why="Impatient users reload; each abandoned request then costs a connection for good.",
        how="Requests held by a table lock are aborted by their clients; after the lock is gone the pool must serve in full, "
        "and no backend may be active or in a transaction.",
        remedy="Return the connection in finally; in async code handle cancellation (CancelledError) and invalidate.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_LOCKS,
    ),
    Rule(
        id="pool.no-deadlock",
        claim="More requests at once than connections or threads still make progress.",
        why="A request that takes a second connection while it holds the first deadlocks as soon as all do it together.",
        how="Bursts of requests are sent, as many as the pool has connections and more: the first must be served in full, "
        "some of every other, and the rest must be refused in time.",
        remedy="Use one connection a request: pass the session on instead of opening another inside.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.POOL},
        limits="[pool] deadline_s",
    ),
    Rule(
        id="pool.no-idle-in-transaction",
        claim="No transaction stays open while the service waits for something else.",
        why="An idle transaction holds its connection, its locks and the vacuum horizon for as long as the other is slow.",
        how="Redis is slowed down at the fault proxy and backends that are idle in transaction are timed.",
        remedy="Finish the transaction before calling Redis or another service, and set idle_in_transaction_session_timeout.",
        level=Level.SHOULD,  # a service without Redis can do without; where it is tried, a failure fails
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.REDIS, Needs.FAULT_PROXY, Needs.DESTRUCTIVE},
        limits="[pool] idle_in_transaction_s",
    ),
    Rule(
        id="pool.slow-query-is-isolated",
        claim="One slow query doesn't slow down the other requests.",
        why="A blocking call in an event loop, or a single worker, lets one report stop the whole service.",
        how="One request is held by a lock while others run; their latency is compared with the same requests before.",
        remedy="Don't call a blocking driver in async code (use the async one, or a thread); have more than one worker thread.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_LOCKS,
        limits="[pool] slowdown",
    ),
    Rule(
        id="pool.lock-wait-is-bounded",
        claim="A request that runs into a locked table is answered in bounded time, and the service recovers at once.",
        why="One migration that waits for its lock queues every request behind it; without a bound all of them hang.",
        how="The tables that the requests read are locked exclusively while requests are sent.",
        remedy="Set lock_timeout (2s) and statement_timeout for the service's role or in its connection options, answer 503.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_LOCKS,
        limits="[pool] lock_wait_s",
    ),
    Rule(
        id="pool.refusal-is-survived",
        claim="When the server has no connection left for it, the service answers 503 and recovers by itself.",
        why="'too many connections' comes with every failed deploy and every traffic peak; a crash makes it an outage.",
        how="The role's CONNECTION LIMIT is taken away and its backends ended; then the limit is given back.",
        remedy="Treat SQLSTATE 53300 like a full pool: 503 with Retry-After, and try again on the next request.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.DESTRUCTIVE},
        limits="[pool] recover_within_s",
    ),
    Rule(
        id="pool.lost-connections-are-replaced",
        claim="Connections that died while idle are replaced without a failed request.",
        why="Failovers, firewalls and restarts kill idle connections every day; each then costs a user an error.",
        how="All idle backends of the service are terminated, then each pooled connection is used again.",
        remedy="Turn on pool_pre_ping (SQLAlchemy), ShouldPing (pgxpool) or check=… (psycopg_pool, which pauses for 1 s after the second "
        "dead one: a check of your own calls check_connection, and pool.drain() when that fails). Or, on a lost connection, discard the "
        "other idle ones too and retry the read once: the next one out of the pool may be just as dead.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.DESTRUCTIVE},
    ),
    Rule(
        id="pool.no-reconnect-storm",
        claim="When every connection is lost under load, the service opens about as many new ones as its pool holds.",
        why="A storm of reconnects keeps a recovering database down: each costs a process and a TLS handshake.",
        how="All backends are terminated under load, and the connections that the server accepts are counted.",
        remedy="Reconnect through the pool with its size as the bound; no connect loop without backoff.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.POOL, Needs.DESTRUCTIVE},
        limits="[pool] reconnects",
    ),
    Rule(
        id="pool.connect-times-out",
        claim="When the database accepts connections and says nothing, requests are still answered in time.",
        why="A half-dead server or a firewall that drops packets otherwise holds every worker for minutes.",
        how="The proxy drops the service's connections and swallows what the new ones send.",
        remedy="Set connect_timeout=2 in the DSN (libpq's own default waits for ever; connectionTimeoutMillis in node pg) and a "
        "deadline for each request.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_BLACK_BOX | {Needs.FAULT_PROXY, Needs.DESTRUCTIVE},
        limits="[pool] connect_within_s",
    ),
    Rule(
        id="pool.statement-timeout",
        claim="A statement that runs longer than the limit is cancelled.",
        why="Without a limit a single runaway query holds its connection, its locks and a CPU until someone notices.",
        how="In process: the session's statement_timeout is read; where it is off, a pg_sleep beyond the limit is run.",
        remedy="Set statement_timeout=30s for the role (ALTER ROLE … SET) or in the connection's options.",
        level=Level.SHOULD,  # only a Python service can be looked at in process
        checklist=CHECKLIST,
        needs=frozenset({Needs.ENGINE, Needs.DATABASE}),
        limits="[pool] statement_timeout_s",
    ),
    Rule(
        id="pool.idle-connections-retired",
        claim="A connection that has been open for long is replaced before it is used again.",
        why="Load balancers and firewalls forget idle connections (350 s on AWS); the next user of one meets silence.",
        how="In process: a pooled connection's age is set past the limit, then it is asked for again.",
        remedy="Set pool_recycle=300 (SQLAlchemy), max_idle and max_lifetime (psycopg_pool), idleTimeoutMillis (node pg).",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=frozenset({Needs.ENGINE, Needs.DATABASE}),
        limits="[pool] idle_s",
    ),
    Rule(
        id="pool.fork-safe",
        claim="No two processes of the service share a database connection.",
        why="Two processes that write to one socket mix their protocol streams: wrong rows for the wrong users.",
        how="The sockets of all processes of a fresh instance are compared by inode, before and after load (Linux; elsewhere the engine is forked after use).",
        remedy="Create or open the pool after the fork (post_fork, lifespan, no gunicorn --preload), or call "
        "engine.dispose(close=False) in the child.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.SERVICE, Needs.PROCESS, Needs.DATABASE, Needs.REQUESTS}),
    ),
    Rule(
        id="pool.size-fits-traffic",
        claim="The pool has the size that the checklist recommends for the declared traffic.",
        why="Too small a pool refuses users; too large a one only moves the queue into the database.",
        how="The declared requests a minute are looked up: below 100: 10; to 1,000: 20; to 10,000: 50; more: 100 and replicas.",
        remedy="Set the pool's size to the recommended one, then confirm it under load.",
        level=Level.INFO,
        checklist=CHECKLIST,
        needs=frozenset({Needs.POOL}),
        limits="[pool] requests_per_minute",
    ),
)
