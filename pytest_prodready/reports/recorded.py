"""Measurements in the evidence of findings, as the records that they were."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
# Once a kind: to make one takes much longer than to use it.
_adapter: Callable[[Any], TypeAdapter[Any]] = functools.cache(TypeAdapter)


def recorded(kind: type[T], evidence: Mapping[str, Any]) -> T | None:
    """This part of the evidence as such a record; None where it is one of another version."""
    try:
        found: T = _adapter(kind).validate_python(evidence)
    except ValidationError:
        return None  # better no picture than a wrong one
    return found
