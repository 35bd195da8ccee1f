"""The fault proxy's API: by HTTP, and by the package `toxiproxy` on top of that."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import toxiproxy
import toxiproxy.api

from pytest_prodready.errors import ProdreadyError


class FaultProxyError(ProdreadyError):
    """The fault proxy can't be reached, or refuses what it was asked."""

    status: int | None = None  # of the answer; None where there was none


class UnsupportedFault(FaultProxyError):
    """A fault that this fault proxy can't inject: what it lacks, and why."""

    def __init__(self, extension: str, reason: str, source: str) -> None:
        self.extension = extension
        self.reason = reason
        super().__init__(
            "The fault proxy can't inject this fault.",
            value=f"{extension}: {reason}",
            source=source,
            tried=["GET /prodready/extensions"],
            remedy=f'Ask `supports("{extension}")` first, and skip what needs it.',
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What `toxiproxy` wants to see of a response of `requests`."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.content)


class Http:
    """The server's API by HTTP, with what `toxiproxy` lacks: timeouts, and errors that tell what came back.

    It can stand in for the module `requests` there.
    """

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self.url = f"http://{host}:{port}"

    def get(self, url: str, **_: object) -> Answer:
        """Send GET."""
        return self.ask("GET", url)

    def delete(self, url: str, **_: object) -> Answer:
        """Send DELETE."""
        return self.ask("DELETE", url)

    def post(self, url: str, json: object = None, **_: object) -> Answer:
        """Send POST."""
        return self.ask("POST", url, json)

    def ask(self, method: str, url: str, body: object = None) -> Answer:
        """Send a request; an error status is an error."""
        path = quote(url.removeprefix(self.url))
        asked = f"{method} {path}" + (f" {json.dumps(body)}" if body is not None else "")
        try:
            answer = self._exchange(method, path, json.dumps(body) if body is not None else None)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(asked, error) from error
        if answer.status_code >= http.client.BAD_REQUEST:
            raise self._refused(asked, answer)
        return answer

    def _exchange(self, method: str, path: str, body: str | None) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            connection.request(
                method, path, body, {"Content-Type": "application/json", "Connection": "close"}
            )
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def _unreachable(self, asked: str, error: Exception) -> FaultProxyError:
        return FaultProxyError(
            "The fault proxy gave no answer.",
            value=f"{type(error).__name__}: {error}",
            source=self.url,
            tried=[f"{asked}, waiting up to {self.timeout_s:g} s"],
            remedy="See that the fault proxy runs at this address, and wasn't stopped meanwhile.",
        )

    def _refused(self, asked: str, answer: Answer) -> FaultProxyError:
        error = FaultProxyError(
            f"The fault proxy refused with status {answer.status_code}.",
            value=answer.content.decode("utf-8", "replace").strip(),
            source=self.url,
            tried=[asked],
        )
        error.status = answer.status_code
        return error


_LIBRARY = threading.RLock()


@contextmanager
def library(http_api: Http) -> Iterator[toxiproxy.Toxiproxy]:
    """The package `toxiproxy`, turned to one server.

    The address is global to the package, and no call of it has a timeout; so each use sets both, one at a
    time, and then puts back what others may have set.
    """
    consumer = toxiproxy.api.APIConsumer
    with _LIBRARY:
        before = consumer.host, consumer.port, toxiproxy.api.requests
        server = toxiproxy.Toxiproxy()
        server.update_api_consumer(http_api.host, http_api.port)
        toxiproxy.api.requests = http_api
        try:
            yield server
        finally:
            consumer.host, consumer.port, toxiproxy.api.requests = before


@contextmanager
def then(undo: Callable[[], None]) -> Iterator[None]:
    """Undo a fault at the end; where the body fails too, its error stays the one that is raised."""
    try:
        yield
    except BaseException as error:
        try:
            undo()
        except FaultProxyError as failed:
            error.add_note(f"A fault could not be undone: {failed}")
        raise
    undo()
