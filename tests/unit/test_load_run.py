"""What a run under way remembers of its end, with a generator and a service from literals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_prodready.generator.answers import RIGHT, WRONG_STATUS
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import AGAIN, USUAL
from pytest_prodready.probes.load_run import _Run
from pytest_prodready.settings import LoadSettings

PLAN = Plan(
    stages=(Stage(USUAL, "", 20, 1), Stage("4x", "", 80, 1), Stage(AGAIN, "", 20, 1)),
    asks=(Ask("list", ""),),
    users=1,
    deadline_s=1.0,
    settle_s=0.1,
    prefix="t",
)


def _samples(stage: int, count: int, verdict: int = RIGHT) -> list[Sample]:
    status = 200 if verdict == RIGHT else 500
    return [Sample(n, stage, 0, stage, stage, stage + 0.01, status, verdict, -1, 0, -1) for n in range(count)]


class _Service:
    """A generator that tells one batch after the other, and the service, which ends with the last of them."""

    pid, alive = 1, True

    def __init__(self, *batches: list[Sample]) -> None:
        self._batches: Iterator[list[Sample]] = iter(batches)
        self._left = len(batches)

    def began(self) -> tuple[float, list[Sample]]:
        return time.monotonic(), []

    def news(self) -> list[Sample]:
        self._left -= 1
        self.alive = self._left > 0
        return next(self._batches)

    def end_climb(self) -> None:
        pass


@pytest.mark.parametrize(
    ("batches", "ended_in", "died_in"),
    [
        ([_samples(0, 20)], USUAL, USUAL),
        ([_samples(0, 20), _samples(1, 40, WRONG_STATUS)], "4x", "4x"),
        ([_samples(0, 20), _samples(1, 40, WRONG_STATUS), _samples(2, 5)], "4x", AGAIN),
        ([_samples(0, 20), _samples(1, 80), _samples(2, 5)], AGAIN, AGAIN),
    ],
)
def test_where_the_process_ended_is_known_whatever_had_ended_the_climb(
    batches: list[list[Sample]], ended_in: str, died_in: str
) -> None:
    """The climb is ended once, for its first reason; the process may end later."""
    both = _Service(*batches)
    told: list[str] = []
    settings = SimpleNamespace(load=LoadSettings(expected_rps=20))
    scene: Any = SimpleNamespace(
        settings=settings, environment=SimpleNamespace(application=both), progress=told.append
    )
    watch: Any = SimpleNamespace(begin=lambda _: None)
    generator: Any = SimpleNamespace(began=both.began, news=both.news, end_climb=both.end_climb, alive=True)
    run = _Run(scene, PLAN, generator, watch, elsewhere=False)
    run.follow()
    assert (run.ended_in, run.died_in) == (ended_in, died_in)
    assert any(line.startswith(f"load: ended in stage {ended_in}: ") for line in told)
