"""Figures of a locustfile's users, from literals: rates, time held, what was never sent, what is amiss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.generator.answers import NO_ANSWER, RIGHT
from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.plan import Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_locustfile import locustfile_plan
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.probes.load_users import Users
from pytest_prodready.settings import Settings

STAGES = (Stage("1x", "", 10, 8), Stage("5x", "", 50, 4, climb=True), Stage("1x again", "", 10, 4))
PLAN = LocustfilePlan(STAGES, (), 5, 3.0, 1.0, "", file="/x/locustfile.py", usual_rps=10)


class Told:
    """Users with what they were told."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self.digest = Digest(PLAN, {"1x": 1.0, "5x": 5.0, "1x again": 1.0}, 0.1)
        self.digest.errors.append("no answer in time")
        self.users = Users(PLAN, self.digest)
        first: tuple[dict[str, Any], ...] = ({"ask": "GET /a"}, {"stage": [0, 0.0]})
        for each in (*first, *told):
            self.users.take(each)

    def sent(self, stage: int, *requests: tuple[float, float], verdict: int = RIGHT) -> None:
        """Requests of a stage, by their start and what they took."""
        status, error = (200, -1) if verdict == RIGHT else (0, 0)
        for at, took in requests:
            self.digest.add(Sample(0, stage, 0, at, at, at + took, status, verdict, error, 0, -1))


def steadily(at_s: float, seconds: float, rate: float, took: float = 0.01) -> list[tuple[float, float]]:
    """So many requests a second, evenly."""
    return [(at_s + number / rate, took) for number in range(round(seconds * rate))]


def look(at_s: float, users: int, **more: Any) -> dict[str, Any]:
    """What the generator told of its users at one moment."""
    return {"at_s": at_s, "users": users, "sent": True, **more}


def test_users_are_scaled_and_come_gently() -> None:
    """As many times the users as the rate; they come within two of their cycles, or half of the stage."""
    assert [PLAN.users_in(each) for each in STAGES] == [5, 25, 5]
    assert [PLAN.ramp_s(each) for each in STAGES] == [2.0, 1.0, 1.0]
    slow = LocustfilePlan(STAGES, (), 50, 3.0, 1.0, "", usual_rps=10)
    assert [slow.ramp_s(each) for each in STAGES] == [4.0, 2.0, 2.0]


def test_plan_has_users_in_place_of_a_self_test() -> None:
    """The stages of the schedule but for the self-test; paths are relative to prodready.toml."""
    settings = Settings.model_validate(
        {
            "service": {"name": "s", "command": "s {port}"},
            "load": {"expected_rps": 20, "multiplier": 5, "locustfile": "l.py", "users_at_1x": 8},
        }
    )
    made = locustfile_plan(settings.load, "http://service", Path("/project"))
    assert [each.name for each in made.stages] == ["warm-up", "1x", "2x", "4x", "5x", "1x again"]
    assert {each.url for each in made.stages} == {"http://service"}
    assert [made.users_in(each) for each in made.stages] == [8, 8, 16, 32, 40, 8]
    assert made.file == "/project/l.py"
    assert LocustfilePlan.parsed(made.as_json()).users_in(made.stages[-2]) == 40


def test_rate_is_that_of_the_seconds_after_they_came() -> None:
    """Requests of the ramp count as requests, and not for the rate."""
    told = Told({"stage": [1, 8.0]}, {"stage": [2, 12.0]}, {"over": 16.0})
    told.sent(0, *steadily(0, 8, 10))
    told.sent(1, *steadily(8, 1, 10), *steadily(9, 3, 50))
    told.sent(2, *steadily(12, 4, 10))
    usual, peak, again = told.users.stages()
    assert (usual.rate, usual.steady_s, usual.due, usual.users) == (10, 6, 80, 5)
    assert (peak.rate, peak.steady_s, peak.due, peak.users) == (50, 3, 160, 25)
    assert (again.at_s, again.seconds) == (12, 4)
    assert peak.held == pytest.approx(0.01 * 50 / 25, abs=0.001)
    assert peak.possible == pytest.approx(50 / 0.98, rel=0.02)
    assert peak.failures == 0
    assert peak.in_time == 160
    assert told.digest.plan.asks[0].label == "GET /a"


def test_held_users_would_have_made_more() -> None:
    """Each waits half of the time: with answers at once there would have been twice as many."""
    told = Told({"stage": [1, 8.0]}, {"over": 12.0})
    told.sent(1, *steadily(8, 4, 25, took=0.5))
    (peak,) = (each for each in told.users.stages() if each.name == "5x")
    assert peak.held == pytest.approx(0.5, abs=0.1)
    assert peak.possible == pytest.approx(50, rel=0.25)


