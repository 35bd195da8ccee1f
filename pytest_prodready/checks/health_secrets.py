"""Search health answers for what they must not tell: credentials, addresses, paths, errors, versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks import health_patterns as patterns
from pytest_prodready.checks.health_body import state_of
from pytest_prodready.findings import Finding
from pytest_prodready.probes.health import Healthy
from pytest_prodready.probes.health_answers import Said
from pytest_prodready.probes.health_cache import CacheLoss
from pytest_prodready.probes.health_loss import Loss

SHOWN = 60  # characters of what was found


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that a health answer shouldn't have told."""

    kind: str
    text: str
    where: str  # "readiness, refused"

    def __str__(self) -> str:
        return f"{self.kind} ({self.text})" if self.text else self.kind


def tells_no_secrets(healthy: Healthy, losses: Sequence[Loss], cache: CacheLoss) -> Finding:
    """No health answer, in good times and in bad, tells what only insiders should know."""
    rule = RULES["health.tells-no-secrets"]
    said = [*healthy.said, *(each for loss in losses for each in loss.said), *cache.said]
    if not said:
        return rule.inconclusive("no health path gave any answer that could be searched")
    found = dict.fromkeys(leak for each in said for leak in leaks(each, healthy))
    phases = list(dict.fromkeys(each.phase for each in said))
    limit = "no credential, host, version or error's text"
    if not found:
        told = f"{len(said)} different answers ({', '.join(phases)}) hold no secret, host, version or error"
        return rule.passed(told, limit=limit)
    kinds: dict[str, Leak] = {}
    for leak in found:
        kinds.setdefault(leak.kind, leak)
    summary = "; ".join(f"{leak.where} told {leak}" for leak in list(kinds.values())[:4])
    change = ""
    if set(kinds) == {"a version in a header"}:
        change = "Remove the version from that header (uvicorn --no-server-header, server_tokens off)."
    return rule.failed(summary, limit=limit, change=change)


def leaks(said: Said, healthy: Healthy) -> Iterator[Leak]:
    """What one answer tells too much."""
    where = f"{said.check} ({said.phase})"
    for name in said.secrets:
        yield Leak("a known secret", name, where)
    body = said.body.replace("\\/", "/")
    if healthy.own_address:
        body = body.replace(healthy.own_address, "")  # links to itself tell what the client knows
    yield from (Leak(kind, text, where) for kind, text in _in_text(body, healthy))
    yield from (Leak(kind, text, where) for kind, text in _in_json(said.body, healthy))
    for name, value in said.headers:
        yield from (Leak(kind, text, where) for kind, text in _in_header(name.lower(), value, healthy))


def _in_text(text: str, healthy: Healthy) -> Iterator[tuple[str, str]]:
    for kind, pattern in patterns.TEXTS:
        if match := pattern.search(text):
            yield kind, _shown(match.group())
    if match := patterns.ADDRESS.search(text) or _first_private(text):
        yield "an address", _shown(match.group())
    elif known := next((each for each in healthy.addresses if each in text), None):
        yield "an address", known
    if match := patterns.NAMED_VERSION.search(text):
        yield "a version", _shown(match.group())


def _first_private(text: str) -> re.Match[str] | None:
    """A private address; four numbers after a word for a version are none (10.0.0.1 may be both)."""
    for match in patterns.PRIVATE.finditer(text):
        before = text[max(0, match.start() - 16) : match.start()]
        if not patterns.BEFORE_A_VERSION.search(before):
            return match
    return None


def _in_json(body: str, healthy: Healthy) -> Iterator[tuple[str, str]]:
    try:
        data = json.loads(body)
    except ValueError:
        return
    for path, value in _values(data, ()):
        key, above = path[-1].lower(), [part.lower() for part in path[:-1]]
        if _is_version(key, above, value, healthy):
            yield "a version", _shown(f"{'.'.join(path)} {value}")
        elif above and re.sub(r"[^a-z]", "", key) in patterns.HOST_KEYS and _is_host(value):
            yield "a host", _shown(f"{'.'.join(path)} {value}")


def _is_version(key: str, above: Sequence[str], value: str, healthy: Healthy) -> bool:
    """Whether it is the version of a dependency or of the runtime, and not the application's own."""
    if value in healthy.server_versions:
        return True
    if key in patterns.SOFTWARE:
        return patterns.VERSION.fullmatch(value.strip()) is not None
    words = {word for part in (key, *above) for word in re.split(r"[^a-z0-9]+", part)}
    named = patterns.VERSION_KEY.search(key) and patterns.VERSION.search(value)
    return bool(named) and bool(words & patterns.PARTS)


def _is_host(value: str) -> bool:
    return state_of(value) is None and patterns.HOST.fullmatch(value) is not None


def _in_header(name: str, value: str, healthy: Healthy) -> Iterator[tuple[str, str]]:
    if name in patterns.TALKATIVE and (patterns.VERSION.search(value) or re.search(r"/\d", value)):
        yield "a version in a header", _shown(f"{name}: {value}")
    if patterns.ASP_VERSION.fullmatch(name):
        yield "a version in a header", _shown(f"{name}: {value}")
    if name not in patterns.HARMLESS:
        for kind, text in _in_text(value, healthy):
            if kind != "a version":
                yield kind, _shown(f"{name}: {text}")


def _values(data: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in the body, with the keys that lead to it."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _values(value, (*path, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _values(value, path)
    elif path and isinstance(data, str):
        yield path, data


def _shown(text: str) -> str:
    """What was found, short, and without what could be a password."""
    text = re.sub(r"(?i)(password\s*[=:]\s*)[^\s\"',}]+", r"\1…", text)
    text = re.sub(r"(://[^\s/:@\"']*):[^\s@\"']+@", r"\1:…@", " ".join(text.split()))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
