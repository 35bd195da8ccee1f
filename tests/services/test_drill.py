"""Drills on a service of a few lines: right to 50 ms, and over in time whatever the service does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pytest_prodready.checks.failover import outage_is_survived
from pytest_prodready.environment.environment import Environment
from pytest_prodready.environment.service import Endpoint
from pytest_prodready.faults import Proxied
from pytest_prodready.findings import Verdict
from pytest_prodready.probes import drill_scene
from pytest_prodready.probes.drill import Drill, counted
from pytest_prodready.probes.drill_run import Fault, run_drill
from pytest_prodready.probes.drill_scene import Scene
from pytest_prodready.probes.traffic import Traffic
from pytest_prodready.settings import Request, Settings

SERVICE = Path(__file__).with_name("drilled.py")
EXACT_S = 0.05
FAULT_S = 0.6
DRILLED = Request(name="drilled", path="/drilled")
ENDS_WITHIN_S = 20.0
QUIET_WITHIN = 3  # drills: a busy machine makes one uncertain, and it says so


@dataclass(frozen=True)
class Answered:
    """One answer, as the service itself wrote it down."""

    path: str
    status: int
    began: float
    ended: float


@dataclass
class Stage:
    """The small service behind its proxy, and the moments at which it was broken and mended."""

    scene: Scene
    folder: Path
    broken_at: float = 0.0
    healed_at: float = 0.0
    after_s: float = 0.0  # the service refuses for so long after the heal

    @property
    def proxied(self) -> Proxied:
        """What stands between the service and its database."""
        database = self.scene.environment.database
        assert database is not None
        assert database.proxied is not None
        return database.proxied

    def drill(self) -> Drill:
        """An outage, with moments known to the test."""
        fault = Fault(
            name="known",
            words="an outage at known moments",
            hold=lambda _: self.broken(),
            seconds=FAULT_S,
            recover_s=3.0,
            deadline_s=2.0,
            requests=(DRILLED,),
        )
        return run_drill(self.scene, fault)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Refuse the database's clients; the service learns how long to go on refusing."""
        (self.folder / "held_until").unlink(missing_ok=True)
        with self.proxied.down():
            self.broken_at = time.monotonic()
            yield
            (self.folder / "held_until").write_text(str(time.monotonic() + 60))
        self.healed_at = time.monotonic()
        replaced = self.folder / "held_until.new"
        replaced.write_text(str(self.healed_at + self.after_s))
        replaced.rename(self.folder / "held_until")

    def journal(self) -> list[Answered]:
        """What the service answered to the requests of the drill."""
        lines = [line.split() for line in (self.folder / "journal").read_text().splitlines()]
        every = [Answered(path, int(code), float(began), float(ended)) for path, code, began, ended in lines]
        return [each for each in every if each.path == DRILLED.path]


Play = Callable[[str], Stage]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Starts the service with its database, and stops them at the end."""
    monkeypatch.setattr(drill_scene, "STEADY_WITHIN_S", 3.0)
    environments: list[Environment] = []
    senders: list[Traffic] = []

    def start(how: str) -> Stage:
        command = f"{{python}} {SERVICE} {{port}} {{postgres.host}} {{postgres.port}} {tmp_path} {how}"
        settings = Settings.model_validate(
            {
                "service": {"name": "drilled", "command": command},
                "requests": [{"name": "steady", "path": "/steady"}],
                "health": {"liveness": "/live"},
                "failover": {"recover_within_s": 2, "deadline_s": 2},
            }
        )
        environments.append(Environment.start(settings, folder=tmp_path))
        application = environments[0].application
        assert application is not None
        senders.append(Traffic(application.base_url, settings.requests))
        return Stage(Scene(environments[0], senders[0], settings, lambda _: None), tmp_path)

    yield start
    for sender in senders:
        sender.close()
    for environment in environments:
        environment.stop()


@pytest.mark.parametrize("after_s", [0.0, 0.4, 1.1])
def test_time_to_recovery_is_exact(play: Play, after_s: float) -> None:
    """From a heal at a known moment to the known moment of recovery: right to 50 ms and what is stated."""
    stage = play("well")
    stage.after_s = after_s
    stated = []
    for _ in range(QUIET_WITHIN):
        seen = stage.drill()
        assert seen.rto_from_heal_s is not None, seen.doubt
        assert after_s - EXACT_S <= seen.rto_from_heal_s <= after_s + EXACT_S + seen.uncertainty_s
        stated.append(seen.uncertainty_s)
        if stated[-1] < 2 * EXACT_S:
            return
    pytest.fail(f"the machine was never quiet enough: uncertain by {stated} s")


def test_everything_agrees_with_the_service(play: Play) -> None:
    """Counts, the first refusal, the longest silence and both RTOs are those of the service's own journal."""
    stage = play("holds")
    stage.after_s = 0.5
    seen, answered = stage.drill(), stage.journal()
    statuses = [each.status for each in answered]
    assert counted(seen.sent) == {"503": statuses.count(503), "200": statuses.count(200)}
    refused = min(each.ended for each in answered if each.status == 503)
    exact_s = EXACT_S + seen.uncertainty_s
    assert seen.first_refusal_s == pytest.approx(refused - stage.broken_at, abs=exact_s)
    longest = max(each.ended - each.began for each in answered)
    assert longest >= 1.3
    assert seen.longest_silence_s == pytest.approx(longest, abs=exact_s)
    served = min(each.ended for each in answered if each.status == 200 and each.began > stage.healed_at)
    last = max(each.ended for each in answered if each.status == 200 and each.ended < stage.broken_at)
    assert seen.rto_from_heal_s == pytest.approx(served - stage.healed_at, abs=exact_s)
    assert seen.rto_from_fault_s == pytest.approx(served - last, abs=exact_s)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("never", "not served again"),
        ("crashes", "the process ended (the database is gone, so am I)"),
        ("forks", "the process ended"),
        ("hangs", "no answer within 2 s"),
    ],
)
def test_a_drill_ends_whatever_the_service_does(play: Play, how: str, says: str) -> None:
    """It ends in bounded time with a finding that says it; afterwards the service is as good as new."""
    stage = play(how)
    began = time.monotonic()
    seen = stage.drill()
    took = time.monotonic() - began
    finding = outage_is_survived(seen, stage.scene.settings)
    assert finding.verdict is Verdict.FAILED, finding.summary
    assert says in finding.summary
    assert took < ENDS_WITHIN_S
    application = stage.scene.environment.application
    assert application is not None
    assert application.alive
    assert drill_scene.steady(stage.scene) == ""
    assert listeners(application.endpoint) <= set(application.processes())


def test_a_flooded_log_changes_nothing(play: Play) -> None:
    """200 MB in its log neither hold up the drill nor fill the finding."""
    stage = play("floods")
    began = time.monotonic()
    seen = stage.drill()
    finding = outage_is_survived(seen, stage.scene.settings)
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert finding.verdict in (Verdict.PASSED, Verdict.FAILED), finding.summary
    assert len(finding.summary) < 1000
    application = stage.scene.environment.application
    assert application is not None
    assert len(application.log_tail(5)) < 100_000


def listeners(endpoint: Endpoint) -> set[int]:
    """Processes that hold the port."""
    return {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
        and each.laddr
        and each.laddr.port == endpoint.port
        and each.pid is not None
    }
