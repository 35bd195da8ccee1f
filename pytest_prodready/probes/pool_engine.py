"""Look at the service's own engine: its size, its timeouts, and what it does with old connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_prodready.environment.environment import Environment
from pytest_prodready.probes.engine import (
    Aged,
    Checkout,
    ConnectOutcome,
    EngineProcess,
    Held,
    PoolFigures,
    service_engine,
)
from pytest_prodready.probes.pool_steady import USUAL_SIZE
from pytest_prodready.settings import Settings

MOST_HELD = 2  # times the declared size; more could use up the server


@dataclass(frozen=True, slots=True)
class StatementLimit:
    """The limit on a statement's time: the server's setting, and where that is off, what a long one met."""

    setting_ms: int | None  # None: it couldn't be read
    slept_s: float | None = None  # the sleep that was asked for; None: the setting was enough
    outcome: ConnectOutcome | None = None


@dataclass(frozen=True, slots=True)
class InProcess:
    """The engine's pool when filled, and its sessions."""

    figures: PoolFigures
    first: ConnectOutcome
    held: Held
    one_more: Checkout
    still_out: int | None  # checked out after all were given back; None: the pool doesn't count
    after: ConnectOutcome
    statement: StatementLimit
    age_s: float
    aged: Aged


def in_process(environment: Environment, settings: Settings, progress: Callable[[str], None]) -> InProcess:
    """Fill the engine's pool, ask for one more, give all back; then read limits and age a connection."""
    progress(f"looking at {settings.service.engine} in process")
    with service_engine(environment, settings) as engine:
        first = engine.connect()
        figures = engine.figures()
        declared = settings.pool.size or USUAL_SIZE
        fillable = figures.size is not None and figures.size <= MOST_HELD * declared
        held = engine.hold(figures.size if figures.size and fillable else declared)
        one_more = engine.one_more(settings.pool.refuse_within_s + 1)
        still_out = engine.release()
        return InProcess(
            figures=figures,
            first=first,
            held=held,
            one_more=one_more,
            still_out=still_out,
            after=engine.connect(),
            statement=_statement_limit(engine, settings.pool.statement_timeout_s, progress),
            age_s=settings.pool.idle_s,
            aged=engine.age(settings.pool.idle_s + 1),
        )


def _statement_limit(
    engine: EngineProcess, limit_s: float, progress: Callable[[str], None]
) -> StatementLimit:
    text = engine.setting("statement_timeout")
    setting_ms = None if text is None else int(text)
    if setting_ms is None or 0 < setting_ms <= limit_s * 1000:
        return StatementLimit(setting_ms)
    sleep_s = limit_s + 1.0
    progress(f"statement_timeout is {setting_ms} ms: running a statement of {sleep_s:g} s")
    return StatementLimit(setting_ms, sleep_s, engine.sleep(sleep_s, deadline_s=sleep_s + 3))
