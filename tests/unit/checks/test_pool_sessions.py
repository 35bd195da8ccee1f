"""Verdicts on sessions and processes, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.pool_sessions import (
    fork_safe,
    idle_connections_are_retired,
    statement_is_limited,
)
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.engine import Aged, Checkout, ConnectOutcome, Forked, Held, PoolFigures
from pytest_prodready.probes.pool_engine import InProcess, StatementLimit
from pytest_prodready.probes.pool_processes import Holder, Sharing
from pytest_prodready.settings import PoolSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
POOL = PoolSettings(size=10)

CONNECTED = ConnectOutcome(ok=True, error_kind=None, seconds=0.01, backend_pid=7)
FIGURES = PoolFigures("SQLAlchemy Engine", "QueuePool", 10, False, 1.0, 300.0, True)
PSYCOPG = PoolFigures("psycopg_pool ConnectionPool", "ConnectionPool", 10, False, 1.0, 600.0, True)
IN_PROCESS = InProcess(
    figures=FIGURES,
    first=CONNECTED,
    held=Held(10, None, False, 0.1),
    one_more=Checkout(False, "TimeoutError", False, 1.0),
    still_out=0,
    after=CONNECTED,
    statement=StatementLimit(30_000),
    age_s=1800.0,
    aged=Aged(True, 1, 2, None),
)
SHARING = Sharing(
    readable=True,
    fresh=True,
    shared_at_start=0,
    processes=(Holder(10, 5), Holder(11, 5)),
    connections=10,
    shared=0,
    unused=0,
    failed=0,
    forked=None,
)
RAN = ConnectOutcome(ok=True, error_kind=None, seconds=31.0)
CANCELLED = ConnectOutcome(ok=False, error_kind="TimeoutError", seconds=30.1, timed_out=False)


@pytest.mark.parametrize(
    ("limit", "verdict", "says"),
    [
        (StatementLimit(30_000), PASSED, "statement_timeout is 30 s"),
        (StatementLimit(0, 31.0, RAN), FAILED, "statement_timeout is off; pg_sleep(31) ran to its end"),
        (StatementLimit(60_000, 31.0, RAN), FAILED, "statement_timeout is 60 s; pg_sleep(31) ran"),
        (StatementLimit(0, 31.0, replace(RAN, ok=False, timed_out=True)), FAILED, "ran to its end"),
        (StatementLimit(0, 60.0, replace(CANCELLED, seconds=45.0)), FAILED, "ended after 45.0 s only"),
        (StatementLimit(0, 31.0, CANCELLED), PASSED, "given up after 30.1 s"),
        (StatementLimit(None), INCONCLUSIVE, "could not be asked"),
        (StatementLimit(0), INCONCLUSIVE, "no statement was tried"),
    ],
)
def test_statement_is_limited(limit: StatementLimit, verdict: Verdict, says: str) -> None:
    """The server's limit is as good as the client's; none is a failure."""
    finding = statement_is_limited(replace(IN_PROCESS, statement=limit), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.statement-timeout")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("figures", "aged", "verdict", "says"),
    [
        (FIGURES, Aged(True, 1, 2, None), PASSED, "replaced a connection that was 1801 s old"),
        (FIGURES, Aged(True, 1, 1, None), FAILED, "gave out a connection that was 1801 s old"),
        (replace(FIGURES, recycle_s=None), Aged(True, 1, 1, None), FAILED, "pool_recycle: none"),
        (FIGURES, Aged(True, None, None, "OperationalError"), INCONCLUSIVE, "OperationalError"),
        (FIGURES, Aged(False, None, None, "OperationalError"), INCONCLUSIVE, "OperationalError"),
        (PSYCOPG, Aged(False, None, None, None), PASSED, "after 600 s"),
        (replace(PSYCOPG, recycle_s=3600.0), Aged(False, None, None, None), FAILED, "after 3600 s"),
        (replace(PSYCOPG, recycle_s=None), Aged(False, None, None, None), INCONCLUSIVE, "unknown"),
    ],
)
def test_idle_connections_are_retired(figures: PoolFigures, aged: Aged, verdict: Verdict, says: str) -> None:
    """An old connection isn't given out again, or the pool's settings say so."""
    finding = idle_connections_are_retired(replace(IN_PROCESS, figures=figures, aged=aged), POOL)
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.idle-connections-retired")
    assert says in finding.summary


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, PASSED, "2 processes held 10 connections, 0 of them shared"),
        ({"processes": (Holder(10, 10),)}, PASSED, "1 process held 10 connections"),
        ({"shared": 1, "shared_at_start": 1}, FAILED, "and they were used"),
        ({"shared_at_start": 1, "failed": 3}, FAILED, "at the start 1 were shared, and they were used"),
        ({"shared": 1, "shared_at_start": 1, "unused": 1}, PASSED, "not used by any request"),
        ({"processes": (Holder(10, 0),), "connections": 0}, INCONCLUSIVE, "had a connection open"),
        ({"readable": False}, INCONCLUSIVE, "this system doesn't tell"),
        ({"readable": False, "forked": Forked(True, None, None)}, PASSED, "a connection of its own"),
        ({"readable": False, "forked": Forked(False, None, None)}, INCONCLUSIVE, "shares its connections"),
    ],
)
def test_fork_safe(changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """Inherited connections are forgiven as long as nobody uses them."""
    finding = fork_safe(replace(SHARING, **changes))
    assert (finding.verdict, finding.rule.id) == (verdict, "pool.fork-safe")
    assert says in finding.summary


@pytest.mark.parametrize("seen", [SHARING, IN_PROCESS], ids=lambda seen: type(seen).__name__)
def test_measurements_survive_json(seen: Any) -> None:
    """What was recorded can be judged again."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(seen))
    assert adapter.validate_json(adapter.dump_json(seen)) == seen
