"""A whole load by two processes of this machine: judged as one, and given up when one of them is lost."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.leftovers import of_run
from pytest_prodready.findings import Verdict
from pytest_prodready.generators import Generators
from pytest_prodready.probes.load import Topology

from .conftest import Loads

TWO = Generators(workers=2)


def test_two_processes_are_judged_as_one(loads: Loads) -> None:
    """A healthy service passes what no machine can spoil; each write and each process is accounted for."""
    loaded = loads("well", TWO, writes=0.3)
    seen = loaded.seen
    findings = [
        load_truth.no_write_lost(seen),
        load_truth.answers_are_right(seen),
        load_truth.no_hidden_errors(seen),
    ]
    assert {each.summary for each in findings if each.verdict is not Verdict.PASSED} == set()
    timed = check.responses_in_time(seen, loaded.settings.load)
    assert timed.verdict in (Verdict.PASSED, Verdict.INCONCLUSIVE)
    assert seen.topology == Topology(workers=2, hosts=1)
    assert [each.cpu is not None for each in seen.workers] == [True, True]
    assert seen.generator.cpu is not None
    assert sum(stage.checked for stage in seen.climb) > 100
    assert loaded.left == ()


def test_lost_writes_are_counted_over_all(loads: Loads) -> None:
    """What either of them was promised and isn't there fails."""
    finding = load_truth.no_write_lost(loads("loses", TWO, writes=0.4).seen)
    assert finding.verdict is Verdict.FAILED
    assert "are not there" in finding.summary


@pytest.mark.parametrize(("when", "where"), [("5x ", "in stage 5x"), ("steady state", "its start")])
def test_a_killed_process_leaves_no_verdict(loads: Loads, when: str, where: str) -> None:
    """One of two is killed: nothing passes or fails, what was known is told, and all is ended."""

    def kill(words: str, environment: Environment) -> None:
        if when in words:
            for process in of_run(environment.run.folder):
                with suppress(psutil.Error):
                    if "--worker" in process.cmdline():
                        process.kill()
                        return

    loaded = loads("well", TWO, kill)
    finding = check.stays_up(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert where in finding.summary
    assert "ended with status -9" in finding.summary or "was silent" in finding.summary
    assert (loaded.seen.usual is not None) == (when == "5x ")
    assert loaded.seen.attempts == 1
    assert loaded.left == ()
