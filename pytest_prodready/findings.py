"""Rules, findings and verdicts: the words in which the gate speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What is known about a rule after it was tried; the order is from best to worst."""

    PASSED = "passed"
    WAIVED = "waived"
    UNVERIFIED = "unverified"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


class Level(StrEnum):
    """How much a rule weighs.

    A failed must or should fails the run. A must that isn't verified fails it as well, a should is only
    reported then. Info never fails: it is advice with the numbers of this service.
    """

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Capability(StrEnum):
    """What a rule needs before it can be tried; rules never ask for a backend by its name."""

    SERVICE = "service"  # [service]: an address that answers
    PROCESS = "process"  # the service was started by us, so it can be stopped and started again
    DATABASE = "database"  # a Postgres that the service uses
    REDIS = "redis"  # a Redis that the service uses
    REDIS_OPTIONAL = "redis-optional"  # [redis] optional = true: the service promises to live without it
    REDIS_DISPENSABLE = "redis-dispensable"  # redis-optional, or a request that is cacheable
    REDIS_TLS = "redis-tls"  # [redis] tls = true
    FAULT_PROXY = "fault-proxy"  # the service reaches its servers through proxies
    ADMIN = "admin"  # a superuser's connection to the database
    DESTRUCTIVE = "destructive"  # the servers are ours, or the user allowed harm
    REQUESTS = "requests"  # [[requests]]: the service's traffic
    ERROR_REQUESTS = "error-requests"  # [[requests]] that expect an error (4xx or 5xx)
    CACHEABLE = "cacheable"  # [[requests]] cacheable = true: Redis only makes it faster
    COUNTER = "counter"  # [failover] counter: a number in Redis
    WRITES = "writes"  # [writes]: a create and its read_back
    POOL = "pool"  # [pool] size
    ENGINE = "engine"  # [service] engine: the pool, in process
    LIVENESS = "liveness"  # [health] liveness
    READINESS = "readiness"  # [health] readiness
    DEEP = "deep"  # [health] deep
    STANDBY = "standby"  # [failover] standby: a standby of the gate's own can be promoted
    PLAN_DATA = "plan-data"  # [explain] rows, seed or statistics, and a Postgres of the gate's
    MIGRATION = "migration"  # [migration] tool, upgrade or files, and a Postgres of the gate's
    MIGRATION_COMMAND = "migration-command"  # [migration] tool or upgrade: what runs in production
    MIGRATION_HISTORY = "migration-history"  # its revisions can be listed
    MIGRATION_DOWNGRADE = "migration-downgrade"  # it has a way down
    PREVIOUS_CODE = "previous-code"  # [migration] previous: the service as it was before the newest step
    MIGRATION_CHECK = "migration-check"  # its models can be held against the schema
    RESTORING = "restoring"  # what a backup is restored by can do no harm
    RTO = "rto"  # [backup] rto_s and database_gb
    LOAD = "load"  # [load] expected_rps
    VALIDATORS = "validators"  # [[requests]] contains, or [writes]: what a right answer holds
    REPLICA = "replica"  # the service is told of a replica: {postgres.replica_url}
    SERVER_HBA = "server-hba"  # [postgres] hba, or an external server
    SERVER_SETTINGS = "server-settings"  # [postgres] settings, or an external server
    PHYSICAL = "physical"  # [postgres] settings, for a Postgres of the gate's
    POINT_IN_TIME = "point-in-time"  # and [backup] point_in_time
    SERVER_CERTIFICATE = "server-certificate"  # [postgres] certificate, or an external server


@dataclass(frozen=True, slots=True)
class Rule:
    """One claim about a service that is ready for production, and how it is proven."""

    id: str
    claim: str
    why: str
    how: str
    remedy: str
    level: Level
    checklist: str
    needs: frozenset[Capability] = frozenset()
    limits: str = ""  # the prodready.toml key that sets its limit, such as "[pool] refuse_within_s"

    @property
    def suite(self) -> str:
        """The suite it belongs to: the part of its id before the dot."""
        return self.id.partition(".")[0]

    def passed(self, summary: str, **details: Any) -> Finding:
        """The rule holds, by this evidence."""
        return self._finding(Verdict.PASSED, summary, details)

    def failed(self, summary: str, **details: Any) -> Finding:
        """The rule is broken, by this evidence."""
        return self._finding(Verdict.FAILED, summary, details)

    def inconclusive(self, summary: str, **details: Any) -> Finding:
        """The measurement can't tell, and says why."""
        return self._finding(Verdict.INCONCLUSIVE, summary, details)

    def unverified(self, summary: str, **details: Any) -> Finding:
        """Something isn't configured, so the rule was not tried."""
        return self._finding(Verdict.UNVERIFIED, summary, details)

    def _finding(self, verdict: Verdict, summary: str, details: Mapping[str, Any]) -> Finding:
        known = {"limit", "limits", "evidence", "change"}
        if unknown := set(details) - known:
            raise TypeError(f"a finding has {sorted(known)}, not {sorted(unknown)}")
        return Finding(rule=self, verdict=verdict, summary=summary, **details)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one rule.

    `summary` is the one line of evidence ("seen"), `limit` what it was held against in words, `limits` the
    same as numbers by setting name, `evidence` the measurement as JSON, `change` this case's own remedy
    where it is more exact than the rule's.
    """

    rule: Rule
    verdict: Verdict
    summary: str
    limit: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    change: str = ""
    missing: tuple[Capability, ...] = ()
    waived_by: str = ""

    @property
    def remedy(self) -> str:
        """What to change: the case's own advice, or the rule's."""
        return self.change or self.rule.remedy

    def with_evidence(self, evidence: Mapping[str, Any]) -> Finding:
        """The same finding with this measurement as its evidence."""
        return replace(self, evidence=evidence)

    def waived(self, note: str) -> Finding:
        """The same finding, accepted by a named person for a written reason."""
        return replace(self, verdict=Verdict.WAIVED, waived_by=note)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of several verdicts; none at all is unverified, because no data is never a pass."""
    order = list(Verdict)
    return max(verdicts, key=order.index) if verdicts else Verdict.UNVERIFIED
