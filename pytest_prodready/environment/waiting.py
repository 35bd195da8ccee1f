"""Waiting until the service under test is ready."""

from __future__ import annotations

import http.client

from pytest_prodready.environment.ports import LOOPBACK, answers
from pytest_prodready.environment.service import Endpoint

ANSWER_WITHIN_S = 5.0


class Readiness:
    """Asks a service on loopback whether it is ready: by its path, else by its port alone."""

    def __init__(self, port: int, path: str | None) -> None:
        self.endpoint = Endpoint(LOOPBACK, port)
        self.path = path
        self.last_answer = "none"

    def reached(self) -> bool:
        """Whether it is ready now; remembers by which of the two loopback addresses."""
        for host in (LOOPBACK, "::1"):
            endpoint = Endpoint(host, self.endpoint.port)
            if answers(endpoint) and (self.path is None or self._says_yes(endpoint, self.path)):
                self.endpoint = endpoint
                return True
        return False

    @property
    def unknown_path(self) -> bool:
        """Whether the service answers, but knows no such path, or not for GET."""
        return self.last_answer in ("status 404", "status 405")

    def __str__(self) -> str:
        if self.path is None:
            return f"port {self.endpoint.port}, where nothing listened"
        return f"GET {self.path} on port {self.endpoint.port}, last answer: {self.last_answer}"

    def _says_yes(self, endpoint: Endpoint, path: str) -> bool:
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
