"""A user's own locustfile as the load: it runs as it is, and whatever it does ends in time, and is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_prodready.checks import load as check
from pytest_prodready.checks import load_truth
from pytest_prodready.findings import Verdict

from .conftest import Loaded, Loads
from .locustfiles import GOOD, IN_A_HURRY, MARKS_FAILURES, USER
from .test_load_endings import LENGTH_S, START_S

SIGNS = (Verdict.FAILED, Verdict.INCONCLUSIVE)  # of a missed target: a busy machine may be why
QUICK = {"usual_s": 2, "peak_s": 3, "again_s": 1}
LONGEST_S = LENGTH_S + START_S + 30.0  # where it doesn't get ready


@pytest.fixture
def users(loads: Loads, tmp_path: Path) -> Any:
    """Load a service of this kind by a locustfile of this text."""

    def loaded(how: str, text: str, users_at_1x: int = 9, **limits: Any) -> Loaded:
        (tmp_path / "locustfile.py").write_text(text)
        return loads(how, locustfile="locustfile.py", users_at_1x=users_at_1x, **limits)

    return loaded


def test_locustfile_runs_unchanged(users: Any) -> None:
    """Several classes by weight, both clients, events, its own options, validators; the stages are ours."""
    loaded = users("well", GOOD, locust_arguments=["--greeting", "hello"])
    seen, limits = loaded.seen, loaded.settings.load
    assert [(each.name, each.users) for each in seen.stages] == [
        ("warm-up", 9),
        ("1x", 9),
        ("5x", 45),
        ("1x again", 9),
    ]
    assert seen.shortfall == ""
    assert "its Shape isn't used: stages are the gate's" in seen.remarks
    for finding in (check.stays_up(seen, limits), check.requests_succeed(seen, limits)):
        assert finding.verdict is Verdict.PASSED, finding.summary
        assert finding.summary.endswith("closed model: your locustfile")
    timed = [check.responses_in_time(seen, limits), check.rate_is_reached(seen, limits)]
    assert {each.verdict for each in timed} <= {Verdict.PASSED, Verdict.INCONCLUSIVE}
    assert any("45 users" in each for each in loaded.told)
    assert loaded.left == ()


def test_what_a_locustfile_keeps_to_itself_is_unverified(users: Any) -> None:
    """Its writes and right answers aren't known to the gate, which claims nothing of them."""
    seen = users("loses", USER, **QUICK).seen
    judged = (load_truth.no_write_lost, load_truth.answers_are_right, load_truth.no_hidden_errors)
    for finding in (judge(seen) for judge in judged):
        assert finding.verdict is Verdict.UNVERIFIED
        assert "--prodready-set load.locustfile=" in finding.change


@pytest.mark.parametrize(
    ("how", "client", "says"),
    [
        ("hangs", "HttpUser", "no answer in time"),
        ("hangs", "FastHttpUser", "no answer in time"),
        ("trickles", "HttpUser", "no answer in time"),
        ("garbles", "HttpUser", "an answer that isn't HTTP"),
        ("garbles", "FastHttpUser", "an answer that isn't HTTP"),
        ("resets", "HttpUser", "connection reset"),
        ("resets", "FastHttpUser", "connection closed without an answer"),
    ],
)
def test_broken_service_is_named_in_time(users: Any, how: str, client: str, says: str) -> None:
    """By either client, without a limit of its own, a broken service is named by its symptom."""
    loaded = users(how, USER.replace("HttpUser)", f"{client})"), **QUICK)
    finding = check.requests_succeed(loaded.seen, loaded.settings.load)
    assert finding.verdict in SIGNS
    assert says in finding.summary, finding.summary
    deadline_s = loaded.settings.load.deadline_s
    assert loaded.seconds < loaded.seen.attempts * (LENGTH_S + deadline_s + START_S), loaded.told
    assert loaded.left == ()


@pytest.mark.parametrize("client", ["HttpUser", "FastHttpUser"])
def test_an_answer_after_its_deadline_is_none(users: Any, client: str) -> None:
    """Each request counts once: as failed when its time is up, and not again when its client hears of it."""
    seen = users("lags", USER.replace("HttpUser)", f"{client})"), deadline_s=1, **QUICK).seen
    peak = seen.stage("5x")
    assert peak is not None
    assert peak.response is not None
    assert {each.what for each in peak.failed} == {"no answer in time"}
    assert peak.good + peak.failures == peak.due
    assert peak.response.most_ms < 1450


