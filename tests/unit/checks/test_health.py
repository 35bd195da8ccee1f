"""Verdicts about healthy health paths, from literals."""

from __future__ import annotations

import json

import pytest

from pytest_prodready.checks import health
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.health import Healthy, Quiet, Window
from pytest_prodready.probes.health_answers import Asked, Said
from pytest_prodready.settings import HealthSettings

LIMITS = HealthSettings()
BODY = json.dumps({"status": "ok", "checks": {"database": {"status": "ok"}, "redis": {"status": "ok"}}})


def seen(
    check: str, *answers: tuple[int | None, float], body: str = BODY, dependencies: tuple[str, ...] = ()
) -> Healthy:
    """A healthy service whose check gave these answers."""
    asked = tuple(Asked(check, 0.1 * n, s, status, "") for n, (status, s) in enumerate(answers))
    said = (Said(check, "healthy", 200, body, ()),)
    return Healthy(asked, said, dependencies or ("database", "redis"), "127.0.0.1:8000", (), ())


@pytest.mark.parametrize("check", ["liveness", "readiness", "deep"])
class TestAnswers:
    """Each path answers yes within its budget."""

    def test_passes(self, check: str) -> None:
        """Quick yeses pass."""
        assert judged(check, seen(check, (200, 0.01), (200, 0.02))).verdict is Verdict.PASSED

    def test_another_yes_passes(self, check: str) -> None:
        """Any 2xx is a yes."""
        assert judged(check, seen(check, (204, 0.01))).verdict is Verdict.PASSED

    def test_one_slow_answer_passes(self, check: str) -> None:
        """One late answer may be a cold start's, or the machine's."""
        assert judged(check, seen(check, (200, 5.0), *[(200, 0.01)] * 5)).verdict is Verdict.PASSED

    def test_late_fails(self, check: str) -> None:
        """Late answers fail."""
        finding = judged(check, seen(check, *[(200, 4.0)] * 6))
        assert finding.verdict is Verdict.FAILED
        assert "late" in finding.summary

    @pytest.mark.parametrize("status", [302, 401, 404, 500, 503, None])
    def test_no_fails(self, check: str, status: int | None) -> None:
        """Whatever isn't a yes fails, also a redirect to a login."""
        assert judged(check, seen(check, (200, 0.01), (status, 0.01))).verdict is Verdict.FAILED

    def test_nothing_asked_is_inconclusive(self, check: str) -> None:
        """No data is no pass."""
        assert judged(check, seen(check)).verdict is Verdict.INCONCLUSIVE


def judged(check: str, measured: Healthy) -> Finding:
    """The finding of the rule about this check."""
    rules = {
        "liveness": health.liveness_answers,
        "readiness": health.readiness_answers,
        "deep": health.deep_answers,
    }
    return rules[check](measured, LIMITS)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "an empty body"),
        ("Healthy", "text"),
        ("<html>", "HTML"),
        ('{"status":"UP"}', "names no dependency"),
        ('{"status":"ok","checks":{"database":"ok"}}', "nothing of redis"),
        ('{"status":"UP","components":{"db":"UP","diskSpace":"UP","ping":"UP"}}', "nothing of redis"),
        ('{"status":"ok","checks":{"database":"error","redis":"ok"}}', "database fails"),
    ],
)
def test_deep_must_tell(body: str, says: str) -> None:
    """A deep check that doesn't tell how each dependency is fails, in words that name the gap."""
    finding = health.deep_answers(seen("deep", (200, 0.01), body=body), LIMITS)
    assert finding.verdict is Verdict.FAILED
    assert says in finding.summary


def test_deep_in_other_words_passes() -> None:
    """As many entries as dependencies will do where the names are the service's own."""
    body = '{"status":"ok","checks":{"persistence layer":"ok","sessions":"ok"}}'
    assert health.deep_answers(seen("deep", (200, 0.01), body=body), LIMITS).verdict is Verdict.PASSED


def quiet(*windows: tuple[int, int], asked: int = 20, answered: int = 20) -> Quiet:
    """Windows of (idle, asked) statements."""
    return Quiet(tuple(Window(0.4, idle, asked, answered, busy) for idle, busy in windows))


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (quiet((0, 0), (0, 0)), Verdict.PASSED),
        (quiet((3, 2), (2, 4), (3, 3), (2, 1), (4, 3)), Verdict.PASSED),  # a worker of its own
        (quiet((0, 1), (0, 0), (0, 0), (0, 0), (0, 0)), Verdict.PASSED),  # a job just then
        (quiet((0, 20), (0, 20)), Verdict.FAILED),
        (quiet((0, 60), (0, 60)), Verdict.FAILED),  # BEGIN, SELECT, COMMIT
        (quiet((3, 22), (2, 24)), Verdict.FAILED),
        (quiet((0, 3), (0, 0), (0, 2), (0, 0), (0, 1)), Verdict.INCONCLUSIVE),
        (quiet((0, 0), answered=0), Verdict.INCONCLUSIVE),
        (quiet(), Verdict.INCONCLUSIVE),
    ],
)
def test_liveness_asks_no_backend(measured: Quiet, verdict: Verdict) -> None:
    """Statements beyond an idle service's fail; a few that it may have run by itself don't."""
    assert health.liveness_asks_no_backend(measured).verdict is verdict
