"""Verdicts about a lost or busy database, from literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.checks import health_loss
from pytest_prodready.findings import Verdict
from pytest_prodready.probes.health_answers import Asked, Said
from pytest_prodready.probes.health_full import Busy
from pytest_prodready.probes.health_loss import Loss
from pytest_prodready.settings import HealthSettings

LIMITS = HealthSettings()
WELL = '{"checks":{"database":{"status":"ok"},"redis":{"status":"ok"}}}'
NAMED = '{"checks":{"database":{"status":"failing"},"redis":{"status":"ok"}}}'
ALL = '{"checks":{"database":{"status":"failing"},"redis":{"status":"failing"}}}'


def series(check: str, *statuses: tuple[float, int | None], seconds: float = 0.01) -> tuple[Asked, ...]:
    """Answers of one check by the second at which they were asked."""
    return tuple(Asked(check, at, seconds, status, "" if status else "no answer") for at, status in statuses)


def loss(*answers: Asked, before: int = 200, kind: str = "refused") -> Loss:
    """A database gone from 1 s to 4 s, watched until 8 s."""
    checks = ("liveness", "readiness", "deep")
    return Loss(
        kind=kind,
        tried=True,
        connected=True,
        before=tuple(Asked(check, 0.1, 0.01, before) for check in checks),
        answers=answers,
        lost_at_s=1.0,
        healed_at_s=4.0,
        watched_until_s=8.0,
        same_process=True,
    )


FELL = series("readiness", (1.1, 200), (1.5, 200), (2.0, 503), (3.0, 503), (3.9, 503))
BACK = series("readiness", (4.1, 503), (4.5, 200), (4.6, 200), (4.7, 200))


class TestReadinessFollows:
    """Readiness falls with the database and comes back with it."""

    def test_passes(self) -> None:
        """It fell, and it came back."""
        finding = health_loss.readiness_follows_database(loss(*FELL, *BACK), LIMITS)
        assert finding.verdict is Verdict.PASSED
        assert "fell 1.0 s" in finding.summary
        assert "back 510 ms" in finding.summary

    def test_no_answer_is_a_fall(self) -> None:
        """A balancer takes silence for a no; whether it hangs is another rule's question."""
        fell = series("readiness", (1.5, None), (3.0, None))
        assert health_loss.readiness_follows_database(loss(*fell, *BACK), LIMITS).verdict is Verdict.PASSED

    def test_constant_fails(self) -> None:
        """A yes all the while fails."""
        finding = health_loss.readiness_follows_database(
            loss(*series("readiness", (1.1, 200), (3.9, 200)), *BACK), LIMITS
        )
        assert finding.verdict is Verdict.FAILED
        assert "never fell" in finding.summary

    def test_flapping_fails(self) -> None:
        """A no in between isn't a fall when it ends with a yes."""
        flapping = series("readiness", (1.1, 503), (3.9, 200))
        assert (
            health_loss.readiness_follows_database(loss(*flapping, *BACK), LIMITS).verdict is Verdict.FAILED
        )

    def test_a_yes_after_the_heal_is_no_flapping(self) -> None:
        """A question that waited until the database was back may be answered yes."""
        waited = series("readiness", (3.95, 200), seconds=0.5)
        seen = loss(*FELL, *waited, *BACK)
        assert health_loss.readiness_follows_database(seen, LIMITS).verdict is Verdict.PASSED

    def test_late_fall_fails(self) -> None:
        """A fall after the limit fails."""
        limits = HealthSettings(fall_within_s=0.5)
        assert health_loss.readiness_follows_database(loss(*FELL, *BACK), limits).verdict is Verdict.FAILED

    def test_stuck_fails(self) -> None:
        """A no for ever fails."""
        stuck = series("readiness", (4.1, 503), (6.0, 503), (7.9, 503))
        finding = health_loss.readiness_follows_database(loss(*FELL, *stuck), LIMITS)
        assert finding.verdict is Verdict.FAILED
        assert "not back" in finding.summary

    def test_late_return_fails(self) -> None:
        """A return after the limit fails."""
        limits = HealthSettings(recover_within_s=0.1)
        assert health_loss.readiness_follows_database(loss(*FELL, *BACK), limits).verdict is Verdict.FAILED

    def test_restart_fails(self) -> None:
        """A process that ended fails, however quickly it was started again."""
        ended = replace(loss(*FELL, *BACK), same_process=False)
        finding = health_loss.readiness_follows_database(ended, LIMITS)
        assert finding.verdict is Verdict.FAILED
        assert "process ended" in finding.summary

    @pytest.mark.parametrize(
        "seen",
        [
            Loss("refused"),
            loss(*FELL, *BACK, before=503),
            replace(loss(*FELL, *BACK), connected=False),
            replace(loss(*FELL, *BACK), before=()),
            loss(),
        ],
    )
    def test_inconclusive(self, seen: Loss) -> None:
        """Not tried, not ready before, not connected, not asked: none of these can tell."""
        assert health_loss.readiness_follows_database(seen, LIMITS).verdict is Verdict.INCONCLUSIVE


