"""What clients are told: JSON in every case, and nothing of the insides in any."""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import DataError, IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobboard.outages import Unavailable, sqlstate
from jobboard.queries import Conflict
from jobboard.views import Uncounted

log = logging.getLogger(__name__)

UNIQUE_VIOLATION = "23505"


class Json(JSONResponse):
    """JSON with times in ISO 8601."""

    def render(self, content: Any) -> bytes:
        """Return the content as bytes."""
        return json.dumps(content, default=isoformat).encode()


def isoformat(value: object) -> str:
    """Return a time as text, for values that JSON doesn't know."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be written as JSON")


def error(status: int, problem: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return an answer that says what is wrong."""
    return JSONResponse({"error": problem, **more}, status_code=status, headers=headers)


def unavailable(problem: str) -> JSONResponse:
    """Return the answer to a request that may succeed a moment later."""
    return error(503, problem, {"Retry-After": "1"})


async def _http(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return error(problem.status_code, problem.detail.lower(), problem.headers)


async def _invalid(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, ValidationError)
    found = problem.errors(include_url=False, include_input=False, include_context=False)
    problems = [{"field": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in found]
    return error(422, "the request is invalid", details=problems)


async def _conflict(_: Request, problem: Exception) -> Response:
    return error(409, str(problem))


async def _integrity(_: Request, problem: Exception) -> Response:
    if sqlstate(problem) == UNIQUE_VIOLATION:
        return error(409, "this exists already")
    return error(422, "the request refers to something that doesn't exist")


async def _data(_: Request, __: Exception) -> Response:
    return error(422, "the request holds a value that can't be stored")


async def _unavailable(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Unavailable)
    seen = {"error": problem.cause, "sqlstate": problem.state, "reason": problem.reason}
    log.warning("database unavailable", extra=seen)
    return unavailable("the database is unavailable")


async def _uncounted(_: Request, __: Exception) -> Response:
    return unavailable("views can't be counted now")


async def _unexpected(_: Request, __: Exception) -> Response:
    return error(500, "internal error")


HANDLERS = {
    HTTPException: _http,
    ValidationError: _invalid,
    Conflict: _conflict,
    IntegrityError: _integrity,
    DataError: _data,
    Unavailable: _unavailable,
    Uncounted: _uncounted,
    Exception: _unexpected,
}
