"""The checks of the failover suite about Redis, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.checks.failover_counter import no_count_twice
from pytest_prodready.checks.failover_redis import (
    cold_cache_is_filled_once,
    redis_is_used_again,
    redis_loss_is_survived,
    redis_loss_spares_the_database,
)
from pytest_prodready.checks.failover_redis_demoted import redis_primary_is_followed
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.drill import Drill, Ledger, Mark, Sent
from pytest_prodready.probes.failover_counter import Counted, number_in
from pytest_prodready.probes.failover_redis import Crowd, RedisHerd, RedisLoss
from pytest_prodready.probes.failover_redis_demoted import RedisDemotion
from pytest_prodready.probes.redis_costs import Cost
from pytest_prodready.settings import Settings
from tests.unit.checks.drills import END_S, FAULT_S, HEALED_S, drill, stream

SETTINGS = Settings.model_validate({"service": {"name": "x", "command": "x"}, "redis": {"optional": True}})
STRICT = Settings.model_validate({"service": {"name": "x", "command": "x"}})
SILENT_S = 3.0
MARKS = tuple(
    Mark(name, at)
    for name, at in (("fault", FAULT_S), ("silent", SILENT_S), ("healing", HEALED_S), ("healed", HEALED_S))
)
SHOW = Cost("show", cacheable=True, answered=True, first=2, again=0, commands=1)
LIST = Cost("list", cacheable=False, answered=True, first=1, again=1, commands=0)
COSTS = (LIST, SHOW)
SERVED = tuple(Sent("show", 0.0, 0.2, 200, expected=True) for _ in range(40))


def loss(during: dict[str, Any] | None = None, **changes: Any) -> RedisLoss:
    """A loss of Redis that went well, but for what is told."""
    seen = drill(during=during or {}, marks=MARKS, **changes)
    seen = replace(seen, sent=tuple(replace(each, request="show") for each in seen.sent))
    return RedisLoss(seen, COSTS, ("show",), used_again_s=0.5, watched_s=0.5, after=(SHOW,))


def lately(share: float) -> RedisLoss:
    """A loss during which so many of the requests in silence took longer than they may."""
    seen = loss()
    end_s = SILENT_S + share * (HEALED_S - SILENT_S) - 0.01
    slow = (replace(s, seconds=2.5 if SILENT_S <= s.at_s < end_s else s.seconds) for s in seen.drill.sent)
    return replace(seen, drill=replace(seen.drill, sent=tuple(slow)))


def behind(seen: RedisLoss, by_s: float) -> RedisLoss:
    """The same on a machine so busy that the last request was sent so much later than planned."""
    *sent, last = seen.drill.sent
    late = replace(last, at_s=last.at_s + by_s)
    return replace(seen, drill=replace(seen.drill, sent=(*sent, late)))


def refused(writes: int) -> Ledger:
    """A ledger with so many writes refused."""
    return Ledger(acknowledged=50, refused=writes)


@pytest.mark.parametrize(
    ("seen", "settings", "verdict", "part"),
    [
        (loss(), SETTINGS, Verdict.PASSED, "Redis silent: 30 x 200"),
        (loss({"status": 503}), SETTINGS, Verdict.FAILED, "Redis dead: 20 of 20 failed (20 x 503)"),
        (loss({"seconds": 2.5}), SETTINGS, Verdict.FAILED, "30 of 30 took up to 2.5 s"),
        (lately(0.2), SETTINGS, Verdict.PASSED, "30 x 200, slowest 2.5 s"),
        (lately(0.4), SETTINGS, Verdict.FAILED, "12 of 30 took up to 2.5 s"),
        (behind(lately(0.4), 1.0), SETTINGS, Verdict.PASSED, "30 x 200, slowest 2.5 s"),
        (loss(ledger=refused(3)), SETTINGS, Verdict.FAILED, "3 of 53 writes were not acknowledged"),
        (loss(ledger=refused(3)), STRICT, Verdict.PASSED, "30 x 200"),
        (loss(same_process=False), SETTINGS, Verdict.FAILED, "the process ended"),
        (
            loss(health=stream(FAULT_S, END_S, request="liveness", status=503)),
            SETTINGS,
            Verdict.FAILED,
            "liveness",
        ),
        (loss(steady_after=False, unsteady="show got 500"), SETTINGS, Verdict.FAILED, "show got 500"),
        (loss(doubt="never steady"), SETTINGS, Verdict.INCONCLUSIVE, "never steady"),
        (replace(loss(), costs=(LIST,)), SETTINGS, Verdict.INCONCLUSIVE, "seen to use Redis"),
        (replace(loss(), judged=("other",)), SETTINGS, Verdict.INCONCLUSIVE, "hardly a request"),
    ],
)
def test_loss(seen: RedisLoss, settings: Settings, verdict: Verdict, part: str) -> None:
    """Served as declared and in time, whether Redis is dead, silent or back."""
    finding = redis_loss_is_survived(seen, settings)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (loss(), Verdict.PASSED, "used again after 500 ms: show 0 statements and 1 command"),
        (
            replace(loss(), used_again_s=None, watched_s=8.0, after=(replace(SHOW, again=2, commands=0),)),
            Verdict.FAILED,
            "8.0 s after Redis was back it was not used as before: show 2 statements and 0 commands",
        ),
        (
            replace(loss(), used_again_s=None, after=(replace(SHOW, answered=False),)),
            Verdict.FAILED,
            "not served",
        ),
        (replace(loss(), used_again_s=4.0), Verdict.FAILED, "after 4.0 s"),
        (replace(loss(), after=()), Verdict.INCONCLUSIVE, "not asked again"),
        (replace(loss(), costs=(LIST,)), Verdict.INCONCLUSIVE, "seen to use Redis"),
    ],
)
def test_used_again(seen: RedisLoss, verdict: Verdict, part: str) -> None:
    """Repeats cost what they did before, in time."""
    finding = redis_is_used_again(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


def crowd(answers: tuple[Sent, ...] = SERVED, loads: int = 1, statements: int = 2) -> Crowd:
    """A crowd for one answer."""
    return Crowd("show", answers, loads, statements, first=2)


def answered(status: int | None, error: str = "") -> tuple[Sent, ...]:
    """A crowd of which half is served, and half told something else."""
    bad = Sent("show", 0.0, 0.5, status, expected=False, error=error)
    return (*SERVED[:20], *(bad for _ in range(20)))


HERD = RedisHerd(
    costs=COSTS, gone=(LIST, replace(SHOW, again=2)), empty_crowd=crowd(), gone_crowd=crowd(statements=80)
)


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (HERD, Verdict.PASSED, "list 1 (1), show 2 (2); 40 at once for show: 40 x 200, 80 statements"),
        (replace(HERD, gone_crowd=crowd(answered(503))), Verdict.PASSED, "20 x 503"),
        (replace(HERD, empty_crowd=None, gone_crowd=None), Verdict.PASSED, "show 2 (2)"),
        (replace(HERD, gone=()), Verdict.INCONCLUSIVE, "nothing was asked while Redis was gone"),
        (replace(HERD, gone=(replace(SHOW, again=5),)), Verdict.FAILED, "show ran 5 statements, 2 with"),
        (replace(HERD, gone=(replace(SHOW, answered=False),)), Verdict.FAILED, "show was not served"),
        (replace(HERD, gone_crowd=crowd(answered(500))), Verdict.FAILED, "20 of 40 at once for show got 20"),
        (replace(HERD, gone_crowd=crowd(answered(None, "no answer"))), Verdict.FAILED, "20 x no answer"),
        (replace(HERD, gone_crowd=crowd(statements=400)), Verdict.FAILED, "ran 400 statements"),
        (replace(HERD, same_process=False), Verdict.FAILED, "the process ended"),
        (replace(HERD, unsteady="list got 500"), Verdict.FAILED, "afterwards list got 500"),
        (replace(HERD, costs=(LIST,)), Verdict.INCONCLUSIVE, "seen to use Redis"),
        (replace(HERD, costs=(replace(SHOW, first=0),)), Verdict.INCONCLUSIVE, "use the database"),
        (RedisHerd(doubt="never steady"), Verdict.INCONCLUSIVE, "never steady"),
    ],
)
def test_herd(seen: RedisHerd, verdict: Verdict, part: str) -> None:
    """Without Redis each request costs what an empty cache costs, and a crowd is served or refused."""
    finding = redis_loss_spares_the_database(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (HERD, Verdict.PASSED, "40 at once for show on an empty cache: 40 x 200, loaded 1 time"),
        (replace(HERD, empty_crowd=crowd(loads=4), processes=4), Verdict.PASSED, "loaded 4 times"),
        (replace(HERD, empty_crowd=crowd(answered(503))), Verdict.PASSED, "20 x 503"),
        (replace(HERD, empty_crowd=crowd(loads=30)), Verdict.FAILED, "loaded 30 times"),
        (replace(HERD, empty_crowd=crowd(answered(500))), Verdict.FAILED, "20 x 500"),
        (replace(HERD, empty_crowd=crowd(loads=0)), Verdict.INCONCLUSIVE, "not cold"),
        (replace(HERD, processes=20), Verdict.INCONCLUSIVE, "too small for 20 processes"),
        (
            replace(HERD, costs=(replace(SHOW, again=2),)),
            Verdict.INCONCLUSIVE,
            "show (2 when repeated, 2 at first)",
        ),
        (replace(HERD, costs=(replace(SHOW, first=0),)), Verdict.UNVERIFIED, "even when Redis is empty"),
        (RedisHerd(doubt="never steady"), Verdict.INCONCLUSIVE, "never steady"),
    ],
)
def test_cold_cache(seen: RedisHerd, verdict: Verdict, part: str) -> None:
    """Each process loads a cold answer a few times at most, whatever the crowd."""
    finding = cold_cache_is_filled_once(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


def increments(acknowledged: int, unknown: int) -> tuple[Sent, ...]:
    """Increments by what their clients were told."""
    good = Sent("calm", 0.0, 0.01, 201, expected=True)
    return (*(good for _ in range(acknowledged)), *(replace(good, status=503, expected=False),) * unknown)


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (Counted("", increments(6, 5), 5, 11), Verdict.PASSED, "6 acknowledged, 11 counted"),
        (Counted("", increments(6, 5), 5, 6), Verdict.PASSED, "6 counted"),
        (Counted("", increments(11, 0), 5, 11), Verdict.PASSED, "11 acknowledged"),
        (Counted("", increments(11, 0), 5, 16), Verdict.FAILED, "5 of them twice"),
        (Counted("", increments(11, 0), 5, 8), Verdict.FAILED, "3 were acknowledged and not counted"),
        (Counted("", increments(11, 0), 0, 11), Verdict.INCONCLUSIVE, "no increment was seen"),
        (Counted("", increments(11, 0), 5, None), Verdict.INCONCLUSIVE, "could not be read"),
        (Counted("an increment got 404"), Verdict.INCONCLUSIVE, "404"),
        (Counted(stuck="5 s after an answer was lost an increment got 503"), Verdict.FAILED, "5 s after"),
    ],
)
def test_counter(seen: Counted, verdict: Verdict, part: str) -> None:
    """The number is between what was acknowledged and what was attempted."""
    finding = no_count_twice(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


@pytest.mark.parametrize(
    ("body", "place", "number"),
    [
        ("7", "", 7),
        ('{"views": 7}', "", 7),
        ('{"views": "7", "name": "x"}', "", 7),
        ('{"id": 1, "views": 7}', "", None),
        ('{"id": 1, "stats": {"views": 7}}', "stats.views", 7),
        ('{"id": 1}', "stats.views", None),
        ('{"open": true}', "", None),
        ("<p>7</p>", "", None),
    ],
)
def test_number_in(body: str, place: str, number: int | None) -> None:
    """The only number of an answer, or the one at the place named."""
    assert number_in(body, place) == number


SWAPPED = (Mark("fault", FAULT_S), Mark("switched", FAULT_S), Mark("healed", FAULT_S))


def demotion(during: dict[str, Any] | None = None, **changes: Any) -> RedisDemotion:
    """A demotion that went well, but for what is told."""
    seen: Drill = drill(during=during or {}, marks=SWAPPED)
    well = RedisDemotion(seen, ("views", "show"), read_only=6, recovered_s=1.2, watched_s=1.5)
    return replace(well, **changes)


@pytest.mark.parametrize(
    ("seen", "verdict", "part"),
    [
        (
            demotion(),
            Verdict.PASSED,
            "6 writes answered READONLY by the demoted primary; views, show as before",
        ),
        (
            demotion(recovered_s=None, watched_s=8.0, wrong="views got 4 x 503"),
            Verdict.FAILED,
            "8.0 s later views got 4 x 503",
        ),
        (demotion(recovered_s=5.0), Verdict.FAILED, "only after 5.0 s"),
        (demotion(recovered_s=5.0, uncertainty_s=1.0), Verdict.FAILED, "only after 5.0 s"),
        (demotion(recovered_s=5.0, uncertainty_s=2.5), Verdict.PASSED, "as before after 5.0 s"),
        (demotion({"status": 500}), Verdict.FAILED, "requests failed meanwhile"),
        (demotion(read_only=0), Verdict.INCONCLUSIVE, "no connection was seen to stay"),
        (demotion(tried=()), Verdict.UNVERIFIED, "no [failover] counter"),
        (demotion(drill=drill(doubt="no replica")), Verdict.INCONCLUSIVE, "no replica"),
    ],
)
def test_demotion(seen: RedisDemotion, verdict: Verdict, part: str) -> None:
    """Writes leave the demoted primary in time, and requests are served all the while."""
    finding = redis_primary_is_followed(seen, SETTINGS)
    assert finding.verdict is verdict
    assert part in finding.summary


def test_demotion_of_a_needed_redis() -> None:
    """Where Redis is not optional, requests may fail until writes are due to work."""
    marks = (*SWAPPED[:2], Mark("healed", HEALED_S))
    brief = tuple(replace(each, expected=each.at_s > FAULT_S + 1, status=500) for each in stream(0, END_S))
    seen = demotion(drill=replace(drill(marks=marks), sent=brief))
    assert redis_primary_is_followed(seen, STRICT).verdict is Verdict.PASSED
    assert redis_primary_is_followed(seen, SETTINGS).verdict is Verdict.FAILED
