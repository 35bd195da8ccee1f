"""`python -m pytest_prodready.generator --out FILE`: a plan in a line on stdin, and samples in the file.

It ends when the schedule is over and every request has its answer or its deadline has passed, and at once
when stdin ends: it never outlives who started it. A line "end climb" leaves out the rest of the climb.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import gevent

from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.health import Health
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.schedule import Schedule
from pytest_prodready.generator.stream import Writer
from pytest_prodready.generator.users import environment  # first: it prepares what everything else imports

PROBE_S = 0.02
FLUSH_S = 0.1
LOOK_S = 1.0
LEAD_S = 0.3  # for all users to be there
OVER_S = 2.0  # beyond the last deadline


def main() -> int:
    """Run one plan."""
    parser = argparse.ArgumentParser(prog="python -m pytest_prodready.generator")
    parser.add_argument("--out", type=Path, required=True, help="where samples are written")
    options = parser.parse_args()
    plan = Plan.parsed(_first_line())
    crew = Crew(Schedule(plan))
    with options.out.open("w", encoding="utf-8") as file:
        writer = Writer(file)
        _run(plan, crew, writer)
        writer.tell("done", round(crew.now_s, 3))
        writer.flush()
    return 0


def _run(plan: Plan, crew: Crew, writer: Writer) -> None:
    locust = environment(plan, crew, writer)
    gevent.get_hub().threadpool.spawn(_obey, crew)
    runner = locust.create_local_runner()
    runner.start(plan.users, spawn_rate=plan.users)
    while runner.user_count < plan.users:
        gevent.sleep(PROBE_S)
    crew.began = time.monotonic() + LEAD_S
    writer.tell("began", crew.began)
    health = Health()
    watching = [gevent.spawn(_probe, health), gevent.spawn(_tell, crew, writer, health)]
    crew.run()
    with gevent.Timeout(plan.deadline_s + OVER_S, False):
        while crew.under_way or crew.unsent:
            gevent.sleep(PROBE_S)
    gevent.killall(watching)
    writer.tell("unfinished", crew.under_way + crew.unsent)
    writer.flush()


def _probe(health: Health) -> None:
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


def _first_line() -> str:
    read = b""
    while not read.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            raise SystemExit("there is no plan on stdin")
        read += part
    return read.decode()


def _obey(crew: Crew) -> None:
    """In a thread of its own: what stdin says, and the end when it ends."""
    while said := os.read(0, 4096):
        if b"end climb" in said:
            crew.schedule.end_climb(crew.now_s)
    os._exit(1)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for stdin would be waited for
