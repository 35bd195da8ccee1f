"""Answers of the API that say no."""

from __future__ import annotations


class ApiError(Exception):
    """A request that is answered with an error status and a reason."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class ListenError(ApiError):
    """An address that can't be parsed, resolved or listened on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 500)


def bad_body(reason: str) -> ApiError:
    """The request's JSON is malformed or of the wrong type."""
    return ApiError(f"bad request body: {reason}", 400)


def missing_field(name: str) -> ApiError:
    """A required field is absent or empty."""
    return ApiError(f"missing required field: {name}", 400)


def proxy_not_found() -> ApiError:
    """There is no proxy of that name."""
    return ApiError("proxy not found", 404)


def proxy_exists() -> ApiError:
    """A proxy of that name is there already."""
    return ApiError("proxy already exists", 409)


def toxic_not_found() -> ApiError:
    """The proxy has no toxic of that name."""
    return ApiError("toxic not found", 404)


def toxic_exists() -> ApiError:
    """The proxy has a toxic of that name, in one of its two streams."""
    return ApiError("toxic already exists", 409)


def invalid_stream() -> ApiError:
    """The stream is neither upstream nor downstream."""
    return ApiError("stream was invalid, can be either upstream or downstream", 400)


def invalid_toxic_type() -> ApiError:
    """No toxic of that type exists."""
    return ApiError("invalid toxic type", 400)


def not_here(what: str, reason: str) -> ApiError:
    """An extension that this system doesn't allow."""
    return ApiError(f"{what} is not available here: {reason}", 501)
