"""What Locust's own marking makes of a request: a success, or a failure and why."""

from __future__ import annotations

from typing import Any

from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

from pytest_prodready.generator.answers import NO_ANSWER, OUT_OF_TIME, RIGHT, WRONG_STATUS
from pytest_prodready.generator.users import named

LEAST_ERROR = 400
NAMES = {
    "ReadTimeout": OUT_OF_TIME,
    "ConnectTimeout": OUT_OF_TIME,
    "ReadTimeoutError": OUT_OF_TIME,
    "ConnectTimeoutError": OUT_OF_TIME,
    "NewConnectionError": "connection refused",
    "RemoteDisconnected": "connection closed without an answer",
    "BadStatusLine": "an answer that isn't HTTP",
    "CatchResponseError": "no answer, marked as failed",
    "str": "no answer, marked as failed",
}


def marked(exception: Any, response: Any) -> tuple[int, int, str]:
    """Verdict, status (0: no answer), and words where the status alone doesn't say why."""
    told = getattr(response, "status_code", 0)
    status = int(told) if isinstance(told, int) else 0  # a client that isn't Locust's has words of its own
    if not exception:
        return RIGHT, status, ""
    if status >= LEAST_ERROR:
        return WRONG_STATUS, status, ""
    if status and not _broke_off(exception):
        return WRONG_STATUS, status, f"{status}, but marked as failed"
    return NO_ANSWER, 0, _cause(getattr(response, "error", None) or exception)


def _broke_off(exception: Any) -> bool:
    """Whether its answer never came to its end; any other exception is what the locustfile made of it."""
    return isinstance(exception, FAILURE_EXCEPTIONS) and not isinstance(exception, ValueError)


def _cause(failure: Any) -> str:
    """Why there was no answer: clients wrap what has happened several times."""
    while (inner := next(filter(_is_failure, _inside(failure)), None)) is not None:
        failure = inner
    return NAMES.get(type(failure).__name__) or named(failure)


def _inside(failure: Any) -> tuple[Any, ...]:
    return (
        getattr(failure, "original", None),
        getattr(failure, "reason", None),
        *getattr(failure, "args", ()),
    )


def _is_failure(value: Any) -> bool:
    return isinstance(value, BaseException)