class TestReadinessNeverHangs:
    """Readiness answers in bounded time."""

    @pytest.mark.parametrize("status", [200, 503, 500])
    def test_any_answer_passes(self, status: int) -> None:
        """Yes or no, an answer in time passes."""
        seen = loss(*series("readiness", (1.5, status), (2.5, status), seconds=1.0), kind="silent")
        assert health_loss.readiness_never_hangs(seen, LIMITS).verdict is Verdict.PASSED

    def test_hanging_fails(self) -> None:
        """No answer fails, and so does one after the limit."""
        hung = loss(*series("readiness", (1.5, None), seconds=6.0), kind="silent")
        late = loss(*series("readiness", (1.5, 503), seconds=5.5), kind="silent")
        assert "1 hung" in health_loss.readiness_never_hangs(hung, LIMITS).summary
        assert health_loss.readiness_never_hangs(hung, LIMITS).verdict is Verdict.FAILED
        assert health_loss.readiness_never_hangs(late, LIMITS).verdict is Verdict.FAILED

    def test_end_of_the_process_fails(self) -> None:
        """A process that ends for it fails."""
        ended = replace(loss(*series("readiness", (1.5, 503))), same_process=False)
        assert health_loss.readiness_never_hangs(ended, LIMITS).verdict is Verdict.FAILED

    @pytest.mark.parametrize("seen", [Loss("silent"), loss(), loss(before=500)])
    def test_inconclusive(self, seen: Loss) -> None:
        """Not tried, not asked, not ready before."""
        assert health_loss.readiness_never_hangs(seen, LIMITS).verdict is Verdict.INCONCLUSIVE


class TestLivenessIgnores:
    """Liveness stays at 200."""

    def test_passes(self) -> None:
        """Quick yeses in both outages pass."""
        well = loss(*series("liveness", (1.5, 200), (2.5, 200)))
        assert health_loss.liveness_ignores_database(well, well, LIMITS).verdict is Verdict.PASSED

    def test_no_fails(self) -> None:
        """A single no fails, in either outage."""
        well = loss(*series("liveness", (1.5, 200), (2.5, 200)))
        bad = loss(*series("liveness", (1.5, 200), (2.5, 503)), kind="silent")
        for pair in ((well, bad), (bad, well)):
            assert health_loss.liveness_ignores_database(*pair, LIMITS).verdict is Verdict.FAILED

    def test_slow_fails(self) -> None:
        """Answers after the limit fail; a single one is the machine's."""
        well = loss(*series("liveness", (1.5, 200), (2.5, 200)))
        slow = loss(*series("liveness", (1.5, 200), (2.5, 200), seconds=1.5))
        one = loss(*series("liveness", *[(1.5, 200)] * 10), *series("liveness", (2.0, 200), seconds=1.5))
        assert health_loss.liveness_ignores_database(well, slow, LIMITS).verdict is Verdict.FAILED
        assert health_loss.liveness_ignores_database(well, one, LIMITS).verdict is Verdict.PASSED

    def test_end_of_the_process_fails(self) -> None:
        """A process that ends has no liveness."""
        ended = replace(loss(*series("liveness", (1.5, 200))), same_process=False)
        assert health_loss.liveness_ignores_database(ended, ended, LIMITS).verdict is Verdict.FAILED

    @pytest.mark.parametrize("seen", [Loss("refused"), loss(), loss(before=404)])
    def test_inconclusive(self, seen: Loss) -> None:
        """Not tried, not asked, not alive before."""
        well = loss(*series("liveness", (1.5, 200)))
        assert health_loss.liveness_ignores_database(well, seen, LIMITS).verdict is Verdict.INCONCLUSIVE


def deep(body: str, at_s: float = 1.5, status: int = 503, healthy: str = WELL) -> Loss:
    """A deep check that said this while the database was gone."""
    said = (
        Said("deep", "healthy", 200, healthy, (), 0.1),
        Said("deep", "refused", status, body, (), at_s),
    )
    return replace(loss(*series("deep", (at_s, status))), said=said)


