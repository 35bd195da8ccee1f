"""Load: ten times the expected load is served, held, and left behind without a trace."""

from __future__ import annotations

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.checks.load_compared import no_slower_than_before
from pytest_prodready.checks.load_headroom import has_headroom
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.probes.load import Load
from pytest_prodready.probes.load_baseline import Baseline
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("load.stays-up")
def test_stays_up(load: Load, limits: Settings, conclude: Conclude) -> None:
    """The service answers at every load, and its process stays the same."""
    conclude(check.stays_up(load, limits.load))


@proves("load.requests-succeed")
def test_requests_succeed(load: Load, limits: Settings, conclude: Conclude) -> None:
    """No more than a few requests fail at any load."""
    conclude(check.requests_succeed(load, limits.load))


@proves("load.responses-in-time")
def test_responses_in_time(load: Load, limits: Settings, conclude: Conclude) -> None:
    """p95 and p99 stay within their limits; the time counts from when a request was due."""
    conclude(check.responses_in_time(load, limits.load))


@proves("load.rate-is-reached")
def test_rate_is_reached(load: Load, limits: Settings, conclude: Conclude) -> None:
    """As many requests are answered as are sent."""
    conclude(check.rate_is_reached(load, limits.load))


@proves("load.goodput-holds")
def test_goodput_holds(load: Load, limits: Settings, conclude: Conclude) -> None:
    """The service does no less useful work because more is asked of it."""
    conclude(check.goodput_holds(load, limits.load))


@proves("load.recovers")
def test_recovers(load: Load, limits: Settings, conclude: Conclude) -> None:
    """Soon after the peak the usual load is served as before."""
    conclude(recovers(load, limits.load))


@proves("load.no-write-lost")
def test_no_write_lost(load: Load, conclude: Conclude) -> None:
    """What was acknowledged under load is there, once."""
    conclude(load_truth.no_write_lost(load))


@proves("load.answers-are-right")
def test_answers_are_right(load: Load, conclude: Conclude) -> None:
    """Under load every answer is the one to its own question."""
    conclude(load_truth.answers_are_right(load))


@proves("load.no-hidden-errors")
def test_no_hidden_errors(load: Load, conclude: Conclude) -> None:
    """No error hides behind a status that means success."""
    conclude(load_truth.no_hidden_errors(load))


@proves("load.pool-has-room")
def test_pool_has_room(load: Load, limits: Settings, conclude: Conclude) -> None:
    """At the peak the connection pool is not used up."""
    conclude(load_truth.pool_has_room(load, limits.load, limits.pool_here))


@proves("load.connections-are-given-back")
def test_connections_are_given_back(load: Load, limits: Settings, conclude: Conclude) -> None:
    """After the load no connection is left over."""
    conclude(load_truth.connections_are_given_back(load, limits.pool_here))


@proves("load.memory-is-bounded")
def test_memory_is_bounded(load: Load, limits: Settings, conclude: Conclude) -> None:
    """Memory after the peak is about what it was before."""
    conclude(load_truth.memory_is_bounded(load, limits.load))


@proves("load.no-slower-than-before")
def test_no_slower_than_before(
    load: Load, load_baseline: Baseline, limits: Settings, conclude: Conclude
) -> None:
    """No stage takes much longer than in the run that it is compared with."""
    conclude(no_slower_than_before(load, limits.load, load_baseline))


@proves("load.has-headroom")
def test_has_headroom(load: Load, limits: Settings, conclude: Conclude) -> None:
    """How much more the service could take."""
    conclude(has_headroom(load, limits.load))
