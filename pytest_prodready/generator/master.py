"""Leads the workers of one load: each gets its slice, all begin at once, and what they send is written down.

Locust's master carries the messages. Its users, its statistics and its rebalancing stay unused: a slice
belongs to one worker, and a load of which a slice is missing is given up.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from locust.env import Environment  # first: it prepares what everything else imports
from locust.exception import RPCError

# isort: split
import gevent
from gevent.os import tp_read

from pytest_prodready.generator import messages
from pytest_prodready.generator.messages import Said
from pytest_prodready.generator.stream import Writer

POLL_S = 0.002
READY_WITHIN_S = 30.0
ROUNDS = 20  # of questions for the time; the one that was answered soonest counts
ANSWER_WITHIN_S = 0.5
LEAD_S = 0.5  # until BEGIN, or the end of a climb, has come to everybody
HEARD_S = 0.3  # for the last word to leave


@dataclass
class Known:
    """A worker that has come, and what is known of it."""

    client: str
    host: str
    heard_at: float
    number: int = -1
    ready: bool = False
    problem: str = ""
    offset_s: float = 0.0  # of its clock to ours
    way_s: float = float("inf")  # there and back, of the shortest
    asked: dict[int, float] = field(default_factory=dict)


class Master:
    """One master at its address."""

    def __init__(self, host: str, port: int, wanted: int, writer: Writer) -> None:
        self._wanted, self._writer = wanted, writer
        self._workers: dict[str, Known] = {}
        self._began: float | None = None
        self._runner = Environment().create_master_runner(host, port)
        for name, act in (
            (messages.HELLO, self._hello),
            (messages.READY, self._ready),
            (messages.CLOCK, self._clock),
            (messages.BATCH, self._batch),
            (messages.ALIVE, self._alive),
        ):
            self._runner.register_message(name, act)
        self._tell("listening", self._runner.server.port)

    @property
    def complete(self) -> bool:
        """Whether all workers have come."""
        return len(self._workers) == self._wanted

    def obey(self) -> int:
        """What stdin says, line by line; when it ends, all is over."""
        read = b""
        while part := tp_read(0, 65536):
            *lines, read = (read + part).split(b"\n")
            for line in lines:
                if line == b"over":
                    self.end("the gate has ended the run", well=True)
                    return 0
                if line == b"end climb":
                    self._end_climb()
                else:
                    gevent.spawn(self._carry_out, line.decode())
        self.end("the gate is gone")
        return 1

    def watch(self) -> None:
        """Say that we live, and see that everybody does."""
        while True:
            due = time.monotonic() + messages.ALIVE_EVERY_S
            gevent.sleep(messages.ALIVE_EVERY_S)
            self._say_all(messages.ALIVE, {})
            silent = due - messages.WORKER_LOST_S  # not by now: where we are late, we haven't listened
            for each in [each for each in self._workers.values() if each.heard_at < silent]:
                self._lose(each, f"was silent for {messages.WORKER_LOST_S:g} s")

    def end(self, why: str, *, well: bool = False) -> None:
        """Send everybody home."""
        self._say_all(messages.OVER, {"why": why, "status": 0 if well else 1})
        gevent.sleep(HEARD_S)

    def _lose(self, worker: Known, why: str) -> None:
        complete = self.complete
        del self._workers[worker.client]
        if not complete:
            self._tell("left", worker.host)  # another may come
            return
        self._tell("lost", {"worker": worker.number, "host": worker.host, "why": why})
        self.end(f"the worker on {worker.host} {why}, and no other takes its place")

    def _carry_out(self, plan: str) -> None:
        """Hand out the slices, and name the start when everybody is ready."""
        workers = list(self._workers.values())
        for number, worker in enumerate(workers):
            worker.number, worker.ready, worker.problem = number, False, ""
            said = {"plan": plan, "number": number, "workers": self._wanted}
            self._say(worker, messages.PLAN, said)
        told = _within(READY_WITHIN_S, lambda: all(each.ready or each.problem for each in workers))
        for worker in workers:
            if worker.problem or not told:
                self._tell("unready", worker.problem or "not every worker was ready in time")
                return
        _ask_the_time(workers, self._say)
        if unknown := [worker.host for worker in workers if math.isinf(worker.way_s)]:
            why = f"{ROUNDS} questions for the time had no answer within {ANSWER_WITHIN_S:g} s each"
            self._tell("unready", f"the clock of {', '.join(unknown)} is not known: {why}")
            return
        began = time.monotonic() + LEAD_S + max(worker.way_s for worker in workers)
        for worker in workers:
            known_to_ms = round(500 * worker.way_s, 3)
            self._tell("clock", {"worker": worker.number, "known_to_ms": known_to_ms})
            self._say(worker, messages.BEGIN, {"at": began + worker.offset_s})
        self._began = began
        self._tell("start", began)

    def _end_climb(self) -> None:
        if self._began is not None:
            at_s = time.monotonic() - self._began + LEAD_S
            self._say_all(messages.END_CLIMB, {"at_s": at_s})

    def _hello(self, msg: Any, **_: Any) -> None:
        host, theirs = msg.data["host"], msg.data["version"]
        if theirs != messages.ours():
            why = f"this worker is of version {theirs}, and the gate of {messages.ours()}"
        elif self.complete:
            why = f"{self._wanted} other workers have come already"
        else:
            self._workers[msg.node_id] = Known(msg.node_id, host, time.monotonic())
            self._tell("came", host)
            return
        self._tell("refused", f"{host}: {why}")
        self._runner.send_message(messages.OVER, {"why": why, "status": 1}, msg.node_id)

    def _ready(self, msg: Any, **_: Any) -> None:
        if worker := self._of(msg):
            worker.problem, worker.ready = msg.data["problem"], not msg.data["problem"]

    def _clock(self, msg: Any, **_: Any) -> None:
        now, worker = time.monotonic(), self._of(msg)
        asked = worker.asked.pop(msg.data["number"], None) if worker else None
        if worker and asked is not None and now - asked < worker.way_s:
            worker.way_s = now - asked
            worker.offset_s = msg.data["now"] - (asked + now) / 2

    def _batch(self, msg: Any, **_: Any) -> None:
        if worker := self._of(msg):
            self._writer.tell("from", [worker.number, msg.data["number"]])
            self._writer.copy(msg.data["lines"])
            self._writer.flush()

    def _alive(self, msg: Any, **_: Any) -> None:
        self._of(msg)

    def _of(self, msg: Any) -> Known | None:
        """Who says this; whoever is heard lives."""
        worker = self._workers.get(msg.node_id)
        if worker is not None:
            worker.heard_at = time.monotonic()
        return worker

    def _tell(self, name: str, value: Any) -> None:
        self._writer.tell(name, value)
        self._writer.flush()

    def _say(self, worker: Known, name: str, said: Said) -> None:
        self._runner.send_message(name, said, worker.client)

    def _say_all(self, name: str, said: Said) -> None:
        for worker in list(self._workers.values()):
            self._say(worker, name, said)


def serve(host: str, port: int, workers: int, writer: Writer) -> int:
    """Lead so many workers; where nobody can listen there, that is told."""
    try:
        master = Master(host, port, workers, writer)
    except (RPCError, SystemExit) as failure:
        writer.tell("deaf", str(failure) if isinstance(failure, RPCError) else "the port is taken")
        writer.flush()
        return os.EX_UNAVAILABLE
    gevent.spawn(master.watch)
    return master.obey()


def _ask_the_time(workers: Sequence[Known], say: Callable[[Known, str, Said], None]) -> None:
    """Again and again, until the answers have told how their clocks differ from ours."""
    for number in range(ROUNDS):
        for worker in workers:
            worker.asked = {number: time.monotonic()}
            say(worker, messages.CLOCK, {"number": number})
        _within(ANSWER_WITHIN_S, lambda: not any(worker.asked for worker in workers))


def _within(seconds: float, happened: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        gevent.sleep(POLL_S)
    return happened()
