"""From a finding to what it does to the run: capabilities, bypasses, waivers, softened verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import date
from enum import StrEnum

from pytest_prodready.findings import Capability, Finding, Level, Rule, Verdict
from pytest_prodready.options import Options
from pytest_prodready.settings import Settings, Waiver

MISSING_LINES: dict[Capability, str] = {
    Capability.SERVICE: '[service]\nname = "…"\ncommand = "…"',
    Capability.PROCESS: '[service]\ncommand = "…"   # a service that we start can also be stopped',
    Capability.DATABASE: '[service]\nenv = { DATABASE_URL = "{postgres.url}" }',
    Capability.REDIS: '[service]\nenv = { REDIS_URL = "{redis.url}" }',
    Capability.REDIS_OPTIONAL: "[redis]\noptional = true   # where the service serves without it",
    Capability.REDIS_DISPENSABLE: "[redis]\noptional = true   # or cacheable = true in some of [[requests]]",
    Capability.REDIS_TLS: "[redis]\ntls = true",
    Capability.FAULT_PROXY: "(a server of our own: remove url from [postgres] or [redis])",
    Capability.ADMIN: '[postgres]\nadmin_url = "postgresql://…"   # a superuser',
    Capability.DESTRUCTIVE: "(--prodready-allow-destructive, since these servers are yours)",
    Capability.REQUESTS: '[[requests]]\npath = "/jobs?limit=20"',
    Capability.ERROR_REQUESTS: '[[requests]]\npath = "/jobs/0"\nexpect = 404',
    Capability.CACHEABLE: '[[requests]]\npath = "/jobs/1"\ncacheable = true   # Redis only makes it faster',
    Capability.COUNTER: (
        '[failover]\ncounter = { increment = { method = "POST", path = "/jobs/1/views" },'
        ' read = { path = "/jobs/1/views" } }'
    ),
    Capability.WRITES: (
        '[writes]\ncreate = { method = "POST", path = "/jobs", json = { title = "{token}" } }\n'
        'read_back = { path = "/jobs?title={token}" }'
    ),
    Capability.POOL: "[pool]\nsize = 10   # connections of one process, overflow included",
    Capability.ENGINE: '[service]\nengine = "jobboard.db:make_engine"   # Python only',
    Capability.LIVENESS: '[health]\nliveness = "/health/live"',
    Capability.READINESS: '[health]\nreadiness = "/health/ready"',
    Capability.DEEP: '[health]\ndeep = "/health/deep"',
    Capability.STANDBY: '[failover]\nstandby = "synchronous"   # or "asynchronous", as in production',
    Capability.PLAN_DATA: (
        "[explain]\n"
        "rows = { jobs = 100_000 }   # as production has; what is missing is generated\n"
        'seed = "python seed.py"   # or a command that fills the database\n'
        'statistics = "stats.sql"   # or those of pg_dump --statistics-only'
    ),
    Capability.MIGRATION: '[migration]\ntool = "alembic"   # or upgrade = "npx prisma migrate deploy"',
    Capability.MIGRATION_COMMAND: '[migration]\nupgrade = "…"   # beside files: what production runs',
    Capability.MIGRATION_HISTORY: (
        '[migration]\nfiles = "drizzle"   # beside upgrade: its SQL files, such as prisma/migrations\n'
        'revisions = "…"   # or a command that prints them, the oldest first, for upgrade with {revision}'
    ),
    Capability.MIGRATION_DOWNGRADE: '[migration]\ndowngrade = "…"   # to {revision}, or by one step',
    Capability.PREVIOUS_CODE: '[migration]\nprevious = "…"   # the command of the service as it was before',
    Capability.MIGRATION_CHECK: (
        '[migration]\ncheck = "python manage.py makemigrations --check"   # fails when models differ'
    ),
    Capability.RESTORING: (
        "(commands of [backup] need a service with a command, which runs as a process; where the server is"
        " yours, they need --prodready-allow-destructive too)"
    ),
    Capability.RTO: "[backup]\nrto_s = 3600\ndatabase_gb = 50   # production's",
    Capability.LOAD: "[load]\nexpected_rps = 20   # on a usual day; ten times that is tried",
    Capability.VALIDATORS: '[[requests]]\npath = "/jobs/1"\ncontains = \'"id": 1\'   # or [writes]',
    Capability.REPLICA: '[service]\nenv = { REPLICA_DATABASE_URL = "{postgres.replica_url}" }',
    Capability.SERVER_HBA: '[postgres]\nhba = "deploy/pg_hba.conf"   # production\'s rules',
    Capability.SERVER_SETTINGS: '[postgres]\nsettings = "deploy/postgresql.conf"   # production\'s settings',
    Capability.PHYSICAL: '[postgres]\nsettings = "deploy/postgresql.conf"   # production\'s settings',
    Capability.POINT_IN_TIME: "[backup]\npoint_in_time = true   # where production archives its WAL",
    Capability.SERVER_CERTIFICATE: (
        '[postgres]\ncertificate = "deploy/postgres-chain.pem"   # production\'s, the public part\n'
        'ca = "deploy/ca.pem"\nserver_name = "db.example.internal"'
    ),
}


def lines_to_add(missing: Iterable[Capability]) -> list[str]:
    """The lines of prodready.toml that provide what is missing, each table once; notes come last."""
    tables: dict[str, list[str]] = {}
    notes: list[str] = []
    for number, capability in enumerate(sorted(missing, key=list(Capability).index)):
        heading, *lines = MISSING_LINES[capability].splitlines()
        if not heading.startswith("["):
            notes.append(heading)
            continue
        several = heading.startswith("[[")  # each of these is a table of its own
        tables.setdefault(f"{heading}{number}" if several else heading, []).extend(lines)
    text: list[str] = []
    for heading, lines in tables.items():
        text += ["", heading.rstrip("0123456789"), *_one_env(lines)]
    return [*text[1:], *notes]


def _one_env(lines: list[str]) -> list[str]:
    """The lines with all variables in one `env`, and each other key once."""
    envs = [line for line in lines if line.startswith("env =")]
    variables = [line.removeprefix("env = { ").removesuffix(" }") for line in envs]
    others = {line.partition(" =")[0]: line for line in lines if line not in envs}
    return [*([f"env = {{ {', '.join(variables)} }}"] if variables else []), *others.values()]


class Outcome(StrEnum):
    """What a verdict does to its test."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    SKIP = "skip"


