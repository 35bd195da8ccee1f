"""Generates a slice of the load for a master, and sends it every sample.

It needs nothing of what is tested but the service's address. It ends when the master says that the run is
over, and soon when the master isn't heard of any more: nobody is loaded by a worker that nobody leads.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_prodready.generator.work import work  # first: it prepares what everything else imports

# isort: split
import gevent
from gevent.event import AsyncResult
from gevent.os import tp_read
from gevent.queue import Queue
from locust.env import Environment

from pytest_prodready.generator import messages
from pytest_prodready.generator.addresses import host_towards, seen_from_here, unreachable
from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.messages import Said
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.schedule import Schedule, Slice
from pytest_prodready.generator.stream import Writer

BEGIN_WITHIN_S = 60.0


class Batches:
    """A file that sends what is written in it."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._number = worker, 0

    def write(self, text: str) -> int:
        """Send it, with its number."""
        self._worker.say(messages.BATCH, {"number": self._number, "lines": text})
        self._number += 1
        return len(text)

    def flush(self) -> None:
        """Everything is sent already."""


class Worker:
    """One worker of a master."""

    def __init__(self, host: str, port: int) -> None:
        self._master = host, port
        self._plans: Queue[Said] = Queue()
        self._begin: AsyncResult = AsyncResult()
        self._crew: Crew | None = None
        self._runner = Environment().create_worker_runner(host, port)  # returns when the master has answered
        self._heard_at = time.monotonic()
        for name in messages.FROM_MASTER:
            self._runner.register_message(name, self._hear)

    def say(self, name: str, said: Said) -> None:
        """Tell the master."""
        self._runner.send_message(name, said)

    def serve(self) -> None:
        """Carry out one plan after the other."""
        gevent.spawn(self._live)
        self.say(messages.HELLO, {"host": host_towards(*self._master), "version": messages.ours()})
        _print(f"has joined {self._master[0]}:{self._master[1]}")
        while True:
            self._carry_out(self._plans.get())

    def _carry_out(self, said: Said) -> None:
        mine = Slice(said["number"], said["workers"])
        with null_server() as null:
            plan = seen_from_here(Plan.parsed(said["plan"]), mine, self._master[0], null)
            if problem := unreachable(plan):
                self.say(messages.READY, {"problem": problem})
                return
            self._begin = AsyncResult()
            self._crew = Crew(Schedule(plan, mine))
            telling = gevent.spawn(_tell_stages, self._crew)
            try:
                work(plan, self._crew, Writer(Batches(self)), self._told_to_begin)
            finally:
                telling.kill()
            _print("has sent its slice")

    def _told_to_begin(self) -> float:
        self.say(messages.READY, {"problem": ""})
        return float(self._begin.get(timeout=BEGIN_WITHIN_S))

    def _hear(self, msg: Any, **_: Any) -> None:
        self._heard_at = time.monotonic()
        match msg.type:
            case messages.CLOCK:
                self.say(messages.CLOCK, {"number": msg.data["number"], "now": time.monotonic()})
            case messages.PLAN:
                self._plans.put(msg.data)
            case messages.BEGIN:
                self._begin.set(msg.data["at"])
            case messages.END_CLIMB if self._crew is not None:
                self._crew.schedule.end_climb(msg.data["at_s"])
            case messages.OVER:
                _end(msg.data["why"], msg.data["status"])

    def _live(self) -> None:
        """Say that we live, and see that the master does."""
        due = time.monotonic()
        while due - self._heard_at < messages.MASTER_LOST_S:
            self.say(messages.ALIVE, {})
            due = time.monotonic() + messages.ALIVE_EVERY_S  # where we are late, we haven't listened
            gevent.sleep(messages.ALIVE_EVERY_S)
        _end(f"the gate at {self._master[0]} was silent for {messages.MASTER_LOST_S:g} s", 1)


def join(host: str, port: int, die_with_stdin: bool) -> int:
    """Work for the master at this address."""
    if die_with_stdin:
        gevent.spawn(_wait_for_the_end_of_stdin)
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container has no default for it
        gevent.signal_handler(number, _end, f"by {number.name}", 128 + number)
    _print(f"looks for a gate at {host}:{port}")
    try:
        worker = Worker(host, port)
    except ConnectionError:
        _print(f"no gate has answered at {host}:{port}")
        return 1
    worker.serve()
    return 0


@contextmanager
def null_server() -> Iterator[str]:
    """A null server on this host."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_prodready.generator.null_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield f"http://{told['host']}:{told['port']}"
    finally:
        process.kill()
        process.communicate()


def _tell_stages(crew: Crew) -> None:
    """Tell which stage it is, as each begins."""
    told, mine = -1, crew.schedule.slice
    while True:
        gevent.sleep(messages.ALIVE_EVERY_S)
        begun = [n for n, at_s in enumerate(crew.schedule.began_s) if crew.began and at_s <= crew.now_s]
        if begun and begun[-1] != told:
            told = begun[-1]
            stage = crew.schedule.plan.stages[told]
            _print(f"slice {mine.number + 1} of {mine.of}, {stage.name}: {stage.rate / mine.of:g}/s")


def _wait_for_the_end_of_stdin() -> None:
    while tp_read(0, 4096):
        pass
    os._exit(1)


def _print(words: str) -> None:
    sys.stdout.write(f"prodready worker: {words}\n")
    sys.stdout.flush()


def _end(why: str, status: int) -> None:
    _print(f"ends: {why}")
    os._exit(status)