def test_death_is_told_with_last_words(users: Any) -> None:
    """A service that dies ends the run at once."""
    loaded = users("dies", USER)
    finding = check.stays_up(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.FAILED
    assert "the load was too much for me" in finding.summary


def test_its_own_marking_counts(users: Any) -> None:
    """What it marks as a failure has failed, whatever the status."""
    loaded = users("well", MARKS_FAILURES, **QUICK)
    finding = check.requests_succeed(loaded.seen, loaded.settings.load)
    assert finding.verdict in SIGNS
    assert "200, but marked as failed (GET /items)" in finding.summary


def test_stalls_that_a_closed_model_hides_are_not_passed(users: Any) -> None:
    """Half a second in two: its own p95 is some milliseconds, and nobody claims that it is."""
    loaded = users("stalls", IN_A_HURRY, users_at_1x=1)
    peak = loaded.seen.peak
    assert peak is not None
    assert peak.response is not None
    assert peak.in_turn is not None
    assert peak.response.p95.ms < peak.in_turn.p95.ms
    finding = check.responses_in_time(loaded.seen, loaded.settings.load)
    assert finding.verdict in SIGNS, finding.summary
    assert "only an open schedule can tell" in finding.summary or "p95 was" in finding.summary


def test_too_few_users_are_no_pass(users: Any) -> None:
    """Where its users don't make the load, nothing is proven, and it is said how many would."""
    loaded = users("well", USER, users_at_1x=2)
    limits = loaded.settings.load
    rate = check.rate_is_reached(loaded.seen, limits)
    assert rate.verdict is Verdict.INCONCLUSIVE
    assert "users_at_1x = " in rate.change
    for finding in (
        check.requests_succeed(loaded.seen, limits),
        load_truth.memory_is_bounded(loaded.seen, limits),
    ):
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "too few of them" in finding.summary


BAD = {
    "missing module": ("import nowhere_to_be_found\n", "install nowhere_to_be_found beside pytest"),
    "syntax": ("from locust import (\n", "locustfile.py, line 1: SyntaxError"),
    "raises": ("x = 1\nraise ValueError('no data')\n", "locustfile.py, line 2: ValueError: no data"),
    "exits": ("import sys\nsys.exit('not today')\n", "SystemExit: not today"),
    "no users": ("import locust\n", "it has no user class"),
    "unknown argument": (USER, "can't be parsed"),
    "unknown class": (USER, "it has no user class Nobody, which its arguments name; it has "),
    "no tasks": ("from locust import HttpUser\nclass A(HttpUser):\n    pass\n", "sent no request"),
    "waits in on_start": (
        USER + "\n    def on_start(self):\n        time.sleep(3600)\n",
        "it has 9 users, who wait",
    ),
    "busy for ever": (
        USER + "\n    def on_start(self):\n        while True:\n            pass\n",
        "lets nothing else run",
    ),
    "exits in a task": (USER.replace('self.client.get("/items")', "sys.exit(5)"), "ended before its time"),
    "dies": (USER.replace('self.client.get("/items")', "os._exit(6)"), "(exit status 6)"),
    "ends its test": (
        USER.replace(
            'self.client.get("/items")', 'self.client.get("/items"); self.environment.runner.quit()'
        ),
        "ended its test itself in stage warm-up",
    ),
    "stops its users": (
        USER.replace("items(self):", "items(self):\n        from locust.exception import StopUser")
        + "        raise StopUser\n",
        "stopped themselves",
    ),
    "raises in tasks": (USER + "        raise KeyError('id')\n", "KeyError (locustfile.py, line "),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_locustfile_is_explained_in_time(users: Any, name: str) -> None:
    """Whatever is wrong with it, no rule passes, and the reason is said."""
    text, says = BAD[name]
    arguments = {"unknown argument": ["--no-such-option"], "unknown class": ["Nobody"]}.get(name, [])
    loaded = users("well", text, locust_arguments=arguments, **QUICK)
    finding = check.requests_succeed(loaded.seen, loaded.settings.load)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert says in finding.summary, finding.summary
    assert loaded.seconds < loaded.seen.attempts * LONGEST_S
    assert loaded.left == ()


def test_children_and_megabytes_are_bounded(users: Any) -> None:
    """What it starts ends with it, also what left its group; what it prints is kept to the last of it."""
    noisy = """
import subprocess

subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
if os.fork() == 0:
    time.sleep(3600)
for _ in range(400):
    print("x" * 100_000)
print("the last of it", flush=True)
"""
    loaded = users("well", USER + noisy, **QUICK)
    assert loaded.seen.doubt == ""
    assert loaded.left == ()
    assert "the last of it" in loaded.logs["generator-1"]
    assert sum(map(len, loaded.logs.values())) < 10_000_000


def test_secrets_of_the_gate_stay_with_it(users: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the user's own variables, and none of the gate's or of the servers'."""
    monkeypatch.setenv("TOKEN_OF_THE_USER", "seen")
    monkeypatch.setenv("PRODREADY_POSTGRES__URL", "postgresql://u:hunter2@127.0.0.1/d")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    shows = "\nprint('variables', sorted(os.environ), os.environ['TOKEN_OF_THE_USER'], sys.stdin.read())\n"
    loaded = users("well", USER + shows + "print('hunter2' in str(os.environ))\n", **QUICK)
    said = loaded.logs["generator-1"]
    assert "seen" in said
    assert "PGPASSWORD" not in said
    assert said.rstrip().endswith("False")
