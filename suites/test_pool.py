"""The database connection pool: its size, its limits, and how it bears trouble."""

from __future__ import annotations

from pytest_prodready.checks import pool_loss, pool_paths, pool_sessions, pool_size, pool_waiting
from pytest_prodready.probes.pool_engine import InProcess
from pytest_prodready.probes.pool_exhaustion import Exhaustion
from pytest_prodready.probes.pool_loss import Losses, Refusal, Silence, Storm
from pytest_prodready.probes.pool_paths import Aborted, Bursts, ErrorPaths
from pytest_prodready.probes.pool_processes import Sharing
from pytest_prodready.probes.pool_server import ServerRoom
from pytest_prodready.probes.pool_waiting import IdleInTransaction, LockWait, SlowQuery
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("pool.fits-server")
def test_fits_server(pool_server_room: ServerRoom, limits: Settings, conclude: Conclude) -> None:
    """All pools of all replicas fit into the server with room to spare; else the last replica can't start."""
    conclude(pool_size.fits_server(pool_server_room, limits.pool))


@proves("pool.bounded")
def test_bounded(pool_exhausted: Exhaustion, limits: Settings, conclude: Conclude) -> None:
    """However many requests arrive, the service opens no more connections than it declares."""
    conclude(pool_size.bounded(pool_exhausted, limits.pool))


@proves("pool.checkout-times-out")
def test_checkout_times_out(pool_in_process: InProcess, limits: Settings, conclude: Conclude) -> None:
    """Asking a full pool for one more connection fails soon, not when the client has long gone."""
    conclude(pool_size.checkout_times_out(pool_in_process, limits.pool))


@proves("pool.excess-is-refused")
def test_excess_is_refused(pool_exhausted: Exhaustion, limits: Settings, conclude: Conclude) -> None:
    """When every connection is busy, the excess is refused quickly instead of left waiting."""
    conclude(pool_size.excess_is_refused(pool_exhausted, limits.pool))


@proves("pool.recovers-after-exhaustion")
def test_recovers_after_exhaustion(pool_exhausted: Exhaustion, limits: Settings, conclude: Conclude) -> None:
    """Once the connections are free again, requests are served at once and in full number."""
    conclude(pool_size.recovers_after_exhaustion(pool_exhausted, limits.pool))


@proves("pool.error-paths-return-connections")
def test_error_paths_return_connections(
    pool_error_paths: ErrorPaths, limits: Settings, conclude: Conclude
) -> None:
    """Requests that fail give their connections back; anyone can send bad requests."""
    conclude(pool_paths.error_paths_return_connections(pool_error_paths, limits.pool))


@proves("pool.aborted-requests-return-connections")
def test_aborted_requests_return_connections(
    pool_aborted: Aborted, limits: Settings, conclude: Conclude
) -> None:
    """Clients that go away mid-query leave no connection checked out and no query running."""
    conclude(pool_paths.aborted_requests_return_connections(pool_aborted, limits.pool))


@proves("pool.no-deadlock")
def test_no_deadlock(pool_bursts: Bursts, limits: Settings, conclude: Conclude) -> None:
    """More requests at once than connections or threads still make progress."""
    conclude(pool_paths.no_deadlock(pool_bursts, limits.pool))


@proves("pool.no-idle-in-transaction")
def test_no_idle_in_transaction(
    pool_idle_in_transaction: IdleInTransaction, limits: Settings, conclude: Conclude
) -> None:
    """No transaction stays open, with its locks, while the service waits for Redis."""
    conclude(pool_waiting.no_idle_in_transaction(pool_idle_in_transaction, limits.pool))


@proves("pool.slow-query-is-isolated")
def test_slow_query_is_isolated(pool_slow_query: SlowQuery, limits: Settings, conclude: Conclude) -> None:
    """One slow query doesn't slow down the others; a blocked event loop stops them all."""
    conclude(pool_waiting.slow_query_is_isolated(pool_slow_query, limits.pool))


@proves("pool.lock-wait-is-bounded")
def test_lock_wait_is_bounded(pool_lock_wait: LockWait, limits: Settings, conclude: Conclude) -> None:
    """A request that runs into a locked table is answered in bounded time, as during a migration."""
    conclude(pool_waiting.lock_wait_is_bounded(pool_lock_wait, limits.pool))


@proves("pool.refusal-is-survived")
def test_refusal_is_survived(pool_refusal: Refusal, limits: Settings, conclude: Conclude) -> None:
    """When the server has no connection left, the service says 503 and recovers by itself."""
    conclude(pool_loss.refusal_is_survived(pool_refusal, limits.pool))


@proves("pool.lost-connections-are-replaced")
def test_lost_connections_are_replaced(pool_losses: Losses, limits: Settings, conclude: Conclude) -> None:
    """Connections that died while idle, as they do every day, are replaced without a failed request."""
    conclude(pool_loss.lost_connections_are_replaced(pool_losses, limits.pool))


@proves("pool.no-reconnect-storm")
def test_no_reconnect_storm(pool_storm: Storm, limits: Settings, conclude: Conclude) -> None:
    """A service that loses all connections opens about as many again, and not a storm of them."""
    conclude(pool_loss.no_reconnect_storm(pool_storm, limits.pool))


@proves("pool.connect-times-out")
def test_connect_times_out(pool_silence: Silence, limits: Settings, conclude: Conclude) -> None:
    """When the database accepts connections and says nothing, requests are still answered in time."""
    conclude(pool_loss.connect_times_out(pool_silence, limits.pool))


@proves("pool.statement-timeout")
def test_statement_timeout(pool_in_process: InProcess, limits: Settings, conclude: Conclude) -> None:
    """A statement that runs too long is cancelled before it takes the service down."""
    conclude(pool_sessions.statement_is_limited(pool_in_process, limits.pool))


@proves("pool.idle-connections-retired")
def test_idle_connections_retired(pool_in_process: InProcess, limits: Settings, conclude: Conclude) -> None:
    """A connection that has been open for long is replaced before the network forgets it."""
    conclude(pool_sessions.idle_connections_are_retired(pool_in_process, limits.pool))


@proves("pool.fork-safe")
def test_fork_safe(pool_sharing: Sharing, conclude: Conclude) -> None:
    """No two processes of the service share a connection; their rows would be mixed up."""
    conclude(pool_sessions.fork_safe(pool_sharing))


@proves("pool.size-fits-traffic")
def test_size_fits_traffic(limits: Settings, conclude: Conclude) -> None:
    """The pool has the size that the checklist advises for the declared traffic."""
    conclude(pool_size.size_fits_traffic(limits.pool))
