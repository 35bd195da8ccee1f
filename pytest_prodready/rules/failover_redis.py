"""The rules of the failover suite about Redis: gone, cold, an answer lost, another primary."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "14. Failover and recovery"

_REDIS = frozenset({Needs.SERVICE, Needs.REQUESTS, Needs.REDIS, Needs.FAULT_PROXY, Needs.DESTRUCTIVE})
_HERD = _REDIS | {Needs.REDIS_OPTIONAL, Needs.DATABASE, Needs.ADMIN}

REDIS_RULES = (
    Rule(
        id="failover.redis-loss-is-survived",
        claim="While Redis is dead, and while it is silent, what only gets faster by it is served all the same.",
        why="A cache that every request waits for, or fails with, makes the service less available than none would.",
        how="Redis is killed under traffic, started again behind a network that swallows all data, and then reached again.",
        remedy="Give the Redis client short time limits and no retries (redis-py: socket_timeout, socket_connect_timeout; go-redis:"
        " DialTimeout, ReadTimeout, MaxRetries: -1; ioredis: commandTimeout, connectTimeout, enableOfflineQueue: false), answer from the"
        " source when it fails, and leave it alone for a moment (a circuit breaker).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_REDIS | {Needs.REDIS_DISPENSABLE},
        limits="[health] degraded_within_s",
    ),
    Rule(
        id="failover.redis-is-used-again",
        claim="Soon after Redis is back it is used again.",
        why="A service that has given Redis up for good carries the full load on its database until it is restarted.",
        how="After such a loss the requests that used Redis are sent again; statements and commands are counted.",
        remedy="Let the client connect again by itself, and try a server that was given up once a second or so.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_REDIS | {Needs.REDIS_OPTIONAL},
        limits="[failover] recover_within_s",
    ),
    Rule(
        id="failover.redis-loss-spares-the-database",
        claim="Without Redis a request costs the database hardly more than it does when nothing is cached.",
        why="When the cache goes, its whole load goes to the database; what multiplies it takes the database down too.",
        how="Statements of each request are counted with Redis emptied and with Redis refused; then a crowd wants"
        " the same cached answer without Redis, over a slow database.",
        remedy="Load what one request needs and no more, don't try again, and let the pool refuse what is too much"
        " (503).",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_HERD,
        limits="[failover] redis_load, crowd, deadline_s",
    ),
    Rule(
        id="failover.cold-cache-is-filled-once",
        claim="When many want the same answer and the cache doesn't hold it, it is loaded once, not by each of them.",
        why="When a popular key expires or Redis comes back empty, a stampede of equal queries stalls the database.",
        how="Redis is emptied, the database made slow, and a crowd asks for one cacheable answer at once; the runs"
        " of its statements are counted.",
        remedy="Let one load a key while the others wait for it: share the load in each process (Go: singleflight,"
        " Node and asyncio: a map of promises or tasks, threads: a lock for each key, waited for briefly), or take a short lock in Redis.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_HERD | {Needs.CACHEABLE},
        limits="[failover] cold_loads, crowd",
    ),
    Rule(
        id="failover.no-count-twice",
        claim="An increment whose answer was lost is not counted twice, and one that was acknowledged is counted.",
        why="Clients that send a command again after a lost answer count, charge or enqueue twice, and nobody notices.",
        how="Redis' answers to increments are swallowed and the connections closed; then the number is read.",
        remedy="Switch the client's retries off for commands that aren't idempotent (redis-py: Retry(NoBackoff(), 0);"
        " go-redis: MaxRetries: -1; ioredis: maxRetriesPerRequest: 0 or autoResendUnfulfilledCommands: false), or count by a key of the"
        " request.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_REDIS | {Needs.COUNTER},
        limits="[failover] counter",
    ),
    Rule(
        id="failover.redis-primary-is-followed",
        claim="When Redis' primary becomes a replica, writes soon go to the new one, without a restart.",
        why="A demoted primary keeps its connections open and answers READONLY to every write, for as long as clients"
        " stay.",
        how="Redis swaps places with a replica; live connections stay with the old one, new ones reach the new one."
        " What is cached is emptied and asked for, and the declared counter is incremented, until both work again.",
        remedy="Close connections that answer READONLY (redis-py: connection_pool.disconnect(inuse_connections=False) on ReadOnlyError;"
        " ioredis: reconnectOnError; go-redis does it).",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_REDIS,
        limits="[failover] recover_within_s",
    ),
)
