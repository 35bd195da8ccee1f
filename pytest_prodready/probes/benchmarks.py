"""What is benchmarked: a declared request, and checkouts of the service's own pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from pytest_prodready.environment.environment import Environment
from pytest_prodready.errors import ApplicationError
from pytest_prodready.probes.engine import service_engine
from pytest_prodready.probes.traffic import new_token, with_token
from pytest_prodready.settings import Request, Settings

ANSWER_WITHIN_S = 10.0
CHECKOUTS = 100  # at a time: one takes less than asking for it does
CHECKED_OUT_WITHIN_S = 30.0


@contextmanager
def asking(base_url: str, request: Request) -> Iterator[Callable[[], None]]:
    """Sends the request over one connection; raises ApplicationError for another answer than declared."""
    with httpx.Client(base_url=base_url, timeout=ANSWER_WITHIN_S, trust_env=False) as client:

        def ask() -> None:
            """Send it once."""
            token = new_token()
            filled = with_token(request, token)
            try:
                answer = client.request(filled.method, filled.path, json=filled.json_, headers=filled.headers)
            except httpx.HTTPError as failure:
                raise _not_as_declared(request, f"no answer ({type(failure).__name__})") from None
            if not request.accepts(answer.status_code):
                raise _not_as_declared(request, str(answer.status_code))
            if request.contains.replace("{token}", token).encode() not in answer.content:
                raise _not_as_declared(request, f"{answer.status_code} with another body")

        yield ask


@contextmanager
def checking_out(environment: Environment, settings: Settings) -> Iterator[Callable[[], None]]:
    """Takes a connection from the service's pool and gives it back; ApplicationError where it can't."""
    with service_engine(environment, settings) as engine:

        def check_out() -> None:
            """Do it as often as that."""
            ended = engine.checkouts(CHECKOUTS, CHECKED_OUT_WITHIN_S)
            if not ended.ok:
                why = "no connection in time" if ended.timed_out else ended.error_kind
                raise ApplicationError(
                    f"the pool gave no connection: {why}",
                    value=settings.service.engine,
                    source="[service] engine",
                )

        yield check_out


def _not_as_declared(request: Request, got: str) -> ApplicationError:
    wanted = ", ".join(map(str, request.expect)) or "2xx or 3xx"
    wanted += f" with {request.contains!r}" if request.contains else ""
    return ApplicationError(
        f"{request.label} got {got}, and {wanted} is declared: what is answered otherwise isn't timed",
        value=f"{request.method} {request.path}",
        source="[[requests]]",
    )
