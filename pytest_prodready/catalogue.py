"""Every rule, in checklist order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_prodready.findings import Rule
from pytest_prodready.rules import (
    backup,
    explain,
    failover,
    health,
    load,
    migration,
    migration_traffic,
    pool,
    ssl,
)

SUITES: Mapping[str, str] = MappingProxyType(
    {
        "ssl": "TLS to the database and to Redis, on the server's side and on the service's",
        "pool": "the database connection pool: size, exhaustion, leaks, locks, lost connections",
        "explain": "the statements that the service runs, their plans on production's sizes, its indexes",
        "failover": "what happens to the service when its database or cache fails, and comes back",
        "migration": "changes of the schema: each step up and down with data, failures, two deploys at once",
        "backup": "backups of the database, their restore, and what is lost on the way",
        "load": "ten times the expected load: errors, times, lost writes, the pool, growth, recovery",
        "health": "liveness, readiness and deep checks, optional dependencies, graceful shutdown",
    }
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.id: rule
        for suite in (ssl, pool, explain, failover, migration, migration_traffic, backup, load, health)
        for rule in suite.RULES
    }
)
