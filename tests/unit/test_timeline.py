"""The timeline of a drill, from literals."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from pytest_prodready.probes.drill import Backends, Drill, Ledger, Mark, Sent
from pytest_prodready.records import as_data
from pytest_prodready.reports.timeline import drills_in, ledger_words, restored_words, timeline, timelines
from pytest_prodready.reports.timeline_lanes import BARS, bar_s, counted, kind
from tests.unit.checks.drills import drill, stream

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    """The picture as a tree; fails unless it is XML."""
    return ET.fromstring(picture)  # noqa: S314 - our own


def texts(picture: str) -> list[str]:
    """Every text in it."""
    return [each.text or "" for each in parsed(picture).iter(f"{SVG}text")]


def classes(picture: str) -> set[str]:
    """Every class of its rectangles."""
    return {each.get("class", "") for each in parsed(picture).iter(f"{SVG}rect")}


def test_all_that_was_seen_is_drawn() -> None:
    """Marks, answers, health, writes, backends and accepts each have their place, and are named."""
    seen = drill(
        writes=stream(0.0, 12.0, request="write"),
        backends=(Backends(0.5, 10, 2), Backends(3.0, 0, 0)),
        accepted_at_s=(6.1, 6.2, 6.2),
    )
    picture = timeline(seen)
    told = texts(picture)
    for words in ("fault", "requests", "slowest", "liveness", "writes", "backends", "new clients"):
        assert words in told
    assert "readiness" not in told  # nobody asked
    assert {"served", "refused", "fault", "accepts"} <= classes(picture)
    assert "drill: fault for 5 s" in parsed(picture).get("aria-label", "")


@pytest.mark.parametrize(
    ("during", "class_"),
    [
        ({"status": 503}, "refused"),
        ({"status": 429}, "refused"),
        ({"status": 500}, "wrong"),
        ({"status": None, "expected": False, "error": "ReadTimeout", "seconds": 2.0}, "silent"),
    ],
)
def test_kinds_of_answers(during: dict[str, Any], class_: str) -> None:
    """Each kind of answer has a class of its own, and the legend tells only those that occur."""
    found = classes(timeline(drill(during=during)))
    assert class_ in found
    assert found.isdisjoint({"refused", "wrong", "silent"} - {class_})


def test_nothing_sent_is_not_drawn() -> None:
    """A drill that was never begun has no picture."""
    empty = Drill("outage", "connections refused", doubt="the service was not steady before the fault")
    assert timeline(empty) == ""
    assert list(timelines({"drill_outage": as_data(empty)})) == []


def test_a_service_that_never_came_back() -> None:
    """It is said that it wasn't restored, and for how long that was watched."""
    seen = drill(after={"status": None, "expected": False, "error": "ConnectError"})
    assert restored_words(seen) == "not restored within 6.0 s"
    assert "not restored within 6.0 s" in texts(timeline(seen))


def test_restored_with_its_uncertainty() -> None:
    """The time to recover stands in the picture with how exact it is."""
    assert restored_words(drill()).startswith("restored after 10 ms (± ")


def test_a_drill_of_hours_fits() -> None:
    """However many answers there are, a picture has room for its bars and stays small."""
    many = tuple(Sent("list", number * 0.025, 0.01, 200, True) for number in range(100_000))
    picture = timeline(replace(drill(), sent=many, seconds=2500.0, health=()))
    assert len(counted(many, 2500.0)) <= BARS + 1
    assert len(picture) < 60_000
    assert bar_s(10**6) * BARS >= 10**6


def test_marks_share_labels_and_rows() -> None:
    """Simultaneous marks have one label, close ones stand below each other, none beyond the edge."""
    marks = (Mark("fault", 1.0), Mark("killed", 1.05), Mark("promoted", 1.0501), Mark("healed", 11.99))
    picture = parsed(timeline(drill(marks=marks)))
    labels = {each.text: each for each in picture.iter(f"{SVG}text")}
    assert "killed, promoted" in labels
    assert labels["fault"].get("y") != labels["killed, promoted"].get("y")
    assert float(labels["healed"].get("x", "")) < 730


def test_words_are_escaped() -> None:
    """A name or a kind of error from outside can't leave its text."""
    picture = timeline(replace(drill(), name="<b>", fault='"&<script>'))
    assert "<script" not in picture
    assert '<b>: "&<script>' in texts(picture)


def test_a_file_of_its_own_has_its_style() -> None:
    """A picture beside a measurement looks the same where no page is around it."""
    alone = parsed(timeline(drill(), alone=True))
    assert "prefers-color-scheme: dark" in (alone.findtext(f"{SVG}style") or "")
    assert alone.get("width") == "760"
    assert parsed(timeline(drill())).find(f"{SVG}style") is None


def test_drills_are_found_in_evidence() -> None:
    """A drill is found as a measurement, within one, and in a list; others and older ones are left alone."""
    data = as_data(drill())
    broken = {**data, "sent": [{"what": 1}]}
    evidence = {"one": data, "two": {"drill": data, "count": 3}, "three": [data, data], "four": broken}
    assert [name for name, _ in drills_in(evidence)] == ["one", "two", "three", "three"]
    assert [name for name, _ in timelines(evidence)] == ["one", "two", "three", "three-2"]
    assert next(drills_in(evidence))[1] == drill()


def test_ledger_in_words() -> None:
    """What was lost is said, or why that can't be told."""
    assert "2 lost, 1 there twice" in ledger_words(Ledger(acknowledged=5, lost=("a", "b"), twice=("c",)))
    assert "can't be told: no write could be read" in ledger_words(Ledger(doubt="no write could be read"))


def test_an_expected_error_is_served() -> None:
    """A request that expects 404 and gets it is served."""
    assert kind(Sent("missing", 0.0, 0.01, 404, True)) == "served"
