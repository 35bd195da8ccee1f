"""Waiting until the service under test is ready."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Sequence

from pytest_prodready.environment.ports import answers
from pytest_prodready.environment.service import Endpoint

ANSWER_WITHIN_S = 5.0
HUNG_UP_WITHIN_S = 0.2


def comes_true(condition: Callable[[], bool], within_s: float, every_s: float = 0.01) -> bool:
    """Whether the condition comes true in time; it is asked at least once."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def stays(endpoint: Endpoint) -> bool:
    """Whether something accepts a connection there and doesn't hang up at once.

    An engine that publishes a port accepts connections before anything listens behind it.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=1.0) as connection:
            connection.settimeout(HUNG_UP_WITHIN_S)
            return connection.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


class Readiness:
    """Asks a service whether it is ready: by its path, else by its port alone."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        path: str | None,
        listens: Callable[[Endpoint], bool] = answers,
    ) -> None:
        self.endpoint = endpoints[0]
        self.path = path
        self.last_answer = "none"
        self._endpoints = tuple(endpoints)
        self._listens = listens

    def reached(self) -> bool:
        """Whether it is ready now; remembers by which of its addresses."""
        for endpoint in self._endpoints:
            if self._listens(endpoint) if self.path is None else self._says_yes(endpoint, self.path):
                self.endpoint = endpoint
                return True
        return False

    @property
    def unknown_path(self) -> bool:
        """Whether the service answers, but knows no such path, or not for GET."""
        return self.last_answer in ("status 404", "status 405")

    @property
    def answered(self) -> bool:
        """Whether it has ever said anything."""
        return self.last_answer.startswith("status")

    def __str__(self) -> str:
        if self.path is None:
            return f"port {self.endpoint.port}, where nothing listened"
        return f"GET {self.path} on port {self.endpoint.port}, last answer: {self.last_answer}"

    def _says_yes(self, endpoint: Endpoint, path: str) -> bool:
        if not answers(endpoint):
            return False
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            self.last_answer = f"{type(error).__name__}: {error}"
            return False
        finally:
            connection.close()
        self.last_answer = f"status {status}"
        return 200 <= status < 300
