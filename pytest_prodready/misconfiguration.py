"""What is wrong with a prodready.toml, told so that a person can act on it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pytest_prodready.errors import ConfigError
from pytest_prodready.names import SMALLEST_FILE
from pytest_prodready.printable import may_be_secret
from pytest_prodready.settings import Settings

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The file's text and data, with where the values that were laid over it came from."""

    path: Path
    text: str
    data: dict[str, Any]
    sources: Mapping[tuple[str, ...], str]

    def source(self, key: Key) -> str:
        """Where this key's value came from: an option, a variable, or file and line."""
        names = tuple(str(part) for part in key)
        for length in range(len(names), 0, -1):
            if names[:length] in self.sources:
                return self.sources[names[:length]]
        line = line_of(self.text, key)
        return f"{self.path}:{line}" if line else str(self.path)


def line_of(text: str, key: Key) -> int | None:
    """The line (from 1) where a key of a TOML document stands, or its nearest parent's; None without any."""
    best: int | None = None
    table: tuple[str, ...] = ()
    arrays: dict[tuple[str, ...], int] = {}
    wanted = tuple(str(part) for part in key)
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = key_parts(heading[2])
            if heading[1] == "[[":
                arrays[table] = arrays.get(table, -1) + 1
                table = (*table, str(arrays[table]))
            here = table
        elif assigned := re.match(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=", line):
            here = (*table, *key_parts(assigned[1]))
        else:
            continue
        if here == wanted[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best


def key_parts(dotted: str) -> tuple[str, ...]:
    """The parts of a dotted key, without quotes."""
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def explained(document: Document, failure: ValidationError) -> ConfigError:
    """The error for what pydantic found: one problem, or all of them in one message."""
    problems = [_problem(document, error) for error in failure.errors(include_url=False)]
    if len(problems) == 1:
        return problems[0]
    text = "\n".join(problem.message for problem in problems)
    return ConfigError(f"{document.path.name} has {len(problems)} errors:\n{text}")


def _problem(document: Document, error: Any) -> ConfigError:
    key = _without_type_tags(error["loc"])
    dotted = dotted_key(key)
    source = document.source(key)
    if error["type"] == "extra_forbidden":
        nearest = nearest_name(str(key[-1]), known := _known_keys(key[:-1]))
        return ConfigError(
            f"unknown {'table' if len(key) == 1 else 'key'} {dotted}",
            value=_shown(key, error["input"]),
            source=source,
            remedy=nearest or f"remove it; known here: {', '.join(sorted(known))}",
        )
    if error["type"] == "missing":
        return ConfigError(
            f"{dotted} is missing",
            source=source,
            remedy=_missing_remedy(key),
        )
    return ConfigError(
        f"{dotted or document.path.name}: {_said(error)}",
        value=_shown(key, error["input"]),
        source=source,
    )


def _missing_remedy(key: Key) -> str:
    if key == ("service",):
        return "add a [service] table; the smallest useful file is:\n\n" + SMALLEST_FILE
    return f"add {key[-1]} = … to [{dotted_key(key[:-1])}]"


def _without_type_tags(location: Key) -> Key:
    """The location as a key of the file: pydantic adds parts for the members of a union."""
    key: Key = ()
    for part in location:
        tag = isinstance(part, str) and (part in _TAGS or part.startswith(("dict[", "lax-or-strict")))
        if not tag or part in _known_keys(key):
            key = (*key, part)
    return key


_TAGS = frozenset({"str", "int", "float", "bool", "path"})


def _said(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _shown(key: Key, value: Any) -> str | None:
    """The value as it may be printed: tables and what could hold a secret are not."""
    if isinstance(value, dict | list) or value is None:
        return None
    return "(not shown: it may hold a secret)" if may_be_secret(str(key[-1:])) else repr(value)


def dotted_key(key: Iterable[str | int]) -> str:
    """A key as the file writes it, such as requests[1].path."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _known_keys(key: Key) -> set[str]:
    model: Any = Settings
    for part in key:
        if isinstance(part, int):
            continue
        model = _model_in(_field_type(model, part))
        if model is None:
            return set()
    names = {field.alias or name for name, field in model.model_fields.items()}
    return names | {"profiles"} if model is Settings else names


def _field_type(model: type[BaseModel], name: str) -> Any:
    for field_name, info in model.model_fields.items():
        if name in (field_name, info.alias):
            return info.annotation
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, tuple):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """A question after the known name that is most like this one; None when none is."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else None


def listed(names: Iterable[str]) -> str:
    """The names in one line, sorted."""
    return ", ".join(sorted(names))
