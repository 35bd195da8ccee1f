"""Whether an answer is what was asked for: its status, its content, and its shape."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_prodready.generator.plan import Ask, Shape

ERROR_KEYS = frozenset({"error", "errors", "exception", "traceback", "stacktrace"})
OUT_OF_TIME = "no answer in time"
RIGHT, WRONG_STATUS, NO_ANSWER, WRONG_CONTENT, HIDDEN_ERROR, NEVER_SENT = range(6)


def accepts(ask: Ask, status: int) -> bool:
    """Whether this is the declared status; without one, any 2xx or 3xx is."""
    return status in ask.expect if ask.expect else 200 <= status < 400


def judged(ask: Ask, status: int, body: bytes, token: str) -> int:
    """The verdict on an answer that came."""
    if not accepts(ask, status):
        return WRONG_STATUS
    if ask.shape is not None and not _of_shape(ask.shape, body):
        return HIDDEN_ERROR
    wanted = token if ask.kind == "read back" else ask.contains.replace("{token}", token)
    return WRONG_CONTENT if wanted and wanted.encode() not in body else RIGHT


def shape_of(bodies: Iterable[bytes]) -> Shape | None:
    """What these answers have in common; None where there are none, or no two of them are alike."""
    seen = [(_parsed(body), body) for body in bodies]
    types = {_type(value) for value, _ in seen}
    if len(types) != 1:
        return None
    keys: set[str] = set.intersection(*(_keys(value) for value, _ in seen))
    found = [bool(body) for _, body in seen]
    return Shape(types.pop(), tuple(sorted(keys)), all(found), empty=not any(found))


def _of_shape(shape: Shape, body: bytes) -> bool:
    if not body:
        return not shape.body
    if shape.empty:
        return False
    if not shape.type:
        return True
    value = _parsed(body)
    keys = _keys(value)
    if any(value[key] for key in keys & ERROR_KEYS - set(shape.keys)):
        return False
    # Some keys may be left out where they have no value; an answer that has none of them is another one.
    return _type(value) == shape.type and bool(not shape.keys or keys & set(shape.keys))


class _NoJson:
    """What can't be read as JSON."""


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return _NoJson()


def _type(value: Any) -> str:
    if isinstance(value, _NoJson):
        return ""
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "value"


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()
