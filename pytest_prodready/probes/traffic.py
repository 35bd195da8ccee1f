"""Requests to the service under test: bursts, single questions and steady streams, each with a deadline.

Every request uses a connection of its own: a reset of a reused keep-alive connection would be the client's
to retry, and so would not be evidence against the service.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from pytest_prodready.settings import Request

T = TypeVar("T")
BODY_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; `status` is None when no answer came, `error` then says why."""

    request: str
    status: int | None
    seconds: float
    expected: bool = False
    error: str = ""
    at_s: float = 0.0  # when it was sent, in seconds since the burst or stream began
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def refused_politely(self) -> bool:
        """Whether the service said that it is overloaded (503 or 429)."""
        return self.status in (429, 503)


class Flight:
    """Requests that are under way."""

    def __init__(self, future: Future[tuple[Answer, ...]], tasks: list[asyncio.Task[Answer]]) -> None:
        self._future = future
        self._tasks = tasks

    def join(self) -> tuple[Answer, ...]:
        """Wait for every answer; each request has a deadline, so this ends."""
        return self._future.result()

    @property
    def unanswered(self) -> int:
        """How many requests have neither an answer nor an error yet."""
        return sum(not task.done() for task in self._tasks)

    def abort(self) -> tuple[Answer, ...]:
        """Close the connections of all unanswered requests, as an impatient user does."""
        for task in self._tasks:
            task.get_loop().call_soon_threadsafe(task.cancel)
        return self.join()


class Traffic:
    """Sends the declared requests to one base URL from a thread of its own."""

    def __init__(self, base_url: str, requests: Sequence[Request] = ()) -> None:
        self.base_url = base_url
        self.requests = tuple(requests)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="prodready-traffic", daemon=True)
        self._thread.start()
        self._client = httpx.AsyncClient(
            base_url=base_url,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Close what is open and end the thread."""
        if self._loop.is_closed():
            return
        self._run(self._client.aclose()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def ask(self, path: str, deadline_s: float) -> Answer:
        """Send one GET and keep body and headers."""
        request = Request(path=path)
        return self._run(self._send(request, deadline_s, time.monotonic(), keep=True)).result()

    def send(self, request: Request, deadline_s: float, token: str = "") -> Answer:
        """Send one declared request and keep its body; `token` takes the place of `{token}`."""
        filled = with_token(request, token or new_token())
        return self._run(self._send(filled, deadline_s, time.monotonic(), keep=True)).result()

    def ask_all(self, requests: Sequence[Request], deadline_s: float) -> tuple[Answer, ...]:
        """Send these requests at once as they are, keep their bodies, and wait for all answers."""
        began = time.monotonic()

        async def launch() -> tuple[Answer, ...]:
            return await _gather(
                [asyncio.ensure_future(self._send(each, deadline_s, began, keep=True)) for each in requests]
            )

        return self._run(launch()).result()

    def burst(self, requests: Sequence[Request], count: int, deadline_s: float) -> tuple[Answer, ...]:
        """Send `count` requests at once, taking turns among those given, and wait for all answers."""
        return self.start(requests, count, deadline_s).join()

    def start(self, requests: Sequence[Request], count: int, deadline_s: float) -> Flight:
        """Send `count` requests at once, taking turns among those given, and don't wait."""
        turns = list(itertools.islice(itertools.cycle(requests), count))
        began = time.monotonic()

        async def launch() -> list[asyncio.Task[Answer]]:
            return [
                asyncio.ensure_future(self._send(with_token(request, new_token()), deadline_s, began))
                for request in turns
            ]

        tasks = self._run(launch()).result()
        return Flight(self._run(_gather(tasks)), tasks)

    @contextmanager
    def stream(
        self, requests: Sequence[Request], every_s: float, deadline_s: float
    ) -> Iterator[Callable[[], tuple[Answer, ...]]]:
        """Send a request every so often, on an open schedule, until the block ends.

        Yields a function that returns the answers so far; after the block it returns all of them.
        """
        tasks: list[asyncio.Task[Answer]] = []
        stop = threading.Event()
        began = time.monotonic()

        async def tick() -> None:
            for number, request in enumerate(itertools.cycle(requests)):
                await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
                if stop.is_set():
                    return
                filled = with_token(request, new_token())
                tasks.append(asyncio.ensure_future(self._send(filled, deadline_s, began, keep=True)))

        ticking = self._run(tick())

        def answers() -> tuple[Answer, ...]:
            return tuple(task.result() for task in list(tasks) if task.done())

        try:
            yield answers
        finally:
            stop.set()
            ticking.result()
            self._run(_gather(tasks)).result()

    async def _send(self, request: Request, deadline_s: float, began: float, *, keep: bool = False) -> Answer:
        sent = time.monotonic()
        at_s = sent - began
        try:
            async with asyncio.timeout(deadline_s):
                response = await self._client.request(
                    request.method,
                    request.path,
                    json=request.json_,
                    headers=request.headers,
                    timeout=None,
                )
        except asyncio.CancelledError:
            return Answer(request.label, None, time.monotonic() - sent, error="aborted", at_s=at_s)
        except TimeoutError:
            error = f"no answer within {deadline_s:g} s"
            return Answer(request.label, None, time.monotonic() - sent, error=error, at_s=at_s)
        except (httpx.HTTPError, OSError) as failure:
            return Answer(request.label, None, time.monotonic() - sent, error=_kind(failure), at_s=at_s)
        return Answer(
            request.label,
            response.status_code,
            time.monotonic() - sent,
            expected=request.accepts(response.status_code),
            at_s=at_s,
            body=response.text[:BODY_LIMIT] if keep else "",
            headers=tuple(response.headers.items()) if keep else (),
        )

    def _run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def new_token() -> str:
    """A word that no other request uses."""
    return f"prodready{secrets.token_hex(8)}"


def with_token(request: Request, token: str) -> Request:
    """The request with `{token}` filled in, wherever it stands."""
    if "{token}" not in request.model_dump_json(by_alias=True):
        return request
    path = request.path.replace("{token}", token)
    headers = {name: value.replace("{token}", token) for name, value in request.headers.items()}
    body = json.loads(json.dumps(request.json_).replace("{token}", token))
    changes = {"path": path, "headers": headers, "json_": body, "name": request.label}
    return request.model_copy(update=changes)


async def _gather(tasks: list[asyncio.Task[Answer]]) -> tuple[Answer, ...]:
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(answer for answer in done if isinstance(answer, Answer))


def _kind(failure: Exception) -> str:
    """The failure in a word or two; its text could hold addresses or fragments of secrets."""
    if isinstance(failure, httpx.ConnectError):
        return "connection refused"
    if isinstance(failure, httpx.RemoteProtocolError | httpx.ReadError):
        return "connection closed without an answer"
    return type(failure).__name__
