"""The load ends in time whatever the service does, and says what it did."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.load_limits import doubts

from .conftest import SHORT, Loads

LENGTH_S = sum(float(str(value)) for name, value in SHORT.items() if name.endswith("_s"))
START_S = 15.0  # of two processes on a busy machine, and of what is asked before


def test_healthy_service_passes(loads: Loads) -> None:
    """A service that keeps its word passes each rule that has no database to look at."""
    loaded = loads("well")
    limits = loaded.settings.load
    findings = [
        check.stays_up(loaded.seen, limits),
        check.requests_succeed(loaded.seen, limits),
        load_truth.no_write_lost(loaded.seen),
        load_truth.answers_are_right(loaded.seen),
        load_truth.no_hidden_errors(loaded.seen),
        load_truth.memory_is_bounded(loaded.seen, limits),
    ]
    assert {each.summary for each in findings if each.verdict is not Verdict.PASSED} == set()
    timed = [check.responses_in_time(loaded.seen, limits), check.rate_is_reached(loaded.seen, limits)]
    assert {each.verdict for each in timed} <= {Verdict.PASSED, Verdict.INCONCLUSIVE}
    assert loaded.left == ()
    assert loaded.seen.unfinished == 0


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("hangs", "no answer in time"),
        ("trickles", "no answer in time"),
        ("garbles", "an answer that isn't HTTP"),
        ("resets", "connection closed without an answer"),
    ],
)
def test_broken_service_is_named_in_time(loads: Loads, how: str, says: str) -> None:
    """A service that hangs, trickles, garbles or resets fails, in bounded time, by its own symptom."""
    loaded = loads(how)
    finding = check.requests_succeed(loaded.seen, loaded.settings.load)
    assert finding.verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE)
    assert says in finding.summary, finding.summary
    attempts = loaded.seen.attempts
    assert loaded.seconds < attempts * (LENGTH_S + START_S), loaded.told
    assert loaded.left == ()
    assert loaded.seen.unfinished == 0


def test_death_is_told_with_last_words(loads: Loads) -> None:
    """A service that dies under load ends the run at once, with what it said last."""
    loaded = loads("dies")
    finding = check.stays_up(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.FAILED
    assert "the load was too much for me" in finding.summary
    assert loaded.left == ()


def test_death_in_the_warm_up_is_one(loads: Loads) -> None:
    """One that never comes to the usual load has ended, too."""
    loaded = loads("dies", warm_up_s=20)
    finding = check.stays_up(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.FAILED
    assert "in stage warm-up (the load was too much for me" in finding.summary
    assert loaded.seen.usual is None


def test_a_killed_generator_leaves_no_verdict(loads: Loads) -> None:
    """Without a generator nothing passes or fails; how it ended, and what was known by then, is told."""

    def kill(words: str, environment: Environment) -> None:
        if "5x " in words:
            for process in of_run(environment.run.folder):
                with suppress(psutil.Error):
                    if "--out" in process.cmdline():
                        process.kill()

    loaded = loads("well", during=kill)
    finding = check.stays_up(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.INCONCLUSIVE
    for words in (
        "in stage 5x",
        "ended before its time (exit status -9)",
        "generator-1.log",
        "were answered",
    ):
        assert words in finding.summary
    assert loaded.seen.usual is not None
    assert loaded.left == ()


def test_lost_writes_are_counted(loads: Loads) -> None:
    """Acknowledged writes that are nowhere afterwards fail, however noisy the machine is."""
    loaded = loads("loses", writes=0.4)
    finding = load_truth.no_write_lost(loaded.seen)
    assert finding.verdict is Verdict.FAILED
    assert "are not there" in finding.summary


def test_hidden_errors_are_found(loads: Loads) -> None:
    """An error with status 200 is found by what it looks like."""
    finding = load_truth.no_hidden_errors(loads("hides").seen)
    assert finding.verdict is Verdict.FAILED
    assert "like an error" in finding.summary


@pytest.mark.alone
def test_too_few_users_of_the_generator_fail_nothing(loads: Loads) -> None:
    """Five users get 33/s from a service that takes 150 ms each and would do 100/s: no fault of it."""
    loaded = loads("ponders", users=5, deadline_s=2)
    finding = check.responses_in_time(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert doubts(loaded.seen.generator) or finding.change == "Raise [load] users (now 5)."
