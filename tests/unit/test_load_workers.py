"""Several processes of the generator, from literals: slices, gaps, the worst of them, and what is lost."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.checks.load_headroom import has_headroom
from pytest_prodready.checks.load_recovery import recovers
from pytest_prodready.environment.runs import Run
from pytest_prodready.errors import ServerError
from pytest_prodready.findings import Verdict
from pytest_prodready.generator.addresses import address_from_here, seen_from_here, unreachable
from pytest_prodready.generator.plan import Ask, Plan, Stage
from pytest_prodready.generator.schedule import Schedule, Slice, Slot
from pytest_prodready.generator.stream import Sample
from pytest_prodready.generators import Generators
from pytest_prodready.probes import load_workers
from pytest_prodready.probes.load import SELF_TEST, Topology, Worker
from pytest_prodready.probes.load_generator import Told
from pytest_prodready.probes.load_health import generator_of, with_figures
from pytest_prodready.probes.load_stats import Digest
from pytest_prodready.probes.load_workers import Slices, WorkerLost, Workers
from pytest_prodready.reports.load_chart import load_chart

from .checks.loads import LIMITS, POOL, load

ASKS = (Ask("list", "/jobs", weight=2), Ask("create", "/jobs", kind="create"))
UNANSWERED = """
from pytest_prodready.generator import master
from pytest_prodready.generator.master import Known, Master


class Leading(Master):
    def __init__(self):
        self._wanted, self._workers = 1, {"a": Known("a", "far away", 0.0)}

    def _say(self, worker, name, said):
        worker.ready = True  # and nothing else is answered

    def _tell(self, name, value):
        print(name, value)


master.ANSWER_WITHIN_S = 0.001
Leading()._carry_out("")
"""
LATE = """
from types import SimpleNamespace

import gevent
from pytest_prodready.generator import master, messages
from pytest_prodready.generator.master import Known, Master

now, late = 0.0, [0, 0, 2.6, 0] + [0] * 20


class Leading(Master):
    def __init__(self):
        self._wanted, self._workers = 1, {"a": Known("a", "far away", 0.0)}

    def _say(self, worker, name, said):
        pass

    def _tell(self, name, value):
        print(name, f"{now:.2f}", value["why"])


def sleep(seconds):
    global now
    if now < 4:  # until then the worker speaks, which is heard as soon as we listen
        for each in leading._workers.values():
            each.heard_at = now
    if not late:
        raise KeyboardInterrupt
    now += seconds + late.pop(0)


leading = Leading()
master.gevent = SimpleNamespace(sleep=sleep)
master.time = SimpleNamespace(monotonic=lambda: now)
try:
    leading.watch()
except KeyboardInterrupt:
    pass