class TestDeepNames:
    """The deep check names the database."""

    @pytest.mark.parametrize("status", [200, 207, 503])
    def test_passes(self, status: int) -> None:
        """Whatever the status, the entry tells."""
        finding = health_loss.deep_names_dependency(deep(NAMED, status=status), LIMITS)
        assert finding.verdict is Verdict.PASSED
        assert "database failing" in finding.summary

    def test_failures_only_passes(self) -> None:
        """A check that lists failures alone names it too."""
        seen = deep('{"status":"down","failures":{"postgres":"gone"}}', healthy='{"status":"ok"}')
        assert health_loss.deep_names_dependency(seen, LIMITS).verdict is Verdict.PASSED

    def test_single_dependency_passes(self) -> None:
        """Where there is only one, all of them is right."""
        seen = deep('{"checks":{"db":"down"}}', healthy='{"checks":{"db":"up"}}')
        assert health_loss.deep_names_dependency(seen, LIMITS).verdict is Verdict.PASSED

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (WELL, "still"),
            (ALL, "every dependency at once"),
            ('{"status":"error"}', "without naming"),
            ("Internal Server Error", "no JSON"),
        ],
    )
    def test_fails(self, body: str, says: str) -> None:
        """Green, blaming all, vague or no JSON: each fails in words of its own."""
        finding = health_loss.deep_names_dependency(deep(body), LIMITS)
        assert finding.verdict is Verdict.FAILED
        assert says in finding.summary

    def test_answer_across_the_fault_is_not_the_healthy_one(self) -> None:
        """A question asked just before the fault and answered after it isn't what all is compared with."""
        seen = deep(NAMED)
        across = Said("deep", "healthy", 503, NAMED, (), 0.99)
        seen = replace(seen, said=(seen.said[0], across, seen.said[1]))
        assert health_loss.deep_names_dependency(seen, LIMITS).verdict is Verdict.PASSED

    def test_late_fails(self) -> None:
        """Named only after the limit fails."""
        limits = HealthSettings(fall_within_s=1.0)
        assert health_loss.deep_names_dependency(deep(NAMED, at_s=3.0), limits).verdict is Verdict.FAILED

    def test_no_answer_fails(self) -> None:
        """A deep check that hangs tells nothing."""
        seen = replace(deep(NAMED), said=deep(NAMED).said[:1], answers=series("deep", (1.5, None)))
        assert health_loss.deep_names_dependency(seen, LIMITS).verdict is Verdict.FAILED

    @pytest.mark.parametrize("seen", [Loss("refused"), loss(before=500)])
    def test_inconclusive(self, seen: Loss) -> None:
        """Not tried, or not well before."""
        assert health_loss.deep_names_dependency(seen, LIMITS).verdict is Verdict.INCONCLUSIVE


def busy(
    *during: tuple[int | None, float], holding: int = 10, refused: int = 10, sent: int = 20, before: int = 200
) -> Busy:
    """A pool of ten that was kept busy."""
    asked = tuple(Asked("liveness", 0.1 * n, s, status) for n, (status, s) in enumerate(during))
    return Busy(10, (Asked("liveness", 0, 0.01, before),), asked, sent, holding, refused, 1.5)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (busy(*[(200, 0.01)] * 10), Verdict.PASSED),
        (busy(*[(200, 0.01)] * 10, holding=4, refused=16), Verdict.PASSED),  # a smaller pool than declared
        (busy(*[(503, 0.01)] * 10), Verdict.FAILED),
        (busy(*[(200, 1.5)] * 10), Verdict.FAILED),
        (busy(*[(None, 6.0)] * 10), Verdict.FAILED),
        (busy(*[(200, 0.01)] * 10, holding=4, refused=0), Verdict.INCONCLUSIVE),
        (
            busy(*[(200, 0.01)] * 10, holding=0, refused=20),
            Verdict.PASSED,
        ),  # gives up silent connections soon
        (busy(*[(200, 0.01)] * 10, holding=0, refused=19), Verdict.INCONCLUSIVE),
        (busy(*[(200, 0.01)] * 10, holding=0), Verdict.INCONCLUSIVE),
        (busy(sent=0), Verdict.INCONCLUSIVE),
        (busy(), Verdict.INCONCLUSIVE),
        (busy((200, 0.01), before=500), Verdict.INCONCLUSIVE),
    ],
)
def test_liveness_survives_full_pool(seen: Busy, verdict: Verdict) -> None:
    """Liveness is judged while the pool was full for certain."""
    assert health_loss.liveness_survives_full_pool(seen, LIMITS).verdict is verdict
