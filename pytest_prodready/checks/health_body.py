"""Read what a deep check says of each dependency, in whichever common shape it says it.

Understood are Spring's actuator (components), MicroProfile (a list of checks), IETF health+json (checks as
an object of lists), Terminus (info, error, details), ASP.NET (entries, results), Dropwizard and Django
(flat), health-go (failures only), and plain objects such as
{"status": "ok", "checks": {"database": {"status": "ok"}}}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from pytest_prodready.checks.health_words import words


class State(StrEnum):
    """The state of one dependency; the order is from best to worst."""

    OK = "ok"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    FAILING = "failing"


_OK = """
    ok okay up pass passed passing healthy green available ready connected alive good success successful
    succeeded serving online reachable working operational normal running true yes fine active
"""
_DEGRADED = "warn warning degraded yellow slow partial impaired"
_FAILING = """
    fail failed failing failure error down unhealthy red unavailable not_ready notready disconnected critical
    dead false offline unreachable out_of_service not_serving timeout timed_out refused no broken bad inactive
    not_connected not_available
"""
_UNKNOWN = "unknown unchecked skipped starting"
_WORDS: Mapping[str, State] = {
    **dict.fromkeys(_OK.split(), State.OK),
    **dict.fromkeys(_UNKNOWN.split(), State.UNKNOWN),
    **dict.fromkeys(_DEGRADED.split(), State.DEGRADED),
    **dict.fromkeys(_FAILING.split(), State.FAILING),
}
_STATUS_KEYS = words("status state health healthy ok up success result outcome available")
_CONTAINERS = frozenset(
    words("""
    checks components dependencies entries details results services info error errors failures data indicators
    resources subsystems health healthchecks
    """)
)
_BAD_CONTAINERS = ("error", "errors", "failures")
_NAME_KEYS = words("name key id component componentname componentid service dependency")
_NO_DEPENDENCY = frozenset(
    words("""
    version releaseid serviceid description notes output message timestamp time date uptime hostname duration
    totalduration app environment env debug live liveness ready readiness enabled maintenance
    """)
) | {*_STATUS_KEYS, *_NAME_KEYS}
_DATABASE_HINTS = words("""
    database postgres pgsql sql datasource jdbc prisma typeorm sequelize activerecord ecto hikari r2dbc
    dbcontext efcore persistence jpa hibernate
    """)
_INSIDES = words(
    """
    pool migration schema disk memory heap cpu ping thread deadlock liveness readiness uptime ssl refreshscope
    """
)
KNOWN = ("database", "redis")
_REDIS_HINTS = ("redis", "cache", "valkey", "lettuce", "keyvalue", "kv")


def dependencies(body: str) -> dict[str, State]:
    """The state of each dependency that the body names; empty when it isn't JSON or names none."""
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    found: dict[str, State] = {}
    for name, state in _named(data):
        found[name] = _worse(found.get(name), state)
    return found


def is_json(body: str) -> bool:
    """Whether the body is a JSON object or list."""
    try:
        return isinstance(json.loads(body), dict | list)
    except ValueError:
        return False


def tells_of(dependency: str, name: str) -> bool:
    """Whether the name that a service uses means this dependency (database or redis)."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    if any(hint in plain for hint in _REDIS_HINTS):
        return dependency == "redis"
    if dependency != "database":
        return False
    # Two letters alone are too short to be looked for in the midst of a word.
    return plain.startswith(("db", "pg")) or plain.endswith("db") or any(h in plain for h in _DATABASE_HINTS)


def is_insides(name: str) -> bool:
    """Whether the name means a part of the process or of its machine, and no server that it depends on."""
    plain = name.lower()
    return any(word in plain for word in _INSIDES)


def state_of(value: Any) -> State | None:
    """The state that a value stands for; None when it is none."""
    if isinstance(value, bool):
        return State.OK if value else State.FAILING
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, Mapping):
        lowered = {str(key).lower(): each for key, each in value.items()}
        for key in _STATUS_KEYS:
            if key in lowered and (state := state_of(lowered[key])) is not None:
                return state
        return None
    if isinstance(value, list):
        states = [state for each in value if (state := state_of(each)) is not None]
        return max(states, key=list(State).index, default=None)
    return None


def _word(text: str) -> State | None:
    plain = "_".join(text.strip().lower().replace("-", " ").replace("_", " ").split())
    if plain in _WORDS:
        return _WORDS[plain]
    first = plain.split("_")[0].rstrip(":,.;")
    return _WORDS.get(first) if plain.startswith(f"{first}:") else None


def _worse(one: State | None, other: State) -> State:
    return other if one is None else max(one, other, key=list(State).index)


def _named(data: Any) -> Iterator[tuple[str, State]]:
    if isinstance(data, list):
        yield from _listed(data)
    if not isinstance(data, Mapping):
        return
    containers = [
        (str(key).lower(), value)
        for key, value in data.items()
        if str(key).lower() in _CONTAINERS and isinstance(value, Mapping | list)
    ]
    found = [each for name, value in containers for each in _contained(name, value)]
    yield from found or _flat(data)


def _contained(container: str, value: Any) -> Iterator[tuple[str, State]]:
    if isinstance(value, list):
        yield from _listed(value)
        return
    for name, each in value.items():
        state = state_of(each)
        if container in _BAD_CONTAINERS:
            yield str(name), State.FAILING if state in (None, State.OK, State.UNKNOWN) else state
        elif state is not None and str(name).lower() not in _STATUS_KEYS:
            yield str(name), state
        elif isinstance(each, Mapping) and str(name).lower() in _CONTAINERS:
            yield from _contained(str(name).lower(), each)


def _listed(items: list[Any]) -> Iterator[tuple[str, State]]:
    for each in items:
        if not isinstance(each, Mapping):
            continue
        lowered = {str(key).lower(): value for key, value in each.items()}
        name = next((lowered[key] for key in _NAME_KEYS if isinstance(lowered.get(key), str)), None)
        state = state_of(each) or state_of(lowered.get("value"))
        if name is not None and state is not None:
            yield name, state


def _flat(data: Mapping[str, Any]) -> Iterator[tuple[str, State]]:
    for name, value in data.items():
        if str(name).lower() not in _NO_DEPENDENCY and (state := state_of(value)) is not None:
            yield str(name), state
