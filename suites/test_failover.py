"""Failover: a server fails and comes back; the service lives through it and loses nothing."""

from __future__ import annotations

from pytest_prodready.checks import (
    failover,
    failover_counter,
    failover_moved,
    failover_network,
    failover_outages,
    failover_redis,
    failover_redis_demoted,
    failover_replica,
    failover_standby,
)
from pytest_prodready.probes.drill import Drill
from pytest_prodready.probes.failover_counter import Counted
from pytest_prodready.probes.failover_moved import MovedAddress
from pytest_prodready.probes.failover_network import DeadPeer, SlowDatabase
from pytest_prodready.probes.failover_outages import Flapping
from pytest_prodready.probes.failover_redis import RedisHerd, RedisLoss
from pytest_prodready.probes.failover_redis_demoted import RedisDemotion
from pytest_prodready.probes.failover_replica import Staleness
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("failover.outage-is-survived")
def test_outage_is_survived(drill_outage: Drill, limits: Settings, conclude: Conclude) -> None:
    """While the database is away requests are refused quickly; soon after it is back they are served."""
    conclude(failover.outage_is_survived(drill_outage, limits))


@proves("failover.stall-is-bounded")
def test_stall_is_bounded(drill_stall: Drill, limits: Settings, conclude: Conclude) -> None:
    """When the database stops answering, each request is still answered in time."""
    conclude(failover_network.stall_is_bounded(drill_stall, limits))


@proves("failover.dead-peer-is-noticed")
def test_dead_peer_is_noticed(drill_dead_peer: DeadPeer, limits: Settings, conclude: Conclude) -> None:
    """Connections whose other end has vanished are noticed, and the service recovers."""
    conclude(failover_network.dead_peer_is_noticed(drill_dead_peer, limits))


@proves("failover.crash-loses-no-write")
def test_crash_loses_no_write(drill_crash: Drill, limits: Settings, conclude: Conclude) -> None:
    """What was acknowledged before the database crashed is there afterwards."""
    conclude(failover.crash_loses_no_write(drill_crash, limits))


@proves("failover.no-write-twice")
def test_no_write_twice(drill_lost_commits: Drill, limits: Settings, conclude: Conclude) -> None:
    """A write whose answer was lost is there once, however often it is sent."""
    conclude(failover.no_write_twice(drill_lost_commits, limits))


@proves("failover.promotion-is-followed")
def test_promotion_is_followed(drill_promotion: Drill, limits: Settings, conclude: Conclude) -> None:
    """When the standby takes over, the service follows without a restart."""
    conclude(failover_standby.promotion_is_followed(drill_promotion, limits))


@proves("failover.promotion-loses-nothing")
def test_promotion_loses_nothing(drill_promotion: Drill, limits: Settings, conclude: Conclude) -> None:
    """What was acknowledged is on the new primary."""
    conclude(failover_standby.promotion_loses_nothing(drill_promotion, limits))


@proves("failover.read-only-primary-is-left")
def test_read_only_primary_is_left(drill_demotion: Drill, limits: Settings, conclude: Conclude) -> None:
    """A primary that was demoted keeps no write from its successor."""
    conclude(failover_standby.read_only_primary_is_left(drill_demotion, limits))


@proves("failover.replica-reads-are-fresh")
def test_replica_reads_are_fresh(replica_staleness: Staleness, limits: Settings, conclude: Conclude) -> None:
    """A replica that lags behind hides nothing for long that was acknowledged."""
    conclude(failover_replica.replica_reads_are_fresh(replica_staleness, limits))


@proves("failover.slow-database-is-isolated")
def test_slow_database_is_isolated(
    drill_slow_database: SlowDatabase, limits: Settings, conclude: Conclude
) -> None:
    """A slow database slows down nobody who doesn't need it."""
    conclude(failover_network.slow_database_is_isolated(drill_slow_database, limits))


@proves("failover.flapping-is-survived")
def test_flapping_is_survived(drill_flap: Flapping, limits: Settings, conclude: Conclude) -> None:
    """A database that comes and goes leaves no connection behind, and meets no storm."""
    conclude(failover_outages.flapping_is_survived(drill_flap, limits))


@proves("failover.long-outage-is-survived")
def test_long_outage_is_survived(drill_long_outage: Drill, limits: Settings, conclude: Conclude) -> None:
    """After a long outage the same process serves again within seconds."""
    conclude(failover_outages.long_outage_is_survived(drill_long_outage, limits))


@proves("failover.moved-address-is-followed")
def test_moved_address_is_followed(
    drill_moved_address: MovedAddress, limits: Settings, conclude: Conclude
) -> None:
    """When the database's name moves to another address, new connections go there."""
    conclude(failover_moved.moved_address_is_followed(drill_moved_address, limits))


@proves("failover.redis-loss-is-survived")
def test_redis_loss_is_survived(redis_loss: RedisLoss, limits: Settings, conclude: Conclude) -> None:
    """Without Redis, dead or silent, what only gets faster by it is served all the same."""
    conclude(failover_redis.redis_loss_is_survived(redis_loss, limits))


@proves("failover.redis-is-used-again")
def test_redis_is_used_again(redis_loss: RedisLoss, limits: Settings, conclude: Conclude) -> None:
    """Soon after Redis is back it is used again."""
    conclude(failover_redis.redis_is_used_again(redis_loss, limits))


@proves("failover.redis-loss-spares-the-database")
def test_redis_loss_spares_the_database(redis_herd: RedisHerd, limits: Settings, conclude: Conclude) -> None:
    """Without Redis a request costs the database what an empty cache costs it, and no multiple."""
    conclude(failover_redis.redis_loss_spares_the_database(redis_herd, limits))


@proves("failover.cold-cache-is-filled-once")
def test_cold_cache_is_filled_once(redis_herd: RedisHerd, limits: Settings, conclude: Conclude) -> None:
    """What many want at once and the cache has lost is loaded once, not by each of them."""
    conclude(failover_redis.cold_cache_is_filled_once(redis_herd, limits))


@proves("failover.no-count-twice")
def test_no_count_twice(redis_counter: Counted, limits: Settings, conclude: Conclude) -> None:
    """An increment whose answer was lost counts once at most."""
    conclude(failover_counter.no_count_twice(redis_counter, limits))


@proves("failover.redis-primary-is-followed")
def test_redis_primary_is_followed(
    redis_demotion: RedisDemotion, limits: Settings, conclude: Conclude
) -> None:
    """Writes leave a Redis that became a replica, and reach the new primary."""
    conclude(failover_redis_demoted.redis_primary_is_followed(redis_demotion, limits))
