"""What stands in front of every request: the access log, a deadline, a limit of size, and its client."""

import asyncio
import logging
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobboard.answers import error, unavailable

log = logging.getLogger("jobboard.access")


class AccessLog:
    """Logs each answer, and adds the headers that all answers share."""

    def __init__(self, app: ASGIApp, draining: Callable[[], bool]) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request and log it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()
        # Stays if no answer was ever begun: the client had gone.
        status = 499

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            status = 500
            raise
        finally:
            ms = round((time.perf_counter() - started) * 1000, 1)
            # Without the query: it may hold what somebody searched for.
            seen = {"method": scope["method"], "path": scope["path"][:200], "status": status, "ms": ms}
            log.info("request", extra=seen)

    def _complete(self, headers: MutableHeaders) -> None:
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        if self._draining():
            # Clients that keep connections open then leave before the listener closes.
            headers["Connection"] = "close"


class Guard:
    """Ends the work on a request at its deadline, and when its client has gone."""

    def __init__(self, app: ASGIApp, deadline_s: float, max_body_bytes: int) -> None:
        self._app = app
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, unless its time, its size or its client says otherwise."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._deadline_s):
                await self._serve(scope, receive, sending)
        except TimeoutError:
            if not begun:
                await unavailable("the request took too long")(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive, self._max_body_bytes)
        if body is None:
            return
        if len(body) > self._max_body_bytes:
            refusal = error(413, "the request body is too large")
            return await refusal(scope, receive, send)
        work = asyncio.ensure_future(self._app(scope, _replay(body, receive), send))
        # The body is complete, so that all which can still arrive is the client's departure.
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if not work.cancelled():
            work.result()


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the body, cut off beyond the most that is accepted, or None if the client went away."""
    body = b""
    while len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _replay(body: bytes, receive: Receive) -> Receive:
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return rest.pop() if rest else await receive()

    return replayed
