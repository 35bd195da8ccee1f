"""Health bodies in the shapes of common frameworks, from literals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_prodready.checks.health_body import State, dependencies, is_json, state_of, tells_of

OK, FAILING, DEGRADED = State.OK, State.FAILING, State.DEGRADED

SHAPES: dict[str, tuple[Any, dict[str, State]]] = {
    "plain": (
        {
            "status": "ok",
            "checks": {"database": {"status": "ok", "latency_ms": 1.2}, "redis": {"status": "failing"}},
        },
        {"database": OK, "redis": FAILING},
    ),
    "words": ({"status": "ok", "dependencies": {"db": "up", "cache": "DOWN"}}, {"db": OK, "cache": FAILING}),
    "spring": (
        {
            "status": "DOWN",
            "components": {
                "db": {"status": "DOWN", "details": {"error": "x"}},
                "diskSpace": {"status": "UP", "details": {"total": 1, "free": 1}},
                "redis": {"status": "UP"},
            },
        },
        {"db": FAILING, "diskSpace": OK, "redis": OK},
    ),
    "spring hidden": ({"status": "UP", "groups": ["liveness", "readiness"]}, {}),
    "microprofile": (
        {
            "status": "DOWN",
            "checks": [
                {"name": "Database connections health check", "status": "DOWN"},
                {"name": "Redis connection health check", "status": "UP", "data": {"x": 1}},
            ],
        },
        {"Database connections health check": FAILING, "Redis connection health check": OK},
    ),
    "ietf": (
        {
            "status": "pass",
            "version": "1",
            "releaseId": "1.2.2",
            "checks": {
                "postgres:responseTime": [{"componentId": "1", "observedValue": 2, "status": "pass"}],
                "redis:connections": [{"status": "pass"}, {"status": "warn"}],
            },
        },
        {"postgres:responseTime": OK, "redis:connections": DEGRADED},
    ),
    "terminus": (
        {
            "status": "error",
            "info": {"redis": {"status": "up"}},
            "error": {"database": {"status": "down", "message": "x"}},
            "details": {"redis": {"status": "up"}, "database": {"status": "down"}},
        },
        {"redis": OK, "database": FAILING},
    ),
    "aspnet": (
        {
            "status": "Unhealthy",
            "entries": {"npgsql": {"status": "Unhealthy"}, "redis": {"status": "Healthy"}},
        },
        {"npgsql": FAILING, "redis": OK},
    ),
    "aspnet list": (
        {"status": "Degraded", "results": [{"key": "npgsql", "value": "Healthy"}]},
        {"npgsql": OK},
    ),
    "dropwizard": (
        {"postgresql": {"healthy": False, "message": "x"}, "deadlocks": {"healthy": True}},
        {"postgresql": FAILING, "deadlocks": OK},
    ),
    "django": (
        {"DatabaseBackend": "working", "Cache backend: default": "unavailable: gone"},
        {"DatabaseBackend": OK, "Cache backend: default": FAILING},
    ),
    "health-go": (
        {"status": "Service Unavailable", "failures": {"postgres": "timeout"}},
        {"postgres": FAILING},
    ),
    "flat booleans": ({"ok": True, "database": True, "redis": False}, {"database": OK, "redis": FAILING}),
    "own facts only": ({"status": "ok", "version": "1.4.2", "uptime": 12, "hostname": "a"}, {}),
    "list": ([{"name": "db", "status": "ok"}], {"db": OK}),
    "nothing": (None, {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shape(shape: str) -> None:
    """Each common shape gives its dependencies and their states."""
    body, expected = SHAPES[shape]
    assert dependencies(json.dumps(body)) == expected


@pytest.mark.parametrize("body", ["", "ok", "<html></html>", "{", '"ok"', "3"])
def test_no_json(body: str) -> None:
    """What isn't a JSON object or list names nothing, and nothing breaks."""
    assert dependencies(body) == {}
    assert not is_json(body)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("UP", OK),
        ("Out of Service", FAILING),
        ("out-of-service", FAILING),
        ("warn", DEGRADED),
        (True, OK),
        ("error: refused", FAILING),
        ("purple", None),
        (3, None),
        ({"ok": False}, FAILING),
        ([], None),
    ],
)
def test_state(value: Any, state: State | None) -> None:
    """Words, truth values and objects stand for a state, or for none."""
    assert state_of(value) is state


@pytest.mark.parametrize(
    ("name", "dependency"),
    [
        ("db", "database"),
        ("primary_db", "database"),
        ("PostgreSQL", "database"),
        ("npgsql", "database"),
        ("dataSource", "database"),
        ("SQLAlchemy", "database"),
        ("redis", "redis"),
        ("Cache backend: default", "redis"),
        ("valkey", "redis"),
        ("redis-db", "redis"),
    ],
)
def test_names(name: str, dependency: str) -> None:
    """Usual names mean their dependency, and only that one."""
    assert tells_of(dependency, name)
    assert not tells_of("redis" if dependency == "database" else "database", name)