def bypassed(rule: Rule, settings: Settings) -> Finding | None:
    """The finding of a rule that [bypass] takes out, by its name or its suite's; None when it stays."""
    reason = settings.bypass.get(rule.id) or settings.bypass.get(rule.suite)
    return None if reason is None else rule.unverified("taken out by [bypass]").waived(f"[bypass] {reason}")


def lacking(rule: Rule, capabilities: Set[Capability]) -> Finding | None:
    """The finding of a rule that can't be tried for want of something; None when nothing is missing."""
    missing = tuple(sorted(rule.needs - capabilities))
    if not missing:
        return None
    finding = rule.unverified(f"not tried: needs {', '.join(missing)}")
    return Finding(rule=rule, verdict=finding.verdict, summary=finding.summary, missing=missing)


def waived(finding: Finding, waivers: Iterable[Waiver], today: date) -> Finding:
    """The finding after waivers: a live one accepts what isn't passed, an expired one fails it."""
    waiver = next((each for each in waivers if each.rule == finding.rule.id), None)
    if waiver is None or finding.verdict is Verdict.PASSED:
        return finding
    note = f"{waiver.reason} ({waiver.approver}, until {waiver.expires})"
    if today <= waiver.expires:
        return finding.waived(note)
    summary = f"{finding.summary}; its waiver expired on {waiver.expires}"
    return Finding(
        rule=finding.rule,
        verdict=Verdict.FAILED,
        summary=summary,
        limit=finding.limit,
        limits=finding.limits,
        evidence=finding.evidence,
        change=finding.change,
        missing=finding.missing,
    )


def outcome(finding: Finding, options: Options) -> Outcome:
    """What the finding does to its test."""
    if finding.verdict is Verdict.PASSED:
        return Outcome.PASS
    if finding.verdict is Verdict.WAIVED or finding.rule.level is Level.INFO:
        return Outcome.SKIP
    if finding.verdict is Verdict.INCONCLUSIVE:
        return Outcome.SKIP if options.inconclusive == "skip" else Outcome.FAIL
    if finding.verdict is Verdict.UNVERIFIED:
        soft = options.unverified == "skip" or finding.rule.level is not Level.MUST
        return Outcome.SKIP if soft else Outcome.FAIL
    return Outcome.FAIL
