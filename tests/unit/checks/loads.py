"""Loads from literals: a healthy run, and runs that differ from it in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_prodready.probes.drill import Ledger
from pytest_prodready.probes.load import (
    Generator,
    Interval,
    Kind,
    Load,
    PoolLook,
    Second,
    Stage,
    Times,
    Usage,
)
from pytest_prodready.probes.load_knee import knee
from pytest_prodready.settings import LoadSettings, PoolSettings

LIMITS = LoadSettings(expected_rps=20)
POOL = PoolSettings(size=10)
HEALTHY = Generator(
    self_test=1.0, self_test_rate=300, cpu=0.1, delay=0.05, steal=0.0, lag_ms=5, service_delay=0.1
)
STARVED = replace(HEALTHY, delay=0.65, lag_ms=72)


def times(p50: float, p95: float, p99: float, sure: float = 0.1, count: int = 1000) -> Times:
    """Percentiles in milliseconds, each so sure of itself (a share on both sides)."""

    def interval(ms: float) -> Interval:
        return Interval(ms, ms * (1 - sure), ms * (1 + sure))

    return Times(count, interval(p50), interval(p95), interval(p99), most_ms=p99)


def stage(name: str, multiple: float, at_s: float, seconds: float, **more: Any) -> Stage:
    """A stage in which everything is well, if nothing else is said."""
    due = round(20 * (multiple or 15) * seconds)
    failed: Sequence[Kind] = more.get("failed", ())
    good = due - sum(each.count for each in (*failed, *more.get("wrong", ()), *more.get("hidden", ())))
    given = {
        "planned": due,
        "due": due,
        "in_time": due,
        "good": good,
        "goodput": 20 * (multiple or 15) * good / due,
        "checked": good,
        "shaped": good,
        "response": times(3, 10, 20),
        "service": times(2, 8, 15),
        "mean_s": 0.003,
        **more,
    }
    return Stage(name, multiple, 20 * (multiple or 15), at_s, seconds, **given)


def load(*changed: Stage, seconds: Sequence[Second] = (), **more: Any) -> Load:
    """A healthy run; stages of the same name as these are replaced by them."""
    usual = (
        stage("self-test", 0, 0, 3),
        stage("1x", 1, 3, 8),
        stage("4x", 4, 11, 4),
        stage("10x", 10, 15, 15),
        stage("1x again", 1, 30, 8),
    )
    by_name = {each.name: each for each in changed}
    stages = tuple(by_name.get(each.name, each) for each in usual)
    given = {
        "stages": stages,
        "seconds": tuple(seconds) or calm(stages),
        "generator": HEALTHY,
        "ledger": Ledger(acknowledged=300, read_from=("database",)),
        "pool": tuple(look(at / 10, in_use=1) for at in range(380)),
        "usage": tuple(Usage(float(at), 0.25 * at, 80.0) for at in range(38)),
        "rested": look(-1.0, total=1),
        "left": look(40.0),
        "same_process": True,
        **more,
    }
    return Load(20, 10, knee=knee(stages[1:-1]), **given)


def ended(stage_: Stage, why: str, what: str) -> Load:
    """A run whose climb was ended in this stage, the last before the usual load again."""
    whole = load(stage_)
    kept = tuple(each for each in whole.stages if each.multiple <= stage_.multiple or each.name == "1x again")
    return replace(whole, stages=kept, ended=why, ended_in=stage_.name, ended_for=what)


def look(at_s: float, total: int = 10, in_use: int = 0, **more: int) -> PoolLook:
    """The service's connections at one moment."""
    return PoolLook(at_s, total, in_use, more.get("idle_in_transaction", 0), more.get("waiting", 0))


def calm(stages: Sequence[Stage]) -> tuple[Second, ...]:
    """Every second of these stages, as it should be."""
    return tuple(
        second(each.at_s + at, number, round(each.rate))
        for number, each in enumerate(stages)
        for at in range(int(each.seconds))
    )


def second(
    at_s: float, stage_: int, due: int, p95_ms: float = 10, *, failed: int = 0, slow: int = 0
) -> Second:
    """One second of the run."""
    return Second(at_s, stage_, due, due - failed, failed, 3, p95_ms, p95_ms * 2, slow, 1)


def used(name: str, multiple: float, at_s: float, seconds: float, **more: Any) -> Stage:
    """A stage of a locustfile's users, who make what is expected of them, if nothing else is said."""
    rate = 20 * multiple
    made = stage(name, multiple, at_s, seconds, in_turn=times(3, 11, 22))
    goodput = more.get("rate", rate) * more.get("good", made.good) / max(1, more.get("due", made.due))
    given = {
        "goodput": goodput,
        "users": int(10 * multiple),
        "steady_s": seconds * 0.75,
        "held": 0.02,
        "possible": 1.02 * rate,
    }
    return replace(made, **{"rate": rate, **given, **more})


def closed(*changed: Stage, **more: Any) -> Load:
    """A healthy run of a locustfile; stages of the same name as these are replaced by them."""
    usual = (used("1x", 1, 3, 8), used("4x", 4, 11, 4), used("10x", 10, 15, 15), used("1x again", 1, 30, 8))
    by_name = {each.name: each for each in changed}
    stages = tuple(by_name.get(each.name, each) for each in usual)
    return load(**{"stages": stages, "locustfile": "locustfile.py", "ledger": None, **more})
