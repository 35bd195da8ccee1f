"""The stopwatch counts each moment once, for what the thread was really at."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_prodready import stopwatch
from pytest_prodready.reports.spent import REST, TimeSpent, by_suite, shares
from pytest_prodready.stopwatch import MEASURING, STARTING, WAITING, Lap, spent


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """What time it is."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the stopwatch looks at."""
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_what_is_inside_counts_alone(clock: Clock) -> None:
    """A second of starting within a measurement is no second of measuring."""
    lap = Lap()
    clock.now += 5
    with spent(MEASURING):
        clock.now += 2
        with spent(STARTING):
            clock.now += 1
        with spent(WAITING):
            clock.now += 4
        clock.now += 0.5
    assert lap.seconds == 12.5
    assert {kind: lap.by_kind()[kind] for kind in (MEASURING, STARTING, WAITING)} == {
        MEASURING: 2.5,
        STARTING: 1,
        WAITING: 4,
    }


def test_a_lap_knows_what_is_under_way(clock: Clock) -> None:
    """A lap that begins and is read within a block has its own part of it."""
    with spent(MEASURING):
        clock.now += 3
        lap = Lap()
        clock.now += 2
        assert lap.by_kind()[MEASURING] == 2


def test_a_failure_ends_its_block(clock: Clock) -> None:
    """What is raised within a block leaves the watch as it was."""

    @spent(STARTING)
    def fail() -> None:
        clock.now += 1
        raise KeyError

    lap = Lap()
    with spent(WAITING), pytest.raises(KeyError):
        fail()
    clock.now += 7
    assert (lap.by_kind()[STARTING], lap.by_kind()[WAITING]) == (1, 0)


def test_other_threads_cost_no_time() -> None:
    """What another thread does meanwhile isn't counted here."""
    lap = Lap()

    def wait() -> None:
        with spent(WAITING):
            time.monotonic()

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert not lap.by_kind().get(WAITING)


def test_workers_add_up() -> None:
    """Two workers' times are summed; what has no kind is the gate's own."""
    worker = {"work_s": 100.0, "waiting_s": 60.0, "start_up_s": 25.0}
    time_spent = TimeSpent.of(109.2, [worker, worker])
    assert time_spent.by_kind[REST] == 30
    assert time_spent.line == (
        "time: 109 s in 2 workers (200 s of work): 60 % waiting that scenarios need,"
        " 25 % start-up, 15 % the gate itself"
    )
    assert time_spent.as_json()["start_up_s"] == 50


def test_nothing_was_done() -> None:
    """A run without any process's word has no shares, and says so shortly."""
    assert TimeSpent.of(0.2, []).line == "time: 0 s"


@pytest.mark.parametrize("parts", [(1, 1, 1), (0.4, 0.4, 99.2), (2.5, 2.5, 95), (0, 0, 7)])
def test_shares_are_whole(parts: tuple[float, ...]) -> None:
    """Percentages are whole, and add up to 100."""
    found = shares({str(number): seconds for number, seconds in enumerate(parts)})
    assert sum(found.values()) == 100


def test_time_by_suite() -> None:
    """Each suite's findings are summed; an older report without times has the rest alone."""
    findings = [
        {"rule": "pool.bounded", "duration_s": 3.0, "time": {"waiting_s": 1.0, "measuring_s": 1.5}},
        {"rule": "pool.sized", "duration_s": 1.0, "time": {"waiting_s": 1.0}},
        {"rule": "ssl.hba", "duration_s": 0.5},
    ]
    suites = by_suite(findings)
    assert (suites["pool"][WAITING], suites["pool"][REST], suites["ssl"][REST]) == (2.0, 0.5, 0.5)
