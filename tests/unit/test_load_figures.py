"""Figures of a load, from literals: percentiles, confidence, the knee, the schedule, and right answers."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from pytest_prodready.generator.answers import (
    HIDDEN_ERROR,
    RIGHT,
    WRONG_CONTENT,
    WRONG_STATUS,
    judged,
    shape_of,
)
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.schedule import Schedule
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_knee import knee
from pytest_prodready.probes.load_percentiles import percentile, times
from pytest_prodready.probes.load_plan import mix, plan
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.records import as_data
from pytest_prodready.reports.load_chart import load_chart, loads_in
from pytest_prodready.reports.pictures import pictures
from pytest_prodready.settings import Settings
from tests.unit.checks.loads import load, stage

LIST = Ask("list", "/jobs")
SEEN = (b'{"jobs": [1], "next": 2}', b'{"jobs": [], "next": null}')


def test_percentiles_are_exact() -> None:
    """The smallest value that no less than the share are no larger than."""
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7.0


def test_confidence_knows_that_stalls_come_in_seconds() -> None:
    """One bad second of twenty may be none or three of the next twenty; evenly spread noise may not."""
    even = [[0.01] * 94 + [1.0] * 6 for _ in range(20)]
    lumped = [[0.01] * 100 for _ in range(18)] + [[1.0] * 100 for _ in range(2)]
    sure, unsure = times(even), times(lumped)
    assert sure is not None
    assert unsure is not None
    assert sure.p95.low_ms == sure.p95.high_ms == 1000
    assert unsure.p95.ms == 1000
    assert unsure.p95.low_ms == 10
    assert times([]) is None


def test_knee_is_found_where_one_is() -> None:
    """Of a queue with one server at 100/s the limit is known within a tenth from below it."""
    stages = []
    for rate in (20, 50, 80, 90):
        busy = rate / 100
        made = stage(f"{rate}", 1, 0, 10, mean_s=0.01 / (1 - busy))
        stages.append(replace(made, rate=float(rate), goodput=float(rate), due=rate * 10, good=rate * 10))
    found = knee(stages)
    assert found is not None
    assert found.most_per_s == pytest.approx(100, rel=0.1)


def test_no_knee_in_noise() -> None:
    """Less than two requests under way at once tell nothing of a limit."""
    found = knee(load().climb)
    assert found is not None
    assert found.most_per_s is None
    assert knee(load().climb[:2]) is None


def test_a_collapse_steeper_than_any_fit_has_a_limit() -> None:
    """Times that rise by more than the square of what is under way leave a curve with no other term."""
    stages = [
        replace(stage(f"{multiple}x", multiple, 0, 4), goodput=under_way / seconds, mean_s=seconds)
        for multiple, under_way, seconds in ((1, 1, 0.01), (2, 2, 0.05), (4, 4, 0.3))
    ]
    found = knee(stages)
    assert found is not None
    assert found.most_per_s is not None
    assert 0 < found.most_per_s <= 100


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b'{"jobs": [], "next": null}', RIGHT),
        (200, b'{"jobs": [3]}', RIGHT),  # a key without a value may be left out
        (500, b"{}", WRONG_STATUS),
        (200, b'{"error": "busy"}', HIDDEN_ERROR),
        (200, b'{"jobs": null, "next": null, "errors": ["x"]}', HIDDEN_ERROR),
        (200, b"<html>Service unavailable</html>", HIDDEN_ERROR),
        (200, b"", HIDDEN_ERROR),
        (200, b"[]", HIDDEN_ERROR),
    ],
)
def test_shapes(status: int, body: bytes, verdict: int) -> None:
    """What answers look like at rest tells an error from an answer."""
    assert judged(replace(LIST, shape=shape_of(SEEN)), status, body, "t") == verdict


def test_errors_that_are_declared_have_their_shape_too() -> None:
    """A request that expects 404 gets an error, and that is right."""
    ask = Ask("unknown", "/jobs/0", expect=(404,), shape=shape_of([b'{"error": "no such job"}'] * 3))
    assert judged(ask, 404, b'{"error": "there is no such job"}', "t") == RIGHT


def test_an_answer_that_is_always_empty_shows_errors() -> None:
    """A redirect or a 204 without a body: whatever has one is another answer."""
    ask = Ask("go", "/x", shape=shape_of([b""] * 3))
    assert ask.error_known
    assert judged(ask, 302, b"", "t") == RIGHT
    assert judged(ask, 302, b"Internal error", "t") == HIDDEN_ERROR
    assert not Ask("page", "/x", shape=shape_of([b"", b"<html>"])).error_known


def test_unlike_answers_have_no_shape() -> None:
    """Where no two answers are alike, nothing is looked for."""
    assert shape_of([b"{}", b"[]"]) is None
    assert shape_of([]) is None
    assert judged(replace(LIST, shape=None), 200, b"anything", "t") == RIGHT


def test_content_is_looked_for() -> None:
    """`contains`, with its token, and the token of a write that is read back."""
    assert judged(replace(LIST, contains="id {token}"), 200, b"id abc", "abc") == RIGHT
    assert judged(replace(LIST, contains="id {token}"), 200, b"id abd", "abc") == WRONG_CONTENT
    assert judged(replace(LIST, kind="read back"), 200, b"[]", "abc") == WRONG_CONTENT


def test_schedule_counts_writes_and_leaves_the_climb_out() -> None:
    """Each write has a number of its own; what comes after an ended climb begins at once."""
    stages = (
        Stage("a", "", 10, 1),
        Stage("up", "", 10, 10, climb=True),
        Stage("again", "", 10, 1),
    )
    made = Plan(stages, (LIST, Ask("create", "/jobs", kind="create")), 1, 1.0, 0.5, "t")
    schedule = Schedule(made)
    first = [schedule.next() for _ in range(15)]
    assert [each.at_s for each in first if each] == pytest.approx([n / 10 for n in range(15)])
    schedule.end_climb(1.5)
    rest = list(iter(schedule.next, None))
    assert [each.stage for each in rest] == [2] * 10
    assert rest[0].at_s == pytest.approx(1.5)
    writes = [each.write for each in (*first, *rest) if each and each.write >= 0]
    assert writes == list(range(len(writes)))


def test_a_climb_that_never_began_leaves_what_was_before_whole() -> None:
    """Lost at the usual load already, that is sent to its end, and what comes after the climb follows it."""
    stages = (Stage("usual", "", 10, 4), Stage("up", "", 10, 10, climb=True), Stage("again", "", 10, 1))
    schedule = Schedule(Plan(stages, (LIST,), 1, 1.0, 0.5, "t"))
    first = [schedule.next() for _ in range(10)]
    schedule.end_climb(1.0)
    schedule.end_climb(1.1)
    whole = [each for each in (*first, *iter(schedule.next, None)) if each]
    assert [each.stage for each in whole] == [0] * 40 + [2] * 10
    assert [each.at_s for each in whole] == pytest.approx([n / 10 for n in range(50)])


def test_reads_wait_until_writes_have_settled() -> None:
    """A write is read back no sooner than it may lag."""
    schedule = Schedule(Plan((), (LIST,), 1, 1.0, 0.5, "t"))
    schedule.writes.acknowledged("t00001", 2.0)
    assert schedule.writes.one(2.4) == ""
    assert schedule.writes.one(2.6) == "t00001"


def test_plan_has_the_declared_mix() -> None:
    """Stages by the multiples below the peak; writes, and as many reads of them, in their share."""
    settings = Settings.model_validate(
        {
            "service": {"name": "s", "command": "s {port}"},
            "requests": [{"path": "/a", "weight": 3}, {"path": "/b"}],
            "writes": {"create": {"method": "POST", "path": "/a"}, "read_back": {"path": "/a?t={token}"}},
            "load": {"expected_rps": 20, "multiplier": 5},
        }
    )
    made = plan(settings, "http://service", "http://null", {})
    assert [(each.name, each.rate) for each in made.stages] == [
        ("self-test", 150),
        ("warm-up", 20),
        ("1x", 20),
        ("2x", 40),
        ("4x", 80),
        ("5x", 100),
        ("1x again", 20),
    ]
    weights = {each.label: each.weight for each in made.asks}
    whole = sum(weights.values())
    assert weights["create: POST /a"] / whole == pytest.approx(0.1)
    assert weights["read back: GET /a?t={token}"] / whole == pytest.approx(0.1)
    assert made.users == 1000
    assert {each.request: (each.asks, each.share) for each in mix(made)} == {
        "GET /a": ("GET /a", 0.6),
        "GET /b": ("GET /b", 0.2),
        "create: POST /a": ("POST /a", 0.1),
        "read back: GET /a?t={token}": ("GET /a?t={token}", 0.1),
    }


def test_times_count_from_the_intended_start() -> None:
    """Late, silent and refused requests: each has its place in the figures of a stage."""
    made = Plan((Stage("1x", "", 10, 1),), (LIST,), 1, 5.0, 0.5, "t")
    digest = Digest(made, {"1x": 1.0}, 0.1)
    digest.errors.append("no answer in time")
    chance = random.Random(1)
    for number in range(8):
        due = number / 10
        digest.add(Sample(number, 0, 0, due, due + 0.2, due + 0.2 + chance.random() / 100, 200, 0, -1, 1, -1))
    digest.add(Sample(8, 0, 0, 0.8, 0.8, 5.8, 0, 2, 0, 0, -1))
    digest.add(Sample(9, 0, 0, 0.9, 0.9, 0.91, 500, 1, -1, 0, -1))
    seen = digest.stage(0)
    assert (seen.due, seen.good, seen.failures, seen.server_errors, seen.busy) == (10, 8, 2, 1, 8)
    assert seen.in_time == 9
    assert seen.response is not None
    assert seen.service is not None
    assert 200 < seen.response.p50.ms < 215
    assert seen.response.most_ms == 5000
    assert seen.service.p50.ms < 15
    (first,) = digest.seconds()
    assert (first.due, first.good, first.failed, first.slow) == (10, 8, 2, 8)


def test_a_service_that_says_it_is_busy_tells_no_error() -> None:
    """A 503 is a failed request, for want of a processor perhaps; a 500 or 502 is an error in any case."""
    digest = Digest(Plan((Stage("1x", "", 10, 1),), (LIST,), 1, 5.0, 0.5, "t"), {"1x": 1.0}, 0.1)
    for number, status in enumerate((500, 502, 503, 503, 429)):
        digest.add(Sample(number, 0, 0, 0.1, 0.1, 0.2, status, WRONG_STATUS, -1, 0, -1))
    assert (digest.stage(0).failures, digest.stage(0).server_errors) == (5, 2)


def test_what_could_be_checked_is_counted() -> None:
    """Good answers whose content, or shape, is known are what a rule on them has seen."""
    page = shape_of([b"<html>"] * 3)  # an error page would be of it as well
    asks = (replace(LIST, shape=page), replace(LIST, contains="id"), replace(LIST, shape=shape_of(SEEN)))
    digest = Digest(Plan((Stage("1x", "", 10, 1),), asks, 1, 5.0, 0.5, "t"), {"1x": 1.0}, 0.1)
    for number in range(9):
        verdict = RIGHT if number < 6 else WRONG_CONTENT
        digest.add(Sample(number, 0, number % 3, 0.1, 0.1, 0.2, 200, verdict, -1, 0, -1))
    seen = digest.stage(0)
    assert (seen.good, seen.checked, seen.shaped) == (6, 2, 4)


@pytest.mark.parametrize(("steady", "achieved"), [(True, 1.0), (False, 0.9)])
def test_a_steady_time_is_no_want_of_rate(steady: bool, achieved: float) -> None:
    """Half a second for each answer is slow; only a queue that grows means that too few are answered."""
    made = Plan((Stage("1x", "", 20, 4),), (LIST,), 1, 5.0, 0.5, "t")
    digest = Digest(made, {"1x": 1.0}, 0.1)
    for number in range(80):
        due = number / 20
        took = 0.5 if steady else due / 2
        digest.add(Sample(number, 0, 0, due, due, due + took, 200, 0, -1, 0, -1))
    seen = digest.stage(0).achieved
    assert seen == achieved if steady else seen < achieved


def test_load_is_drawn() -> None:
    """The picture is XML, names its stages and lanes, and comes of a record's data alone."""
    evidence = {"load": as_data(load())}
    ((name, seen),) = loads_in(evidence)
    picture = load_chart(seen, alone=True)
    told = [each.text for each in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    for words in ("10x", "again", "rate, /s", "response, ms", "backends", "memory, MB", "processor, %"):
        assert words in told
    assert name == "load"
    assert [each.name for each in pictures(evidence)] == ["load"]
    assert list(loads_in({"load": {**evidence["load"], "stages": "of another version"}})) == []
