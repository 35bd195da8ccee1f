"""What is told of a load while it is under way, from literals."""

from __future__ import annotations

from pytest_prodready.generator.plan import Plan, Stage
from pytest_prodready.generator.stream import Sample
from pytest_prodready.probes.load_progress import Progress

STAGES = (
    Stage("1x", "", 10, 8),
    Stage("2x", "", 20, 4, climb=True),
    Stage("10x", "", 100, 15, climb=True),
    Stage("1x again", "", 10, 8),
)
ROOM = 80 - len("prodready.toml::load::test_stays_up ") - len(" … ")


def sample(stage: int, took_s: float = 0.0123) -> Sample:
    """A request of this stage."""
    return Sample(0, stage, 0, 1.0, 1.0, 1.0 + took_s, 200, 0, -1, 0, -1)


def begun() -> Progress:
    """At 100 s of the clock the first stage begins, and has 50 requests in five seconds."""
    progress = Progress(Plan(STAGES, (), 1, 1.0, 0.5, "t"))
    progress.begin(100.0)
    for number in range(50):
        progress.add(sample(0), 100.0 + number / 10)
    return progress


def test_what_matters_fits_behind_the_tests_name() -> None:
    """Stage, its own rate, p95, errors and the time left are all there at 80 columns; once a second."""
    progress = begun()
    assert progress.line(105.0, 0) == "1x 10/s, p95 12 ms, 0 err, 30 s left"
    assert progress.line(105.5, 0) == ""
    for number in range(990):
        progress.add(sample(2), 112.0 + number / 100)
    line = progress.line(122.0, 7)
    assert line == "10x 99/s, p95 12 ms, 7 err, 13 s left"
    assert len(line) <= ROOM


def test_what_is_left_after_an_early_end() -> None:
    """A climb that is ended leaves the usual load afterwards, and no more; at the end nothing is left."""
    progress = begun()
    progress.add(sample(1), 109.0)
    progress.skip_climb(110.0)
    assert progress.line(110.0, 40).endswith("40 err, 8 s left")
    progress.skip_climb(117.0)
    assert progress.line(119.0, 40).endswith("0 s left")


def test_nothing_is_told_of_nothing() -> None:
    """Before the first answer, and in the first second of a stage, there is no rate."""
    progress = Progress(Plan(STAGES, (), 1, 1.0, 0.5, "t"))
    progress.begin(100.0)
    assert progress.line(105.0, 0) == ""
    progress.add(sample(1), 108.0)
    assert progress.line(108.5, 0) == ""
    assert progress.line(109.0, 0).startswith("2x 1/s")
