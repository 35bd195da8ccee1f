"""What a service got done, and which request was slow, from literal samples."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from pytest_prodready.generator.answers import RIGHT, WRONG_STATUS
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Stage as Seen
from pytest_prodready.probes.load_asked import MOST, asked, slowest
from pytest_prodready.probes.load_knee import knee
from pytest_prodready.probes.load_stats import Digest

ASKS = (Ask("list", "/jobs"), Ask("search", "/jobs?q=a"))
STEPS = (60, 100, 200, 300)  # requests a second, for so many seconds
SECONDS = 4
CAPACITY = 120.0


def served(rates: tuple[int, ...], capacity: float, took_s: float = 0.0, verdict: int = RIGHT) -> Digest:
    """A service that answers one request after the other, so many a second, each after so long at least."""
    stages = tuple(Stage(f"{rate}", "", rate, SECONDS) for rate in rates)
    digest = Digest(Plan(stages, ASKS, 1, 60.0, 0.5, "t"), {}, 0.1)
    number, free_s = count(), 0.0
    for stage, rate in enumerate(rates):
        for step in range(rate * SECONDS):
            due = stage * SECONDS + step / rate
            free_s = max(due, free_s) + 1 / capacity
            digest.add(Sample(next(number), stage, 0, due, due, free_s + took_s, 200, verdict, -1, 0, -1))
    return digest


def test_goodput_is_what_was_answered_and_not_what_was_asked() -> None:
    """Of 200/s a service of 120/s does 120, also while it still has those of the stage before to do."""
    stages = served(STEPS, CAPACITY).stages()
    assert [each.rate for each in stages] == [60, 100, 200, 300]
    assert [each.goodput for each in stages] == pytest.approx([60, 100, 120, 120], rel=0.01)
    assert {each.good for each in stages[2:]} == {800, 1200}  # all of them, some day


@pytest.mark.parametrize("took_s", [0.0, 0.3, 3.0])
def test_slow_is_not_few(took_s: float) -> None:
    """Each answer takes its time, and as many come as are asked for."""
    stages = served(STEPS, 10_000, took_s).stages()
    assert [each.goodput for each in stages[1:]] == pytest.approx([100, 200, 300], rel=0.01)


def test_what_is_caught_up_is_no_rate() -> None:
    """After a stall more is answered than was asked for; errors are no good answers."""
    digest = served((100,), 10_000)
    digest.samples[0] = [each._replace(ended_s=max(each.ended_s, 2.0)) for each in digest.samples[0]]
    assert digest.stage(0).goodput <= 100
    assert served((100,), 10_000, verdict=WRONG_STATUS).stage(0).goodput == 0


def test_seconds_show_when_answers_came() -> None:
    """No second has more good answers than the service has in it, though each has more due."""
    seconds = served(STEPS, CAPACITY).seconds()
    assert [each.due for each in seconds] == [rate for rate in STEPS for _ in range(SECONDS)]
    assert max(each.good for each in seconds) <= 121
    assert [each.good for each in seconds[-8:]] == pytest.approx([120] * 8, abs=1)
    assert {each.failed for each in seconds} == {0}


def test_limit_is_that_of_the_service() -> None:
    """The law finds the capacity by what was answered; by what was asked it would find twice that."""
    stages = served(STEPS, CAPACITY).stages()
    found, wrong = knee(stages), knee([replace(each, goodput=each.rate) for each in stages])
    assert found is not None
    assert wrong is not None
    assert found.most_per_s == pytest.approx(CAPACITY, rel=0.01)
    assert wrong.most_per_s is None or wrong.most_per_s > 1.5 * CAPACITY


@pytest.mark.parametrize(
    ("last", "capped"),
    [
        ({}, False),
        ({"goodput": 180.0}, True),
        ({"goodput": 180.0, "users": 100}, False),  # by when users' answers came, in a few seconds
        ({"goodput": 180.0, "seconds": 1.0}, False),  # of 200 so many may be under way at the end
        ({"goodput": 195.0}, False),
    ],
)
def test_less_was_answered_only_where_it_surely_was(last: dict[str, float], capped: bool) -> None:
    """What is under way as a stage ends is no want of rate, nor is what came late at a lower load."""
    stages = [
        Seen("4x", 4, 80.0, 0, 4, 320, 320, 320, 320, 70.0, mean_s=0.05),
        Seen("7x", 7, 140.0, 4, 4, 560, 560, 560, 560, 140.0, mean_s=0.055),
        Seen("10x", 10, 200.0, 8, 15, 3000, 3000, 3000, 3000, 200.0, mean_s=0.062),
    ]
    stages[-1] = replace(stages[-1], **last)  # type: ignore[arg-type]
    found = knee(stages)
    assert found is not None
    assert found.most_per_s is not None
    assert (found.most_per_s <= 200) == capped


def test_the_slow_request_is_named() -> None:
    """One of two takes long: its own p95 is kept, the slowest first."""
    digest = Digest(Plan((Stage("1x", "", 100, 4),), ASKS, 1, 60.0, 0.5, "t"), {}, 0.1)
    for number in range(400):
        slow = number % 10 == 0
        due = number / 100
        ended = due + (2.1 if slow else 0.02)
        digest.add(Sample(number, 0, int(slow), due, due, ended, 200, RIGHT, -1, 0, -1))
    seen = digest.stage(0)
    assert [(each.request, each.count, each.p95_ms) for each in seen.asked] == [
        ("search", 40, 2100),
        ("list", 360, 20),
    ]
    assert slowest(seen) == seen.asked[0]
    even = tuple(replace(each, p95_ms=100.0) for each in seen.asked)
    assert slowest(replace(seen, asked=even)) is None  # a queue before all of them
    few = (replace(seen.asked[0], count=3), *seen.asked[1:])
    assert slowest(replace(seen, asked=few)) is None


def test_no_more_requests_are_kept_than_can_be_read() -> None:
    """Of five hundred names the slowest are kept."""
    asks = [Ask(f"name {number}", "") for number in range(500)]
    samples = [Sample(n, 0, n, 0.0, 0.0, n / 1000, 200, RIGHT, -1, 0, -1) for n in range(500)]
    found = asked(samples, asks)
    assert len(found) == MOST
    assert (found[0].request, found[0].p95_ms) == ("name 499", 499)
