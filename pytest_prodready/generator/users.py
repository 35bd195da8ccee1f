"""Locust's users: each sends what it is given, and our listener writes down what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from locust import FastHttpUser, task  # first: it prepares what everything after it imports
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.env import Environment
from locust.exception import StopUser

# isort: split
import gevent
from geventhttpclient.client import HTTPClientPool

from pytest_prodready.generator import answers
from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.plan import Ask, Plan
from pytest_prodready.generator.schedule import Slot
from pytest_prodready.generator.stream import Sample, Writer

NOTHING_SENT = "no user was free before its deadline"


@dataclass
class Turn:
    """One request under way, and what is known of it so far."""

    slot: Slot
    ask: int
    started_s: float
    waited: bool  # for a user
    verdict: int = answers.RIGHT
    why: str = ""  # there was no answer

    def sample(self, writer: Writer, ended_s: float, status: int = 0) -> Sample:
        """What became of it."""
        return Sample(
            number=self.slot.number,
            stage=self.slot.stage,
            ask=self.ask,
            intended_s=round(self.slot.at_s, 6),
            started_s=round(self.started_s, 6),
            ended_s=round(ended_s, 6),
            status=status,
            verdict=self.verdict,
            error=writer.error(self.why) if self.why else -1,
            busy=int(self.waited),
            write=self.slot.write,
        )


class SentOnce(HTTPClientPool):
    """The connections that all users share; the client would send again what was reset, and hide that."""

    def get_client(self, url: Any) -> Any:
        """The client of a server."""
        client = super().get_client(url)
        client._connection_pool.size = -1  # it tries once more than this, and that is all it is used for
        return client


class Sender(FastHttpUser):
    """A user who sends one request of the schedule after the other."""

    abstract = True
    insecure = False
    host = "http://127.0.0.1"  # each stage has its own
    crew: ClassVar[Crew]
    writer: ClassVar[Writer]

    @task
    def take_turns(self) -> None:
        """Send what is due until nothing is left."""
        while (turn := self.crew.next()) is not None:
            try:
                self._send(*turn)
            finally:
                self.crew.done()
        raise StopUser

    def _send(self, slot: Slot, waited: bool) -> None:
        schedule = self.crew.schedule
        started = self.crew.now_s
        left = slot.at_s + schedule.plan.deadline_s - started
        if schedule.dropped(slot):
            return
        if left <= 0:
            never = Turn(slot, slot.ask, started, True, answers.NEVER_SENT, NOTHING_SENT)
            self.writer.sample(never.sample(self.writer, started))
            return
        number, ask, token = self._asked(slot)
        turn = Turn(slot, number, started, waited)
        try:
            with gevent.Timeout(left), self._request(turn, ask, token) as response:
                self._judge(response, ask, token, turn)
        except (Exception, gevent.Timeout) as failure:  # an answer that can't be read is none
            turn.verdict, turn.why = answers.NO_ANSWER, named(failure)
            self.writer.sample(turn.sample(self.writer, self.crew.now_s))

    def _judge(self, response: Any, ask: Ask, token: str, turn: Turn) -> None:
        failure = response.request_meta["exception"]
        if failure is not None and not isinstance(failure, LocustBadStatusCode):
            turn.verdict, turn.why = answers.NO_ANSWER, named(failure)
        elif not self.crew.schedule.plan.stages[turn.slot.stage].null:
            turn.verdict = answers.judged(ask, response.status_code, response.content or b"", token)
        if turn.verdict != answers.RIGHT:
            response.failure(str(turn.verdict))
            return
        response.success()
        if turn.slot.write >= 0:
            self.crew.schedule.writes.acknowledged(token, self.crew.now_s)

    def _asked(self, slot: Slot) -> tuple[int, Ask, str]:
        """What to ask for; a write can only be read back once there is one."""
        schedule = self.crew.schedule
        ask = schedule.plan.asks[slot.ask]
        if ask.kind != "read back":
            return slot.ask, ask, slot.token
        if token := schedule.writes.one(self.crew.now_s):
            return slot.ask, ask, token
        other = schedule.instead_of(ask)
        return other, schedule.plan.asks[other], slot.token

    def _request(self, turn: Turn, ask: Ask, token: str) -> Any:
        url = self.crew.schedule.plan.stages[turn.slot.stage].url
        body = None if ask.json is None else json.dumps(ask.json).replace("{token}", token)
        headers = {name: value.replace("{token}", token) for name, value in ask.headers.items()}
        if body is not None and "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
        return self.client.request(
            ask.method,
            url + ask.path.replace("{token}", token),
            name=ask.label,
            data=body,
            headers=headers,
            allow_redirects=False,
            catch_response=True,
            context={"turn": turn},
        )


def environment(plan: Plan, crew: Crew, writer: Writer) -> Environment:
    """Locust with our users and our listener."""
    pool = SentOnce(
        concurrency=plan.users,
        connection_timeout=plan.deadline_s,
        network_timeout=plan.deadline_s,
        ssl_context_factory=gevent.ssl.create_default_context,
    )
    user = type("ScheduledUser", (Sender,), {"crew": crew, "writer": writer, "client_pool": pool})
    made = Environment(user_classes=[user])

    def written(*, response: Any, response_time: float, context: Any, **_: Any) -> None:
        turn: Turn = context["turn"]
        ended_s = turn.started_s + response_time / 1000
        status = 0 if turn.verdict == answers.NO_ANSWER else response.status_code
        writer.sample(turn.sample(writer, ended_s, status))

    made.events.request.add_listener(written)  # type: ignore[no-untyped-call]
    return made


def named(failure: Any) -> str:
    """Why there was no answer, in a word or two; its text could hold addresses."""
    cause = getattr(failure, "original", None) or failure
    known = {
        "Timeout": "no answer in time",
        "timeout": "no answer in time",
        "TimeoutError": "no answer in time",
        "ConnectionRefusedError": "connection refused",
        "ConnectionResetError": "connection reset",
        "BrokenPipeError": "connection reset",
        "HTTPConnectionClosed": "connection closed without an answer",
        "HTTPParseError": "an answer that isn't HTTP",
    }
    return known.get(type(cause).__name__, type(cause).__name__)
