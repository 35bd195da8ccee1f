"""How much of a request's time the machine can account for, from literals."""

from __future__ import annotations

import pytest

from pytest_prodready.generator.answers import NO_ANSWER, RIGHT
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load import Counter, MachineLook, Second, Usage
from pytest_prodready.probes.load_disturbed import Disturbance, disturbances, few_sessions
from pytest_prodready.probes.load_health import with_health
from pytest_prodready.probes.load_machine import risen_s, with_service
from pytest_prodready.probes.load_stats import Digest

LOST = Disturbance((0.0, 1.0, 2.0, 3.0), (0.0, 0.1, 0.1, 0.9))


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (1.2, 1.9, 0.0),  # nobody waited between the looks beside it
        (0.5, 1.5, 0.1),  # it may all have been within it
        (1.5, 2.5, 0.8),
        (2.4, 2.5, 0.1),  # no more than it took
        (-1.0, 0.5, 1.5),  # nobody looked before
        (2.5, 3.5, 1.0),  # or afterwards
    ],
)
def test_most_that_may_be_lost(start_s: float, end_s: float, expected: float) -> None:
    """What was lost between the looks around a span is the most that it can have lost."""
    assert LOST.most(start_s, end_s) == pytest.approx(expected)


def test_what_counts_as_lost() -> None:
    """All waiting, half of the running, and what the host took; of the servers and of the service."""
    machine = [MachineLook(at, 2 * at, at, 2 * at, at, 0.1 * at, 0.2 * at) for at in (0.0, 1.0)]
    usage = [Usage(at, 0.4 * at, 80.0, 0.3 * at) for at in (0.0, 1.0)]
    servers, service = disturbances(machine, usage)
    assert servers.most(0.0, 1.0) == pytest.approx(0.8)
    assert service.most(0.0, 1.0) == pytest.approx(0.5)


def test_a_service_among_the_processes_counts_once() -> None:
    """A service that isn't in a container is one of those that the machine's looks are of."""
    (everything,) = disturbances([MachineLook(at, 2 * at, at, 2 * at, at, 0.1 * at) for at in (0.0, 1.0)])
    assert everything.most(0.0, 1.0) == pytest.approx(0.6)


def test_a_service_in_a_container_is_ours() -> None:
    """What it used is nobody else's, though its processes aren't looked at."""
    machine = [MachineLook(at, 2 * at, 1.8 * at, 0.1 * at) for at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    seconds = [Second(0.0, 0, 10, 10, 0, 1.0, 1.0, 1.0, 0, 0.1)]
    usage = [Usage(-1.0, 3.5, 80.0), Usage(0.3, 5.45, 80.0), Usage(1.1, 6.65, 80.0)]
    (apart,) = with_health(seconds, usage, with_service(machine, usage))
    assert [apart.others, apart.idle] == pytest.approx([0.1, 0.1])
    (unknown,) = with_health(seconds, usage, with_service(machine, ()))
    assert unknown.others == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"1": 0.3, "2": 0.5}, 0.2),
        ({"1": 0.2, "2": 0.4, "3": 0.1}, 0.1),  # a new one has waited since it is there
        ({"1": 0.9}, 0.25),  # what the other has waited for is known by nobody
        (None, 0.25),
    ],
)
def test_threads_that_end_leave_no_figures(now: dict[str, float] | None, expected: float) -> None:
    """A thread for each request is gone, with its wait, before anybody has looked at it."""
    assert risen_s({"1": 0.2, "2": 0.4}, now, 0.25) == pytest.approx(expected)


@pytest.mark.parametrize("known", ["machine", "usage", "nothing"])
def test_nothing_is_known_of_a_half(known: str) -> None:
    """Where servers or service can't be looked at, nothing can be taken off."""
    looks = [MachineLook(0.0, 2, 1, 1, 1, 0.1 if known == "machine" else None)]
    usage = [Usage(0.0, 1, 80.0, 0.1)] if known == "usage" else []
    assert disturbances(looks, usage) == ()


def test_looks_that_fail_are_left_out() -> None:
    """A process that ends while it is looked at costs a look, and no more."""
    looks = [Usage(0.0, 0.0, 80.0, 0.0), Usage(1.0, 0.1, 80.0, None), Usage(2.0, 0.2, 80.0, 0.3)]
    _, service = disturbances([MachineLook(0.0, 2, 1, 1, 1, 0.1)], looks)
    assert service.at_s == (0.0, 2.0)


@pytest.mark.parametrize("ended", [(0.4, 0.1), (0.2, 0.3)], ids=["waits", "processor"])
def test_who_ends_takes_figures_along(ended: tuple[float, float]) -> None:
    """Between two looks of which the later one has less, all of the time may have been lost."""
    cpu_s, delay_s = ended
    usage = [Usage(0.0, 0.1, 80.0, 0.1), Usage(0.5, 0.3, 80.0, 0.2), Usage(1.0, cpu_s, 80.0, delay_s)]
    _, service = disturbances([MachineLook(0.0, 2, 1, 1, 1, 0.1)], usage)
    assert service.most(0.0, 0.5) == pytest.approx(0.2)
    assert service.most(0.6, 0.9) == pytest.approx(0.3)
    assert service.most(0.1, 0.9) == pytest.approx(0.7)


@pytest.mark.parametrize(("opened", "few"), [(20, True), (21, False)])
def test_backends_that_end_at_once_are_seen_by_nobody(opened: int, few: bool) -> None:
    """A connection for each request has a backend that waits between two looks."""
    assert few_sessions([Counter("postgres sessions", opened)], 1000) is few


def test_a_stage_without_what_the_machine_added() -> None:
    """Each request loses what may have been lost in its own time; those without an answer, too."""
    plan = Plan((Stage("1x", "", 10, 0.3),), (Ask("list", "/jobs"),), 1, 5.0, 0.5, "t")
    digest = Digest(plan, {"1x": 1.0}, 0.1)
    digest.errors.append("no answer in time")
    digest.add(Sample(0, 0, 0, 0.1, 0.1, 0.9, 200, RIGHT, -1, 0, -1))
    digest.add(Sample(1, 0, 0, 1.1, 1.1, 1.9, 200, RIGHT, -1, 0, -1))
    digest.add(Sample(2, 0, 0, 2.1, 2.1, 2.9, 0, NO_ANSWER, 0, 0, -1))
    assert digest.stage(0).undisturbed is None
    times = digest.stage(0, (LOST,)).undisturbed
    assert times is not None
    assert [times.p50.ms, times.most_ms] == pytest.approx([700, 800])
    assert times.count == 3
