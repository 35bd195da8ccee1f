"""Every rule, in checklist order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_prodready.findings import Rule
from pytest_prodready.rules import explain, failover, health, migration_traffic, pool, ssl

SUITES: Mapping[str, str] = MappingProxyType(
    {
        "ssl": "TLS to the database and to Redis, on the server's side and on the service's",
        "pool": "the database connection pool: size, exhaustion, leaks, locks, lost connections",
        "explain": "the statements that the service runs, their plans on production's sizes, its indexes",
        "failover": "what happens to the service when its database or cache fails, and comes back",
        "migration": "each step of a migration, up, down and up again, and while the service is in use",
        "health": "liveness, readiness and deep checks, optional dependencies, graceful shutdown",
    }
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.id: rule
        for rule in (
            *ssl.RULES,
            *pool.RULES,
            *explain.RULES,
            *failover.RULES,
            *migration_traffic.RULES,
            *health.RULES,
        )
    }
)
