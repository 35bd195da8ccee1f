"""One defect for each rule of the failover suite about Redis."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

CACHE = "jobboard/cache.py"
REDIS = "jobboard/redis_client.py"

SPECIMENS = (
    Specimen(
        name="failover-redis-cache-is-a-hard-dependency",
        breaks="failover.redis-loss-is-survived",
        says="failed (",
        also=frozenset({"health.optional-redis", "failover.redis-loss-spares-the-database"}),
        swaps=(
            Swap(
                CACHE,
                """            log.warning("cache unavailable", extra={"error": type(error).__name__})
            return None
""",
                """            log.warning("cache unavailable", extra={"error": type(error).__name__})
            raise
""",
            ),
        ),
        still_passes=("health.liveness-answers", "failover.cold-cache-is-filled-once"),
    ),
    Specimen(
        name="failover-redis-is-waited-for-by-each-request",
        breaks="failover.redis-loss-is-survived",
        says="took up to",
        also=frozenset({"health.optional-redis"}),
        swaps=(
            Swap("jobboard/settings.py", "redis_timeout_s: float = 0.25", "redis_timeout_s: float = 60.0"),
            Swap(CACHE, "PAUSE_S = 1.0", "PAUSE_S = 0.0"),
        ),
        still_passes=("health.liveness-answers", "failover.cold-cache-is-filled-once"),
    ),
    Specimen(
        name="failover-redis-is-given-up-for-good",
        breaks="failover.redis-is-used-again",
        says="it was not used as before",
        also=frozenset({"failover.redis-primary-is-followed"}),
        swaps=(
            Swap(
                REDIS,
                """        \"""Let nobody try until the pause is over.\"""
        self._retry_at = time.monotonic() + self._pause_s
""",
                """        \"""Let nobody try any more.\"""
        self._retry_at = float("inf")
""",
            ),
        ),
        still_passes=("failover.redis-loss-is-survived", "failover.no-count-twice"),
    ),
    Specimen(
        name="failover-redis-what-is-not-kept-is-loaded-again",
        breaks="failover.redis-loss-spares-the-database",
        says="show ran 5 statements, 1 with an empty cache",
        swaps=(
            Swap(
                CACHE,
                """        value = await load()
""",
                """        for _ in range(5):
            value = await load()
            text = json.dumps({"key": key, "value": value})
            if value is None or await self._attempt("set", PREFIX + key, text, px=30_000):
                break
""",
            ),
        ),
        still_passes=("failover.cold-cache-is-filled-once", "failover.no-count-twice"),
    ),
    Specimen(
        name="failover-redis-cold-key-is-loaded-by-each",
        breaks="failover.cold-cache-is-filled-once",
        says="loaded",
        swaps=(
            Swap(
                CACHE,
                """        flight = self._flights.get(key)
        if flight is None:
""",
                """        flight = None
        if flight is None:
""",
            ),
        ),
        still_passes=("failover.redis-loss-spares-the-database", "failover.no-count-twice"),
    ),
    Specimen(
        name="failover-redis-client-resends",
        breaks="failover.no-count-twice",
        says="twice",
        swaps=(Swap(REDIS, "retry=Retry(NoBackoff(), 0)", "retry=Retry(NoBackoff(), 3)"),),
        still_passes=("failover.cold-cache-is-filled-once",),
    ),
    Specimen(
        name="failover-redis-acknowledges-what-is-not-counted",
        breaks="failover.no-count-twice",
        says="acknowledged and not counted",
        swaps=(
            Swap(
                "jobboard/views.py",
                """            pipeline.incr(_key(job_id))
            pipeline.expire(_key(job_id), KEPT_S)
            return int((await self._answer(pipeline.execute()))[0])
""",
                """            pipeline.exists(_key(job_id))
            waiting, self.waiting = getattr(self, "waiting", 0) + 1, 0
            try:
                await self._answer(pipeline.execute())
            except Uncounted:
                return waiting
            return int(await self._client.incrby(_key(job_id), waiting))
""",
            ),
        ),
        still_passes=("failover.cold-cache-is-filled-once",),
    ),
    Specimen(
        name="failover-redis-connections-stay-with-the-demoted-primary",
        breaks="failover.redis-primary-is-followed",
        says="READONLY",
        swaps=(Swap(REDIS, "        self._generation += 1\n", "        return\n"),),
        still_passes=("failover.no-count-twice",),
    ),
)
