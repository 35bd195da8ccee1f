"""`python -m pytest_prodready.generator.locustfile --out FILE`: the user's own locustfile, stage by stage.

It is told and ended as the generator is: a plan in a line on stdin, then "end climb"; it doesn't outlive who
started it. Its users wait for each answer before they go on, so each request counts from its actual start.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from locust import events  # first: it prepares what everything after it imports

# isort: split
import gevent
from locust.argument_parser import get_parser
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.runners import STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING

from pytest_prodready.generator.health import Health
from pytest_prodready.generator.listening import Listener
from pytest_prodready.generator.loading import Refused, loaded
from pytest_prodready.generator.locustfile_plan import LocustfilePlan
from pytest_prodready.generator.stream import Writer
from pytest_prodready.generator.work import FLUSH_S, LOOK_S, OVER_S, probe

TICK_S = 0.05
AT_ONCE = 100  # users a second; Locust warns of more
ENDED = (STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING)
REFUSED = 3


class Course:
    """The users, who come and go as the stages want it."""

    def __init__(self, plan: LocustfilePlan, runner: Any, writer: Writer, listener: Listener) -> None:
        self._plan, self._runner, self._writer, self._listener = plan, runner, writer, listener
        self._users = 0
        self._climbing = True

    def end_climb(self) -> None:
        """Leave out what is left of the climb."""
        self._climbing = False

    def prepare(self) -> None:
        """What the locustfile does before its test begins; there are no users yet."""
        self._runner.start(0, spawn_rate=1)
        self._runner.spawning_greenlet.join()

    def run(self) -> None:
        """All stages; ends early where the locustfile ends its test itself."""
        for number, stage in enumerate(self._plan.stages):
            if stage.climb and not self._climbing:
                continue
            began = self._listener.begin(number)
            self._writer.tell("stage", [number, round(began, 6)])
            self._come_or_go(self._plan.users_in(stage), began, self._plan.ramp_s(stage))
            while self._listener.now_s < began + stage.seconds and (self._climbing or not stage.climb):
                gevent.sleep(TICK_S)
                if self._ended_itself():
                    self._writer.tell("ended itself", stage.name)
                    return

    def _come_or_go(self, goal: int, began: float, within_s: float) -> None:
        """New users come one after the other; those who are too many go when they have done their task."""
        had = self._users
        while self._users != goal and not self._ended_itself():
            share = min(1.0, (self._listener.now_s - began + TICK_S) / within_s)
            wanted = had + math.ceil((goal - had) * share) if goal > had else goal
            if wanted != self._users:
                self._runner.start(wanted, spawn_rate=max(AT_ONCE, abs(wanted - self._users)))
                self._users = wanted
            gevent.sleep(TICK_S)
            if goal > had:
                self._runner.spawning_greenlet.join()

    def _ended_itself(self) -> bool:
        return self._runner.state in ENDED


def main() -> int:
    """Run one plan."""
    parser = argparse.ArgumentParser(prog="python -m pytest_prodready.generator.locustfile")
    parser.add_argument("--out", type=Path, required=True, help="where samples are written")
    options = parser.parse_args()
    orders = _orders()
    plan = LocustfilePlan.parsed(orders.readline().decode())
    logging.basicConfig(level=logging.WARNING)
    with options.out.open("w", encoding="utf-8") as file:
        writer = Writer(file)
        os.register_at_fork(after_in_child=lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno()))
        try:
            _run(plan, writer, orders)
        except Refused as failure:
            writer.tell("refused", str(failure))
            return REFUSED
        finally:
            writer.flush()
    return 0


def _run(plan: LocustfilePlan, writer: Writer, orders: io.FileIO) -> None:
    listener = Listener(plan, writer)
    listener.under_way.watch(HttpSession, FastHttpSession)
    locust = _environment(plan, writer)
    runner = locust.create_local_runner()
    course = Course(plan, runner, writer, listener)
    gevent.get_hub().threadpool.spawn(_obey, orders, course)
    listener.listen(locust.events)
    locust.events.init.fire(environment=locust, runner=runner, web_ui=None)  # type: ignore[no-untyped-call]
    course.prepare()
    writer.tell("began", listener.start_clock())
    writer.flush()  # its users may never let us
    health = Health()
    watching = [
        gevent.spawn(probe, health),
        gevent.spawn(_tell, listener, runner, writer, health),
    ]
    course.run()
    listener.over()
    # The last requests have their answers, or have waited as long as any may.
    with gevent.Timeout(plan.deadline_s + OVER_S, False):
        runner.quit()
        locust.events.quitting.fire(environment=locust, reverse=True)  # type: ignore[no-untyped-call]
    gevent.killall(watching)
    listener.tell()


def _environment(plan: LocustfilePlan, writer: Writer) -> Environment:
    """Locust as its command line would set it up, but for the users: how many there are is the plan's."""
    classes, shapes = loaded(plan.file)
    writer.tell("shapes", shapes)
    host, most = plan.stages[0].url, max(plan.users_in(each) for each in plan.stages)
    try:
        ours = ["--host", host, "--headless", "--users", str(most)]
        options = get_parser().parse_args([*plan.arguments, *ours])
    except SystemExit:
        raise Refused(
            "its arguments, or locust.conf, can't be parsed; the reason is the last it says"
        ) from None
    if unknown := set(options.user_classes or ()) - set(classes):
        raise Refused(
            f"it has no user class {', '.join(sorted(unknown))}, which its arguments name;"
            f" it has {', '.join(sorted(classes))}"
        )
    chosen = [each for name, each in classes.items() if name in (options.user_classes or classes)]
    made = Environment(
        user_classes=chosen, events=events, host=host, parsed_options=options, stop_timeout=plan.deadline_s
    )
    if not made.user_classes:
        raise Refused("it has no user class with a weight above 0")
    return made


def _tell(listener: Listener, runner: Any, writer: Writer, health: Health) -> None:
    """Write down what is known, and every second how the generator is."""
    due, under_way = time.monotonic() + LOOK_S, listener.under_way
    while True:
        gevent.sleep(FLUSH_S)
        listener.give_up()
        if time.monotonic() >= due:
            due += LOOK_S
            seen = {"at_s": round(listener.now_s, 3), "under_way": len(under_way), "users": runner.user_count}
            writer.tell("health", {**seen, "sent": under_way.ever, **health.look()})
        writer.flush()


def _orders() -> io.FileIO:
    """What stdin says; the locustfile has another one, with nothing in it."""
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _obey(orders: io.FileIO, course: Course) -> None:
    """In a thread of its own: what stdin says, and the end when it ends."""
    while said := orders.readline():
        if b"end climb" in said:
            course.end_climb()
    os._exit(1)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for stdin would be waited for
