"""One plan carried out: users are made ready, the schedule is given out, and every answer is waited for."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace

from pytest_prodready.generator.users import runner_for  # first: it prepares what everything else imports

# isort: split
import gevent

from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.files import allow_files
from pytest_prodready.generator.health import Health
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.stream import Writer

PROBE_S = 0.02
FLUSH_S = 0.1
LOOK_S = 1.0
LEAD_S = 0.3  # for all users to be there
OVER_S = 2.0  # beyond the last deadline


def soon() -> float:
    """A moment (monotonic) at which everything is ready."""
    return time.monotonic() + LEAD_S


def work(plan: Plan, crew: Crew, writer: Writer, begin: Callable[[], float] = soon) -> None:
    """Carry out one plan; `begin` is asked for the moment of its start when all users are there."""
    plan = replace(plan, users=allow_files(plan.users))
    runner = runner_for(plan, crew, writer)
    runner.start(plan.users, spawn_rate=plan.users)
    while runner.user_count < plan.users:
        gevent.sleep(PROBE_S)
    gc.collect()
    gc.freeze()  # what is there stays: to look through it again and again would make answers late
    crew.began = begin()
    writer.tell("began", crew.began)
    health = Health()
    watching = [gevent.spawn(probe, health), gevent.spawn(_tell, crew, writer, health)]
    crew.run()
    with gevent.Timeout(plan.deadline_s + OVER_S, False):
        while crew.under_way or crew.unsent:
            gevent.sleep(PROBE_S)
    gevent.killall(watching)
    writer.tell("unfinished", crew.under_way + crew.unsent)
    writer.tell("done", round(crew.now_s, 3))
    writer.flush()
    runner.quit()


def probe(health: Health) -> None:
    """How late a short sleep ends: so late everything else here is."""
    while True:
        began = time.monotonic()
        gevent.sleep(PROBE_S)
        health.lags.append(max(0.0, time.monotonic() - began - PROBE_S))


def _tell(crew: Crew, writer: Writer, health: Health) -> None:
    """Write down what is known, and every second how the generator is."""
    due = time.monotonic() + LOOK_S
    while True:
        gevent.sleep(FLUSH_S)
        if time.monotonic() >= due:
            due += LOOK_S
            seen = {"at_s": round(crew.now_s, 3), "under_way": crew.under_way, "unsent": crew.unsent}
            writer.tell("health", {**seen, **health.look()})
        writer.flush()
