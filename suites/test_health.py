"""Health: the service says how it is, quickly and discreetly, and leaves without harm."""

from __future__ import annotations

from pytest_prodready.checks import health, health_cache, health_loss, health_secrets, shutdown
from pytest_prodready.probes.health import Healthy, Quiet
from pytest_prodready.probes.health_cache import CacheLoss
from pytest_prodready.probes.health_full import Busy
from pytest_prodready.probes.health_loss import Loss
from pytest_prodready.probes.shutdown import Termination
from pytest_prodready.probes.shutdown_held import Held
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("health.liveness-answers")
def test_liveness_answers(health_answers: Healthy, limits: Settings, conclude: Conclude) -> None:
    """Liveness answers 200 in time; an orchestrator restarts what doesn't."""
    conclude(health.liveness_answers(health_answers, limits.health))


@proves("health.readiness-answers")
def test_readiness_answers(health_answers: Healthy, limits: Settings, conclude: Conclude) -> None:
    """Readiness answers 200 in time; a balancer takes out what doesn't."""
    conclude(health.readiness_answers(health_answers, limits.health))


@proves("health.deep-answers")
def test_deep_answers(health_answers: Healthy, limits: Settings, conclude: Conclude) -> None:
    """The deep check tells the person on call how each dependency is."""
    conclude(health.deep_answers(health_answers, limits.health))


@proves("health.tells-no-secrets")
def test_tells_no_secrets(
    health_answers: Healthy,
    health_refused: Loss,
    health_silent: Loss,
    health_cache_loss: CacheLoss,
    conclude: Conclude,
) -> None:
    """Health paths are often public: in good times and in bad they tell nothing of use to an attacker."""
    losses = (health_refused, health_silent)
    conclude(health_secrets.tells_no_secrets(health_answers, losses, health_cache_loss))


@proves("health.readiness-follows-database")
def test_readiness_follows_database(health_refused: Loss, limits: Settings, conclude: Conclude) -> None:
    """Readiness falls with the database and comes back with it, without a restart."""
    conclude(health_loss.readiness_follows_database(health_refused, limits.health))


@proves("health.readiness-never-hangs")
def test_readiness_never_hangs(health_silent: Loss, limits: Settings, conclude: Conclude) -> None:
    """Readiness says yes or no in bounded time, even when the database says nothing."""
    conclude(health_loss.readiness_never_hangs(health_silent, limits.health))


@proves("health.liveness-ignores-database")
def test_liveness_ignores_database(
    health_refused: Loss, health_silent: Loss, limits: Settings, conclude: Conclude
) -> None:
    """The database's outage restarts no instance."""
    conclude(health_loss.liveness_ignores_database(health_refused, health_silent, limits.health))


@proves("health.liveness-asks-no-backend")
def test_liveness_asks_no_backend(health_quiet: Quiet, conclude: Conclude) -> None:
    """Liveness runs no statement, however often it is asked."""
    conclude(health.liveness_asks_no_backend(health_quiet))


@proves("health.liveness-survives-full-pool")
def test_liveness_survives_full_pool(health_busy: Busy, limits: Settings, conclude: Conclude) -> None:
    """Slow queries that hold the whole pool restart no instance."""
    conclude(health_loss.liveness_survives_full_pool(health_busy, limits.health))


@proves("health.optional-redis")
def test_optional_redis(health_cache_loss: CacheLoss, limits: Settings, conclude: Conclude) -> None:
    """A lost cache costs time, and no request."""
    conclude(health_cache.optional_redis(health_cache_loss, limits.health))


@proves("health.deep-names-dependency")
def test_deep_names_dependency(health_refused: Loss, limits: Settings, conclude: Conclude) -> None:
    """The deep check sends the person on call to the right system."""
    conclude(health_loss.deep_names_dependency(health_refused, limits.health))


@proves("health.shutdown-finishes-requests")
def test_shutdown_finishes_requests(health_held: Held, conclude: Conclude) -> None:
    """A deploy cuts no request that is being served."""
    conclude(shutdown.finishes_requests(health_held))


@proves("health.shutdown-drains")
def test_shutdown_drains(health_termination: Termination, limits: Settings, conclude: Conclude) -> None:
    """Until the orchestrator has taken the instance out, new connections are served."""
    conclude(shutdown.drains(health_termination, limits.health))


@proves("health.shutdown-in-time")
def test_shutdown_in_time(health_termination: Termination, limits: Settings, conclude: Conclude) -> None:
    """The process ends by itself before it is killed."""
    conclude(shutdown.in_time(health_termination, limits.health))


@proves("health.shutdown-leaves-no-backend")
def test_shutdown_leaves_no_backend(health_held: Held, conclude: Conclude) -> None:
    """What has ended holds no connection, no lock and no transaction."""
    conclude(shutdown.leaves_no_backend(health_held))


@proves("health.writes-survive-sigterm")
def test_writes_survive_sigterm(health_termination: Termination, conclude: Conclude) -> None:
    """Who was told "saved" finds it saved."""
    conclude(shutdown.writes_survive(health_termination))
