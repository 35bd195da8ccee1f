"""Read prodready.toml, lay profile, environment variables and options over it, and validate the result."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pytest_prodready.catalogue import RULES, SUITES
from pytest_prodready.errors import ConfigError
from pytest_prodready.names import SMALLEST_FILE, VARIABLE_PREFIX
from pytest_prodready.settings import Settings

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Values laid over the file, each with the place it came from (an option or a variable)."""

    values: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    sources: Mapping[tuple[str, ...], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Document:
    """The file's text and data, with what was laid over it."""

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


def load(
    path: Path,
    *,
    profile: str | None = None,
    variables: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
) -> Settings:
    """Read one prodready.toml; raises ConfigError for all that is wrong with it, in one message."""
    document = _read(path)
    data = _with_profile(document, profile)
    overlay = _overlay(variables or {}, assignments)
    for key, value in overlay.values.items():
        _assign(data, key, value, overlay.sources[key])
    document = _Document(path, document.text, data, overlay.sources)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as failure:
        raise _explain(document, failure) from None
    _check_rule_names(document, settings)
    return settings


def line_of(text: str, key: Key) -> int | None:
    """The line (from 1) where a key of a TOML document stands, or its nearest parent's; None without any."""
    best: int | None = None
    table: tuple[str, ...] = ()
    arrays: dict[tuple[str, ...], int] = {}
    wanted = tuple(str(part) for part in key)
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if heading := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = _parts(heading[2])
            if heading[1] == "[[":
                arrays[table] = arrays.get(table, -1) + 1
                table = (*table, str(arrays[table]))
            here = table
        elif assigned := re.match(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=", line):
            here = (*table, *_parts(assigned[1]))
        else:
            continue
        if here == wanted[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _read(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it isn't UTF-8 text"
        raise ConfigError(f"{path.name} can't be read: {reason}", source=str(path)) from None
    try:
        return _Document(path, text, tomllib.loads(text), {})
    except tomllib.TOMLDecodeError as failure:
        place = re.search(r"line (\d+)", str(failure))
        source = f"{path}:{place[1]}" if place else str(path)
        raise ConfigError(
            f"{path.name} isn't valid TOML: {failure}",
            source=source,
            remedy="mend this line; strings need quotes, and a table starts with [name]",
        ) from None


def _with_profile(document: _Document, profile: str | None) -> dict[str, Any]:
    data = dict(document.data)
    profiles = data.pop("profiles", {})
    if profile is None:
        return data
    if not isinstance(profiles, dict) or profile not in profiles:
        raise ConfigError(
            "there is no such profile",
            value=profile,
            source=f"--prodready-profile; {document.path} has {_listed(profiles) or 'no profiles'}",
            remedy=_nearest(profile, profiles) or f"add a table [profiles.{profile}]",
        )
    return _merged(data, profiles[profile])


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        old = result.get(name)
        result[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _overlay(variables: Mapping[str, str], assignments: Sequence[str]) -> Overlay:
    values: dict[tuple[str, ...], Any] = {}
    sources: dict[tuple[str, ...], str] = {}
    for name, text in sorted(variables.items()):
        if name.startswith(VARIABLE_PREFIX) and "__" in name:
            key = tuple(name.removeprefix(VARIABLE_PREFIX).lower().split("__"))
            values[key], sources[key] = _value(text), f"environment variable {name}"
    for assignment in assignments:
        dotted, equals, text = assignment.partition("=")
        if not equals or not dotted.strip():
            raise ConfigError(
                "an assignment needs the form table.key=value",
                value=assignment,
                source="--prodready-set",
                remedy="for example --prodready-set pool.size=20",
            )
        key = _parts(dotted.strip())
        values[key], sources[key] = _value(text.strip()), f"--prodready-set {dotted.strip()}"
    return Overlay(values, sources)


def _value(text: str) -> Any:
    """A TOML value where the text is one (20, true, [1, 2]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(data: dict[str, Any], key: tuple[str, ...], value: Any, source: str) -> None:
    here = data
    for name in key[:-1]:
        inner = here.get(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{'.'.join(key)} is not a table's key", value=value, source=source)
        here[name] = dict(inner)
        here = here[name]
    here[key[-1]] = value


def _explain(document: _Document, failure: ValidationError) -> ConfigError:
    problems = [_problem(document, error) for error in failure.errors(include_url=False)]
    if len(problems) == 1:
        return problems[0]
    text = "\n".join(problem.message for problem in problems)
    return ConfigError(f"{document.path.name} has {len(problems)} errors:\n{text}")


def _problem(document: _Document, error: Any) -> ConfigError:
    key = _without_type_tags(error["loc"])
    dotted = _dotted(key)
    source = document.source(key)
    if error["type"] == "extra_forbidden":
        nearest = _nearest(str(key[-1]), known := _known_keys(key[:-1]))
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
    return f"add {key[-1]} = … to [{_dotted(key[:-1])}]"


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
    if any(word in str(key[-1:]).lower() for word in ("url", "password", "secret", "token", "key")):
        return "(not shown: it may hold a secret)"
    return repr(value)


def _dotted(key: Iterable[str | int]) -> str:
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


def _nearest(name: str, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _check_rule_names(document: _Document, settings: Settings) -> None:
    """Bypasses and waivers must name rules (or, for a bypass, a suite) that exist."""
    named: list[tuple[Key, str]] = [(("bypass", rule), rule) for rule in settings.bypass]
    named += [(("waivers", number, "rule"), each.rule) for number, each in enumerate(settings.waivers)]
    for key, rule in named:
        if rule not in RULES and not (key[0] == "bypass" and rule in SUITES):
            raise ConfigError(
                f"{_dotted(key[:1])} names a rule that doesn't exist",
                value=rule,
                source=document.source(key),
                remedy=_nearest(rule, RULES) or "pytest --prodready-rules lists them all",
            )
