"""Too few users of the generator, or users that the service holds: told apart by literal samples."""

from __future__ import annotations

import heapq
import subprocess
import sys

import pytest

from pytest_prodready.generator.answers import NEVER_SENT, NO_ANSWER, RIGHT
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_busy import short_of_users
from pytest_prodready.probes.load_plan import users_for
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.settings import LoadSettings

LIMITS = LoadSettings(expected_rps=20)
RATE, SECONDS = 200, 10
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from pytest_prodready.generator.files import allow_files
allow_files(300)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def sent(
    users: int, took_s: float, stall: tuple[float, float] = (0.0, 0.0), deadline_s: float = 10.0
) -> Digest:
    """So many users send 200/s to a service that takes so long, and answers nothing while it stalls."""
    digest = Digest(Plan((Stage("10x", "", RATE, SECONDS),), (Ask("a", "/a"),), users, 10, 1, "t"), {}, 0.1)
    digest.errors += ["no user was free before its deadline", "no answer in time"]
    free = [0.0] * users
    for number in range(RATE * SECONDS):
        due = number / RATE
        started = max(due, heapq.heappop(free))
        ended = started + took_s
        if stall[0] <= ended and started < stall[1]:
            ended = stall[1] + took_s
        last, verdict, error = due + deadline_s, RIGHT, -1
        if started > last:
            ended, verdict, error = started, NEVER_SENT, 0
        elif ended > last:
            ended, verdict, error = last, NO_ANSWER, 1
        heapq.heappush(free, ended)
        status, busy = (200 if verdict == RIGHT else 0), int(started > due)
        digest.add(Sample(number, 0, 0, due, started, ended, status, verdict, error, busy, -1))
    return digest


def test_too_few_users_are_the_generators() -> None:
    """Thirty requests are under way at 200/s and 150 ms; twenty users can't be enough for any service."""
    seen = sent(20, 0.15).stage(0)
    assert seen.response is not None
    assert seen.response.p95.ms > 1000
    assert seen.held_ms == 150
    assert short_of_users(seen, LIMITS)
    assert not short_of_users(sent(31, 0.15).stage(0), LIMITS)  # nobody waited


def test_what_is_sent_too_late_is_the_generators_as_well() -> None:
    """No user was free until shortly before the deadline, while each answer took no longer than it may."""
    seen = sent(20, 0.15, deadline_s=1.0).stage(0)
    assert seen.unsent == seen.failures > 100
    assert short_of_users(seen, LIMITS)


@pytest.mark.parametrize("users", [2, 20])
def test_a_stall_is_the_services(users: int) -> None:
    """Few requests are in a stall, since it holds all users; the others only waited for it."""
    seen = sent(users, 0.005, stall=(4.0, 5.5)).stage(0)
    assert seen.response is not None
    assert seen.service is not None
    assert seen.service.p99.ms < 100 < LIMITS.p99_ms < seen.response.p99.ms
    assert seen.busy > 200
    assert seen.held_ms is not None
    assert seen.held_ms > 1000
    assert not short_of_users(seen, LIMITS)


def test_a_slow_service_is_its_own() -> None:
    """Each request takes longer than it may: more users would only wait for it, too."""
    assert not short_of_users(sent(20, 0.4).stage(0), LIMITS)
    late = sent(20, 0.4, deadline_s=1.0).stage(0)
    assert late.unsent > 100  # it was cut off early, and looks quick for it
    assert not short_of_users(late, LIMITS)


@pytest.mark.parametrize(
    ("given", "users"),
    [
        ({"expected_rps": 20}, 1000),  # 2001 are due within the deadline, 200 within the limit of p99
        ({"expected_rps": 2}, 201),
        ({"expected_rps": 1000}, 10_001),
        ({"expected_rps": 5000}, 20_000),
        ({"expected_rps": 1000, "p99_ms": 300}, 3001),
    ],
)
def test_users_grow_with_what_is_due(given: dict[str, float], users: int) -> None:
    """As many as can be under way where answers come within their limit."""
    assert users_for(LoadSettings.model_validate(given)) == users


def test_each_request_may_have_a_file() -> None:
    """The usual limit is raised for as many users as there are."""
    told = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert int(told.stdout) == 500