"""
STAGES = (Stage("a", "", 10, 1), Stage("up", "", 7, 3, climb=True), Stage("again", "", 10, 2))


def dealt(workers: int, end_climb: float | None = None) -> list[list[Slot]]:
    """The slots of each worker; each has given out another number of them when the climb ends."""
    found = []
    for number in range(workers):
        schedule = Schedule(Plan(STAGES, ASKS, 1, 1.0, 0.5, "t"), Slice(number, workers))
        first = [schedule.next() for _ in range(5 + number)]
        if end_climb is not None:
            schedule.end_climb(end_climb)
        found.append([each for each in (*first, *iter(schedule.next, None)) if each is not None])
    return found


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_slices_make_up_the_schedule(workers: int) -> None:
    """Whatever their number, together they have each request once, at its time, and no token twice."""
    slots = sorted((each for mine in dealt(workers) for each in mine), key=lambda each: each.number)
    assert [each.number for each in slots] == list(range(51))
    due = [*(n / 10 for n in range(10)), *(1 + n / 7 for n in range(21)), *(4 + n / 10 for n in range(20))]
    assert [each.at_s for each in slots] == pytest.approx(due)
    tokens = [each.token for each in slots]
    assert len(set(tokens)) == len(tokens)


def test_slices_agree_after_an_ended_climb() -> None:
    """However far each had come by then, what follows is whole, and begins for all at the same moment."""
    slots = [each for mine in dealt(3, end_climb=1.6) for each in mine]
    again = sorted((each for each in slots if each.stage == 2), key=lambda each: each.number)
    assert [each.at_s for each in again] == pytest.approx([1.6 + n / 10 for n in range(20)])
    assert len({each.token for each in slots}) == len(slots)


def merged(*told: Told, workers: int = 2) -> list[Told]:
    """What several workers have told, as one."""
    slices = Slices(workers)
    return [each for line in told for each in slices.merged(line)]


def sample(number: int, error: int = -1, late: float = 0.0) -> Sample:
    """A request of the first stage, ten of which are due in a second."""
    at_s = number / 10
    return Sample(number, 0, 0, at_s, at_s, at_s + 0.01 + late, 200, 0, error, 0, -1)


def test_errors_have_one_number_each() -> None:
    """What one worker calls its first error may be another's second."""
    told = merged(
        {"from": [0, 0]},
        {"error": "refused"},
        sample(0, 0),
        {"from": [1, 0]},
        {"error": "no answer"},
        {"error": "refused"},
        sample(1, 1),
        sample(3, 0),
    )
    assert [each["error"] for each in told if isinstance(each, dict)] == ["refused", "no answer"]
    assert [each.error for each in told if isinstance(each, Sample)] == [0, 0, 1]


def test_all_are_done_when_the_last_is() -> None:
    """Requests without an end are counted over all."""
    told = merged({"from": [0, 0]}, {"unfinished": 2}, {"done": 5}, {"from": [1, 0]}, {"unfinished": 1})
    assert told == []
    told = merged(
        {"from": [0, 0]}, {"unfinished": 2}, {"done": 5}, {"from": [1, 0]}, {"unfinished": 1}, {"done": 6}
    )
    assert told == [{"unfinished": 3}, {"done": 6}]


def test_a_gap_is_no_load() -> None:
    """A message that was sent and never came is told with its number."""
    with pytest.raises(WorkerLost, match="message 1 of worker 2 of 2 never came, and message 2 did"):
        merged({"from": [1, 0]}, {"from": [0, 0]}, {"from": [1, 2]})
    with pytest.raises(WorkerLost, match="message 1 of worker 2"):
        merged({"from": [1, 0]}, {"from": [1, 2]})


class Master:
    """Tells what is written here, a part at each look, and has ended before the last is read."""

    parts: ClassVar[list[list[Told]]]

    def __init__(self, *_: Any) -> None:
        self._left = [list(each) for each in self.parts]

    @property
    def alive(self) -> bool:
        """Whether there is more to come."""
        return len(self._left) > 1

    def told(self) -> list[Told]:
        """The next part."""
        return self._left.pop(0) if self._left else []

    def log(self) -> str:
        """Nothing."""
        return ""


def led(monkeypatch: pytest.MonkeyPatch, *parts: list[Told]) -> Workers:
    """Two workers of other hosts whose master tells this."""
    monkeypatch.setattr(load_workers, "Telling", type("ThisMaster", (Master,), {"parts": list(parts)}))
    return Workers(cast("Run", None), Generators(expected=2))


def test_what_comes_with_the_start_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that was late to look reads the start and a worker's first words at once."""
    first: list[Told] = [
        {"clock": {"worker": 0, "known_to_ms": 1.0}},
        {"start": 7.5},
        {"from": [0, 0]},
        sample(0),
    ]
    workers = led(monkeypatch, first, [{"from": [0, 1]}, sample(2)])
    began, told = workers.began()
    assert began == 7.5
    assert [each.number for each in told if isinstance(each, Sample)] == [0]
    assert [each.number for each in workers.news() if isinstance(each, Sample)] == [2]


