"""Read prodready.toml, lay profile, environment variables and options over it, and validate the result."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_prodready.catalogue import RULES, SUITES
from pytest_prodready.errors import ConfigError
from pytest_prodready.idle_keys import Layers, check_idle_keys
from pytest_prodready.misconfiguration import (
    Document,
    Key,
    dotted_key,
    explained,
    key_parts,
    listed,
    nearest_name,
)
from pytest_prodready.names import VARIABLE_PREFIX
from pytest_prodready.settings import Settings

WAYS_TO_START = frozenset({"command", "image", "build", "url"})


@dataclass(frozen=True, slots=True)
class Overlay:
    """Values laid over the file, each with the place it came from (an option or a variable)."""

    values: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    sources: Mapping[tuple[str, ...], str] = field(default_factory=dict)


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
    data = _without_rivals(data, {key[1] for key in overlay.values if key[0] == "service" and len(key) == 2})
    for key, value in overlay.values.items():
        _assign(data, key, value, overlay.sources[key])
    read, document = document, Document(path, document.text, data, overlay.sources)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as failure:
        raise explained(document, failure) from None
    _check_rule_names(document, settings)
    told = Document(path, read.text, read.data, overlay.sources)
    check_idle_keys(Layers(told, profile, _load_tables(read, profile, overlay)), settings)
    return settings


def _load_tables(read: Document, profile: str | None, overlay: Overlay) -> list[dict[str, Any]]:
    """[load] of the file, of the profile, and of what is laid over both."""
    above = read.data["profiles"][profile].get("load", {}) if profile is not None else {}
    laid: dict[str, Any] = {}
    for key, value in overlay.values.items():
        if key == ("load",) and isinstance(value, dict):
            laid |= value
        elif key[0] == "load" and len(key) > 1:
            laid[str(key[1])] = value
    return [read.data.get("load", {}), above, laid]


def _read(path: Path) -> Document:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else "it isn't UTF-8 text"
        raise ConfigError(f"{path.name} can't be read: {reason}", source=str(path)) from None
    try:
        return Document(path, text, tomllib.loads(text), {})
    except tomllib.TOMLDecodeError as failure:
        place = re.search(r"line (\d+)", str(failure))
        source = f"{path}:{place[1]}" if place else str(path)
        raise ConfigError(
            f"{path.name} isn't valid TOML: {failure}",
            source=source,
            remedy="mend this line; strings need quotes, and each table stands once, below its [name]",
        ) from None


def _with_profile(document: Document, profile: str | None) -> dict[str, Any]:
    data = dict(document.data)
    profiles = data.pop("profiles", {})
    if profile is None:
        return data
    if not isinstance(profiles, dict) or profile not in profiles:
        raise ConfigError(
            "there is no such profile",
            value=profile,
            source=f"--prodready-profile; {document.path} has {listed(profiles) or 'no profiles'}",
            remedy=nearest_name(profile, profiles) or f"add a table [profiles.{profile}]",
        )
    return _merged(_without_rivals(data, profiles[profile].get("service", {})), profiles[profile])


def _without_rivals(data: dict[str, Any], above: Iterable[str]) -> dict[str, Any]:
    """The data without its own way to start the service where [service] above it gives another."""
    given, below = WAYS_TO_START.intersection(above), data.get("service")
    if not given or not isinstance(below, dict):
        return data
    dropped = set(WAYS_TO_START - given)
    if "build" not in given:
        dropped.add("build_args")
    if given & {"image", "build"} and "engine" not in below:
        dropped.add("cwd")  # the command's
    return {**data, "service": {key: value for key, value in below.items() if key not in dropped}}


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
        key = key_parts(dotted.strip())
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


def _check_rule_names(document: Document, settings: Settings) -> None:
    """Bypasses and waivers must name rules (or, for a bypass, a suite) that exist."""
    named: list[tuple[Key, str]] = [(("bypass", rule), rule) for rule in settings.bypass]
    named += [(("waivers", number, "rule"), each.rule) for number, each in enumerate(settings.waivers)]
    for key, rule in named:
        if rule not in RULES and not (key[0] == "bypass" and rule in SUITES):
            raise ConfigError(
                f"{dotted_key(key[:1])} names a rule that doesn't exist",
                value=rule,
                source=document.source(key),
                remedy=nearest_name(rule, RULES) or "pytest --prodready-rules lists them all",
            )
