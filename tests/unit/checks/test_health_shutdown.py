"""Verdicts about SIGTERM, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import shutdown
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.shutdown import Exit, Sent, Termination
from pytest_prodready.probes.shutdown_held import Held, Left
from pytest_prodready.probes.shutdown_ledger import Control, Ledger
from pytest_prodready.settings import HealthSettings

LIMITS = HealthSettings()
GONE = Exit(processes=3, main_gone_s=1.0, all_gone_s=1.1, left=0, waited_s=1.1)


def sent(at_s: float, status: int | None = 200, seconds: float = 0.01, request: str = "list") -> Sent:
    """One request, by its seconds from the signal."""
    return Sent(request, at_s, seconds, status, status == 200, "" if status else "connection refused")


BEFORE = (sent(-0.4), sent(-0.2))
HELD = Held(
    second_instance=True,
    control=(sent(0.0, seconds=0.8),),
    in_flight=(sent(-0.2, seconds=0.8), sent(-0.1, seconds=0.7)),
    queued=(),
    released_after_s=0.5,
    exit=GONE,
    backends=4,
    left=(),
    looked_for_s=0.1,
)
CUT = sent(-0.1, None, 0.2)


class TestFinishesRequests:
    """What is being served gets its answer."""

    def test_passes(self) -> None:
        """All were answered."""
        assert shutdown.finishes_requests(HELD).verdict is Verdict.PASSED

    def test_queued_ones_are_not_judged(self) -> None:
        """What was only in the listen backlog wasn't being served."""
        assert shutdown.finishes_requests(replace(HELD, queued=(CUT,))).verdict is Verdict.PASSED

    @pytest.mark.parametrize("status", [None, 500, 503])
    def test_cut_fails(self, status: int | None) -> None:
        """Cut or answered with an error is lost."""
        seen = replace(HELD, in_flight=(*HELD.in_flight, sent(-0.1, status, 0.2)))
        finding = shutdown.finishes_requests(seen)
        assert finding.verdict is Verdict.FAILED
        assert "1 cut off" in finding.summary

    @pytest.mark.parametrize(
        "seen",
        [
            replace(HELD, control=()),
            replace(HELD, control=(sent(0.0, 503),)),
            replace(HELD, in_flight=()),
            replace(HELD, in_flight=(sent(-0.2, 503, 0.1),)),
        ],
    )
    def test_inconclusive(self, seen: Held) -> None:
        """No control, a failing one, nothing in flight, nothing in flight any more."""
        assert shutdown.finishes_requests(seen).verdict is Verdict.INCONCLUSIVE


def termination(*after: Sent, before: tuple[Sent, ...] = BEFORE) -> Termination:
    """An instance that got SIGTERM under this traffic."""
    return Termination(True, (*before, *after), 0.5, GONE, None)


class TestDrains:
    """New connections are served in the drain window."""

    def test_passes(self) -> None:
        """All were served."""
        assert shutdown.drains(termination(sent(0.1), sent(0.4)), LIMITS).verdict is Verdict.PASSED

    def test_after_the_window_nothing_is_judged(self) -> None:
        """What is refused after the window, or at its very end, is no fault."""
        seen = termination(sent(0.1), sent(0.4), sent(0.48, None), sent(0.7, None))
        assert shutdown.drains(seen, LIMITS).verdict is Verdict.PASSED

    def test_no_window_passes(self) -> None:
        """Who asks for no window gets none."""
        limits = HealthSettings(drain_s=0)
        assert shutdown.drains(termination(sent(0.1, None)), limits).verdict is Verdict.PASSED

    @pytest.mark.parametrize("status", [None, 503, 500])
    def test_refused_fails(self, status: int | None) -> None:
        """Refused connections and errors fail."""
        finding = shutdown.drains(termination(sent(0.1), sent(0.2, status)), LIMITS)
        assert finding.verdict is Verdict.FAILED
        assert "first 200 ms after" in finding.summary

    def test_broken_before_is_not_blamed(self) -> None:
        """A request that failed before the signal isn't judged after it."""
        odd = (sent(-0.3, 500, request="odd"), sent(0.2, 500, request="odd"))
        assert shutdown.drains(termination(sent(0.1), *odd), LIMITS).verdict is Verdict.PASSED

    @pytest.mark.parametrize(
        "seen",
        [
            termination(sent(0.1), before=()),
            termination(sent(0.1), before=(sent(-0.2, 500),)),
            termination(),
        ],
    )
    def test_inconclusive(self, seen: Termination) -> None:
        """Nothing before, nothing served before, nothing in the window."""
        assert shutdown.drains(seen, LIMITS).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("end", "verdict", "says"),
    [
        (GONE, Verdict.PASSED, "gone 1.1 s"),
        (Exit(1, 31.0, 31.0, 0, 31.0), Verdict.FAILED, "gone 31.0 s"),
        (Exit(1, None, None, 1, 31.0), Verdict.FAILED, "still alive"),
        (Exit(2, 0.1, None, 1, 31.0), Verdict.FAILED, "1 of 2 processes were still alive"),
        (Exit(0, None, None, 0, 0.0), Verdict.INCONCLUSIVE, "before it got SIGTERM"),
    ],
)
def test_in_time(end: Exit, verdict: Verdict, says: str) -> None:
    """The whole group must be gone, by itself and in time."""
    finding = shutdown.in_time(replace(termination(), exit=end), LIMITS)
    assert finding.verdict is verdict
    assert says in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (HELD, Verdict.PASSED),
        (replace(HELD, left=(Left("active", 3.0), Left("idle", 1.0))), Verdict.FAILED),
        (replace(HELD, left=(Left("idle", 1.0),), whose_is_known=False), Verdict.INCONCLUSIVE),
        (replace(HELD, backends=0), Verdict.INCONCLUSIVE),
    ],
)
def test_leaves_no_backend(seen: Held, verdict: Verdict) -> None:
    """Backends that outlive the instance fail; an instance without any can't tell."""
    assert shutdown.leaves_no_backend(seen).verdict is verdict


LEDGER = Ledger(Control(201, 200, True, 0), acknowledged=("a", "b"), refused=("c",), unknown=("d",))


@pytest.mark.parametrize(
    ("ledger", "verdict"),
    [
        (LEDGER, Verdict.PASSED),
        (replace(LEDGER, lost=("a",)), Verdict.FAILED),
        (replace(LEDGER, lost=("a",), unreadable=("b",)), Verdict.FAILED),
        (replace(LEDGER, unreadable=("a",)), Verdict.INCONCLUSIVE),
        (replace(LEDGER, acknowledged=()), Verdict.INCONCLUSIVE),
        (replace(LEDGER, control=Control(201, 200, False, 0)), Verdict.INCONCLUSIVE),
        (None, Verdict.INCONCLUSIVE),
    ],
)
def test_writes_survive(ledger: Ledger | None, verdict: Verdict) -> None:
    """An acknowledged write must be found; a refused or an unknown one needn't."""
    assert shutdown.writes_survive(replace(termination(), ledger=ledger)).verdict is verdict
