"""Limits of the suites ssl, pool, health and failover."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pytest_prodready.settings.base import Count, Seconds, Table, UrlPath
from pytest_prodready.settings.service import Request


class SslSettings(Table):
    """[ssl]: limits of the ssl suite."""

    certificate_days: Annotated[int, Field(ge=1, le=3650)] = 21
    attempt_within_s: Seconds = 6.0


class PoolSettings(Table):
    """[pool]: the pool that the service declares, and the limits of the pool suite."""

    size: Count | None = None  # of one process, overflow included
    workers: Count = 1  # processes of one replica
    replicas: Count = 1
    requests_per_minute: Count | None = None
    spare: Annotated[float, Field(ge=0, lt=1)] = 0.2
    refuse_within_s: Seconds = 2.0
    recover_within_s: Seconds = 2.0
    deadline_s: Seconds = 10.0
    lock_wait_s: Seconds = 5.0
    connect_within_s: Seconds = 6.0
    idle_in_transaction_s: Seconds = 1.0
    slowdown: Annotated[float, Field(gt=1)] = 2.0
    reconnects: Annotated[float, Field(ge=1)] = 1.5
    statement_timeout_s: Seconds = 30.0
    idle_s: Seconds = 1800.0

    @property
    def capacity(self) -> int | None:
        """Connections that one replica may open: size of each process times processes."""
        return None if self.size is None else self.size * self.workers


class HealthSettings(Table):
    """[health]: the paths of the checks and their limits."""

    liveness: UrlPath | None = None
    readiness: UrlPath | None = None
    deep: UrlPath | None = None
    liveness_within_s: Seconds = 1.0
    readiness_within_s: Seconds = 2.0
    deep_within_s: Seconds = 3.0
    answer_within_s: Seconds = 5.0
    fall_within_s: Seconds = 5.0
    recover_within_s: Seconds = 5.0
    degraded_within_s: Seconds = 2.0
    drain_s: Annotated[float, Field(ge=0, le=120)] = 0.5
    grace_s: Seconds = 30.0


class CounterSettings(Table):
    """[failover] counter: a request that adds one to a number in Redis, and one that reads the number.

    `value` names the number in the answer (`stats.views`), where that isn't its only one.
    """

    increment: Request
    read: Request
    value: str = ""


class FailoverSettings(Table):
    """[failover]: how long faults last, and the limits of the failover suite."""

    standby: Literal["asynchronous", "synchronous"] | None = None
    outage_s: Seconds = 5.0
    refuse_within_s: Seconds = 1.0
    recover_within_s: Seconds = 3.0
    deadline_s: Seconds = 10.0
    stall_s: Seconds = 8.0  # at least deadline_s + 2
    dead_peer_within_s: Seconds = 8.0
    slow_s: Seconds = 5.0  # at least deadline_s + 2
    slowdown: Annotated[float, Field(gt=1)] = 2.0
    flaps: Annotated[int, Field(ge=2, le=100)] = 7
    flap_s: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    accepts_per_s: Count = 150
    long_outage_s: Seconds = 20.0
    long_recover_within_s: Seconds = 5.0
    follow_within_s: Seconds = 10.0
    moved_within_s: Seconds = 35.0  # Java keeps an address for 30 s, and that is following too
    lost_writes: Annotated[int, Field(ge=0)] = 0
    stale_within_s: Seconds = 5.0  # as soon as people look again for what they saved
    redis_outage_s: Seconds = 2.0  # dead; and silent, or for degraded_within_s + 2 where that is longer
    redis_load: Annotated[float, Field(ge=1)] = 2.0  # times the statements of a request that isn't cached
    crowd: Count = 40  # requests at once for what is cached
    cold_loads: Count = 3  # by each process, for such a crowd on a cold cache
    counter: CounterSettings | None = None
