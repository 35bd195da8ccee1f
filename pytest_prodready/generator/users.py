"""Locust's users: each sends what it is given, and our listener writes down what became of it."""

from __future__ import annotations

import select
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any, ClassVar

from locust import FastHttpUser, task  # first: it prepares what everything after it imports
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.runners import LocalRunner

# isort: split
import gevent
from gevent.monkey import get_original
from geventhttpclient.client import HTTPClientPool

from pytest_prodready.generator import answers
from pytest_prodready.generator.again import Ready, Request, all_ready, written_once
from pytest_prodready.generator.crew import Crew
from pytest_prodready.generator.plan import Plan
from pytest_prodready.generator.schedule import Slot
from pytest_prodready.generator.stream import Sample, Writer

NOTHING_SENT = "no user was free before its deadline"


@dataclass(slots=True)
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
            self.slot.number,
            self.slot.stage,
            self.ask,
            self.slot.at_s,
            self.started_s,
            ended_s,
            status,
            self.verdict,
            writer.error(self.why) if self.why else -1,
            int(self.waited),
            self.slot.write,
        )


class SentOnce(HTTPClientPool):
    """The connections that all users share; the client would send again what was reset, and hide that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._poll = get_original("select", "poll")()
        self._known: dict[tuple[str, str, int | None], Any] = {}

    def get_client(self, url: Any) -> Any:
        """The client of a server."""
        where = url.scheme, url.host, url.port
        if where not in self._known:
            self._known[where] = self._made(url)
        return self._known[where]

    def _made(self, url: Any) -> Any:
        client: Any = super().get_client(url)
        connections = client._connection_pool
        connections.size = -1  # it tries once more than this, and that is all it is used for
        connections._is_socket_alive = self._is_open
        client._build_request = written_once(client._build_request)
        return client

    def _is_open(self, connection: Any) -> bool:
        """Whether nothing has come on an idle connection, such as its end.

        The client's own way to see that lets all other users go first, and knows no more than 1024 files.
        """
        if connection.fileno() < 0:
            return False
        self._poll.register(connection.fileno(), select.POLLIN)
        came = self._poll.poll(0)
        self._poll.unregister(connection.fileno())
        return not came


class Cookies(CookieJar):
    """A user's cookies, which cost time only where there are any."""

    def add_cookie_header(self, request: Any) -> None:
        """Send what was set."""
        if len(self._cookies):  # type: ignore[attr-defined]
            super().add_cookie_header(request)

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep what is set."""
        if "set-cookie" in response.headers:
            super().extract_cookies(response, request)


class Sender(FastHttpUser):
    """A user who sends one request of the schedule after the other."""

    abstract = True
    insecure = False
    host = "http://127.0.0.1"  # each stage has its own
    crew: ClassVar[Crew]
    writer: ClassVar[Writer]
    ready: ClassVar[list[list[Ready]]]

    def on_start(self) -> None:
        """Come without cookies."""
        self.client.client.cookiejar = self.client.cookiejar = Cookies()
        self.client.client.request_type = Request  # type: ignore[misc]  # of this user alone

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
        ask, token = self._asked(slot)
        turn = Turn(slot, ask, started, waited)
        try:
            with gevent.Timeout(left):
                self._request(turn, token)
        except (Exception, gevent.Timeout) as failure:  # an answer that can't be read is none
            turn.verdict, turn.why = answers.NO_ANSWER, named(failure)
            self.writer.sample(turn.sample(self.writer, self.crew.now_s))

    def _asked(self, slot: Slot) -> tuple[int, str]:
        """What to ask for; a write can only be read back once there is one."""
        schedule = self.crew.schedule
        if schedule.plan.asks[slot.ask].kind != "read back":
            return slot.ask, slot.token
        if token := schedule.writes.one(self.crew.now_s):
            return slot.ask, token
        return schedule.instead_of(), slot.token

    def _request(self, turn: Turn, token: str) -> None:
        ready = self.ready[turn.slot.stage][turn.ask].with_token(token)
        self.client.request(
            ready.method,
            ready.url,
            name=ready.name,
            data=ready.body,
            headers=ready.headers,
            allow_redirects=False,
            context={"turn": turn, "token": token},
        )


class Answered(EventHook):
    """What Locust fires for each answer: it is judged and written down, and nothing else is made of it.

    Locust's own statistics, which nobody reads here, would cost more than all that is ours.
    """

    def __init__(self, crew: Crew, writer: Writer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._crew, self._writer = crew, writer

    def fire(self, *, reverse: bool = False, **told: Any) -> None:
        """One answer, or why there was none; what is raised here is its user's to catch."""
        turn, token, failure = told["context"]["turn"], told["context"]["token"], told["exception"]
        schedule, response = self._crew.schedule, told["response"]
        ended_s, status = turn.started_s + told["response_time"] / 1000, response.status_code
        if failure is not None and not isinstance(failure, LocustBadStatusCode):
            turn.verdict, turn.why, status = answers.NO_ANSWER, named(failure), 0
        elif not schedule.plan.stages[turn.slot.stage].null:
            ask = schedule.plan.asks[turn.ask]
            turn.verdict = answers.judged(ask, status, response.content or b"", token)
        if turn.slot.write >= 0 and turn.verdict == answers.RIGHT:
            schedule.writes.acknowledged(token, self._crew.now_s)
        self._writer.sample(turn.sample(self._writer, ended_s, status))


def runner_for(plan: Plan, crew: Crew, writer: Writer) -> LocalRunner:
    """Locust with our users, whose answers we alone hear of."""
    pool = SentOnce(
        concurrency=plan.users,
        connection_timeout=plan.deadline_s,
        network_timeout=None,  # each request has a deadline of its own
        ssl_context_factory=gevent.ssl.create_default_context,
    )
    user = type(
        "ScheduledUser",
        (Sender,),
        {"crew": crew, "writer": writer, "ready": all_ready(plan), "client_pool": pool},
    )
    made = Environment(user_classes=[user])
    runner = made.create_local_runner()
    made.events.request = Answered(crew, writer)  # after the runner, which listens for its statistics
    return runner


def named(failure: Any) -> str:
    """Why there was no answer, in a word or two; its text could hold addresses."""
    cause = getattr(failure, "original", None) or failure
    known = {
        "Timeout": answers.OUT_OF_TIME,
        "timeout": answers.OUT_OF_TIME,
        "TimeoutError": answers.OUT_OF_TIME,
        "ConnectionRefusedError": "connection refused",
        "ConnectionResetError": "connection reset",
        "BrokenPipeError": "connection reset",
        "HTTPConnectionClosed": "connection closed without an answer",
        "HTTPParseError": "an answer that isn't HTTP",
    }
    return known.get(type(cause).__name__, type(cause).__name__)