def test_last_words_of_a_master_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can't listen says why and ends; its end is no reason of its own."""
    with pytest.raises(ServerError, match="There is no listening for workers"):
        led(monkeypatch, [], [{"deaf": "the port is taken"}]).gather(lambda _: None)
    with pytest.raises(ServerError, match="0 of 2 workers have come"):
        led(monkeypatch, []).gather(lambda _: None)


def test_who_was_sent_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of another version is named with its host, and how other hosts reach the gate."""
    refused: list[Told] = [{"refused": "10.0.0.7: this worker is of version 0.1, and the gate of 0.2"}]
    with pytest.raises(ServerError) as told:
        led(monkeypatch, refused, [], []).gather(lambda _: None)
    assert "sent home: 10.0.0.7: this worker is of version 0.1" in told.value.message
    assert "--prodready-load-bind-host=ADDRESS" in told.value.message


def test_no_load_begins_by_an_unknown_clock() -> None:
    """A worker that is never heard in time of its clock has none to begin by, and it is said whose."""
    told = subprocess.run([sys.executable, "-c", UNANSWERED], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("unready the clock of far away is not known")


def test_a_master_that_was_late_blames_nobody() -> None:
    """What a worker said while nobody listened isn't silence; two seconds of it are, wherever they come."""
    told = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert told.stdout == "lost 6.10 was silent for 2 s\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_ends_when_told_to(number: signal.Signals) -> None:
    """By Ctrl-C, or with its container, at once and in a line; also while it looks for its gate."""
    command = [sys.executable, "-m", "pytest_prodready.generator", "--worker", "--master-port", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            assert "looks for a gate" in worker.stdout.readline()
            worker.send_signal(number)
            told, complaints = worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert told == f"prodready worker: ends: by {number.name}\n"
    assert complaints == ""
    assert worker.returncode == 128 + number


def test_a_host_without_locust_is_told_what_to_install() -> None:
    """A worker's host lacks the extra: a line says so, and what to do."""
    start = "import runpy; runpy.run_module('pytest_prodready.generator', run_name='__main__')"
    command = [sys.executable, "-c", f"import sys; sys.modules['locust'] = None; {start}", "--worker"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "pip install 'pytest-prodready[load]'" in told.stderr
    assert "Traceback" not in told.stderr


def health(worker: int, at_s: float = 1.5, **figures: float) -> Mapping[str, Any]:
    """What a worker tells of itself."""
    usual = {"cpu": 0.1, "delay": 0.0, "steal": 0.0, "pressure": None, "lag_ms": 1.0}
    return {"at_s": at_s, "worker": worker, **usual, **figures}


def test_the_worst_process_counts() -> None:
    """A worker at its limit isn't made good by an idle one, in no figure."""
    told = [health(0, cpu=0.95), health(1, delay=0.5, lag_ms=80.0), health(2)]
    seen = generator_of(load().stages, (), told, 100)
    assert (seen.cpu, seen.delay, seen.lag_ms, seen.pressure) == (None, None, None, None)  # none of its time
    seen = generator_of(load().stages, load().seconds, [{**each, "at_s": 4.5} for each in told], 100)
    assert (seen.cpu, seen.delay, seen.lag_ms, seen.steal) == (0.95, 0.5, 80.0, 0.0)
    assert seen.pressure is None
    hosts = with_figures((Worker("a"), Worker("b"), Worker("c")), told)
    assert [each.cpu for each in hosts] == [0.95, 0.1, 0.1]
    assert [each.lag_ms for each in hosts] == [1.0, 80.0, 1.0]


def test_the_worst_self_test_counts() -> None:
    """Of two workers one answers nothing in time: its own share is told, and not that of both."""
    plan = Plan((Stage(SELF_TEST, "", 10, 2, null=True),), ASKS, 1, 5.0, 0.5, "t")
    digest = Digest(plan, {}, 0.1)
    for number in range(20):
        digest.add(sample(number, late=2.5 if number in (13, 15) else 0.0))
    assert digest.least_achieved(SELF_TEST, 1) == digest.stage(0).achieved == 0.9
    assert digest.least_achieved(SELF_TEST, 2) == 0.8
    assert digest.least_achieved("1x", 2) is None


def test_a_load_that_was_given_up_has_no_verdict() -> None:
    """Whatever was seen of half a load: it neither passes nor fails."""
    seen = load(doubt="the load was given up: worker 2 of 2 was silent", topology=Topology(2, 2))
    findings = [
        check.stays_up(seen, LIMITS),
        check.requests_succeed(seen, LIMITS),
        check.responses_in_time(seen, LIMITS),
        check.rate_is_reached(seen, LIMITS),
        recovers(seen, LIMITS),
        has_headroom(seen, LIMITS),
        load_truth.no_write_lost(seen),
        load_truth.answers_are_right(seen),
        load_truth.pool_has_room(seen, LIMITS, POOL),
    ]
    assert {each.verdict for each in findings} == {Verdict.INCONCLUSIVE}
    assert {each.summary for each in findings} == {seen.doubt}


def test_the_picture_tells_where_it_came_from() -> None:
    """How many processes there were, on how many hosts, and how well their clocks agreed."""
    hosts = (Worker("a", clock_ms=0.4), Worker("b", clock_ms=1.26))
    picture = load_chart(load(topology=Topology(2, 2), workers=hosts))
    assert "generated by 2 processes, hosts: 2, begun together to within 1.3 ms" in picture
    assert "generated by" not in load_chart(load())


@pytest.mark.parametrize(
    ("url", "master", "seen"),
    [
        ("http://127.0.0.1:8000", "10.0.0.5", "http://10.0.0.5:8000"),
        ("http://[::1]:8000", "fd00::5", "http://[fd00::5]:8000"),
        ("https://localhost/v1", "gate", "https://gate/v1"),
        ("http://u:p@127.0.0.1:8000", "gate", "http://u:p@gate:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1", "http://127.0.0.1:8000"),
        ("https://staging.example.com", "10.0.0.5", "https://staging.example.com"),
    ],
)
def test_the_gates_loopback_is_where_the_gate_is(url: str, master: str, seen: str) -> None:
    """Another host reaches a service on the gate's host by the address by which it reaches the gate."""
    assert address_from_here(url, master) == seen


def test_a_service_out_of_reach_is_named_without_its_password() -> None:
    """Where it was looked for, and what to change; a password in its address is nobody's business."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    told = unreachable(Plan((Stage("a", f"http://u:secret@127.0.0.1:{port}", 1, 1),), ASKS, 1, 1, 1, "t"))
    assert told.startswith(f"http://127.0.0.1:{port} can't be reached from ")
    assert "--host 0.0.0.0" in told
    assert "secret" not in told


def test_a_worker_has_its_share() -> None:
    """Its users are its part of all, rounded up, and its null server is its own."""
    plan = Plan(
        (Stage("a", "http://null", 1, 1, null=True), Stage("b", "http://x", 1, 1)), ASKS, 7, 1, 1, "t"
    )
    mine = seen_from_here(plan, Slice(1, 2), "127.0.0.1", "http://127.0.0.1:1")
    assert mine.users == 4
    assert [each.url for each in mine.stages] == ["http://127.0.0.1:1", "http://x"]


def test_options_are_repeated() -> None:
    """A command that runs a rule again asks for the same workers."""
    assert Generators().as_arguments == ()
    made = Generators(expected=3, host="10.0.0.5")
    assert made.as_arguments == ("--prodready-load-expect-workers=3", "--prodready-load-bind-host=10.0.0.5")
    assert (made.count, made.alone, Generators(workers=2).count) == (3, False, 2)