def test_what_was_never_sent_is_reckoned_with() -> None:
    """A user that sends every tenth of a second is held for one: nine more would have waited."""
    told = Told({"over": 8.0})
    told.sent(0, *[(number / 10, 0.001) for number in range(80) if not 40 <= number < 50], (4.0, 1.0))
    (usual,) = told.users.stages()
    assert usual.response is not None
    assert usual.in_turn is not None
    assert usual.response.p95.ms < 5
    assert usual.response.count == 71
    assert usual.in_turn.count > 71
    steady = Told({"over": 8.0})
    steady.sent(0, *steadily(0, 8, 10, took=0.4))  # slow, but always
    (slow,) = steady.users.stages()
    assert slow.in_turn is not None
    assert slow.in_turn.count == 80


def test_all_users_held_is_no_silence_of_theirs() -> None:
    """Nobody sent anything in a stage, since everybody waited: it is there, and its rate is nought."""
    told = Told({"stage": [1, 8.0]}, {"stage": [2, 12.0]}, {"over": 16.0})
    told.sent(0, *steadily(0, 8, 10))
    told.sent(1, *[(8.1, 3.0)] * 25, verdict=NO_ANSWER)
    _, peak, again = told.users.stages()
    assert (peak.failures, peak.rate, peak.held) == (25, 0, 1)
    assert (again.name, again.multiple, again.due, again.held) == ("1x again", 1, 0, 1)
    assert again.possible > 1000
    assert told.users.shortfall(told.users.stages(), [look(14, 5)], 0.005) == ""


def test_seconds_in_which_all_wait_are_told() -> None:
    """A second without a request isn't left out where one was under way all along."""
    told = Told({"over": 8.0})
    told.sent(0, (0.1, 0.1), (1.5, 2.8), (6.2, 0.1))
    seconds = told.users.seconds(told.digest.seconds())
    assert [(each.at_s, each.due) for each in seconds] == [(0, 1), (1, 1), (2, 0), (3, 0), (6, 1)]
    assert seconds[2].under_way == 1


@pytest.mark.parametrize(
    ("told", "looks", "says"),
    [
        ({"ended itself": "1x"}, [look(7, 5)], "ended its test itself in stage 1x"),
        ({"raised": {"KeyError (locustfile.py, line 3)": 40}}, [look(7, 5)], "raised 40 times: KeyError"),
        ({"over": 8.0}, [look(4, 5), look(7, 2)], "only 2 of 5 users were there in stage 1x"),
        ({"stage": [1, 8.0]}, [look(7, 5), look(10, 25)], "sent no request in stage 5x"),
        ({"raised": {"KeyError": 1}}, [look(7, 5)], ""),
    ],
)
def test_less_of_a_load_by_its_own_doing(
    told: dict[str, Any], looks: list[dict[str, Any]], says: str
) -> None:
    """It ends, raises, loses its users, or sends nothing: each is said."""
    seen = Told(told)
    seen.sent(0, *steadily(0, 8, 10))
    found = seen.users.shortfall(seen.users.stages(), looks, 0.005)
    assert says in found
    assert bool(says) == bool(found)


def test_remarks_account_for_what_does_not_count() -> None:
    """Requests that were cut off, a shape that isn't used, and a few tasks that raised."""
    seen = Told({"shapes": ["Wave"]}, {"cut": 3}, {"raised": {"KeyError (locustfile.py, line 3)": 1}})
    assert [each[:30] for each in seen.users.remarks()] == [
        "tasks of your locustfile raise",
        "users were stopped in 3 reques",
        "its Wave isn't used: stages ar",
    ]
    assert Told().users.remarks() == ()


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([look(5, 5, sent=False)], "it has 5 users, who wait"),
        ([look(5, 0, sent=False)], "none of its users is there"),
        ([], "lets nothing else run"),
        ([look(5, 5)], ""),  # a request was sent, and has no answer yet
    ],
)
def test_silence_is_not_waited_for(looks: list[dict[str, Any]], says: str) -> None:
    """Nothing was sent within half of the time without the climb."""
    seen = Told()
    assert seen.users.silence(looks, 5.9) == ""
    assert says in seen.users.silence(looks, 6.1)
    assert bool(seen.users.silence(looks, 6.1)) == bool(says)
