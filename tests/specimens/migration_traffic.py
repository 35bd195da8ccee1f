"""Defects of a migration in use: the job board with one more step that is written without care."""

from __future__ import annotations

from typing import Any

from tests.specimens import Specimen, Swap

STEP = "migrations/versions/0004_careless.py"
MIGRATE, SEED = "{python} -m alembic upgrade", "{python} -m jobboard.seed --rows 500"
LAST: dict[str, Any] = {"migration.traffic_steps": 1}  # the others are as healthy as ever
# Rows come from the seed, which doesn't know the new step yet.
SEEDED_BEFORE = {**LAST, "service.setup": [f"{MIGRATE} 0003", SEED, f"{MIGRATE} head"]}
STALLS = ("migration.reads-not-stalled", "migration.writes-not-stalled")
SCRIPT = '''
"""A step that is written without care."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Change the tables."""
    for statement in {statements!r}:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back."""
'''


def step(*statements: str) -> dict[str, str]:
    """One more step with these statements, in one transaction."""
    return {STEP: SCRIPT.format(statements=statements)}


SPECIMENS = (
    Specimen(
        name="migration-locks-a-table-for-long",
        breaks="migration.reads-not-stalled",
        says="ms while the migration held its locks (SELECT pg_sleep(0.9))",
        also=frozenset({"migration.writes-not-stalled", "migration.nothing-more-under-access-exclusive"}),
        files=step("LOCK TABLE jobs", "SELECT pg_sleep(0.9)"),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.no-table-rewrite"),
    ),
    Specimen(
        name="migration-keeps-writers-out",
        breaks="migration.writes-not-stalled",
        says="writes of jobs waited",
        files=step("LOCK TABLE jobs IN SHARE MODE", "SELECT pg_sleep(0.9)"),
        settings=LAST,
        still_passes=("migration.reads-not-stalled", "migration.nothing-more-under-access-exclusive"),
    ),
    Specimen(
        name="migration-waits-in-the-queue-for-ever",
        breaks="migration.lock-timeout",
        says="on jobs behind a transaction left open (no lock_timeout in its session), and others",
        changes="SET lock_timeout",
        swaps=(Swap("migrations/env.py", "LOCK_TIMEOUT_MS = 250", "LOCK_TIMEOUT_MS = 0"),),
        settings=LAST,
        still_passes=(*STALLS, "migration.constraints-validated-apart"),
    ),
    Specimen(
        name="migration-adds-a-volatile-default",
        breaks="migration.no-table-rewrite",
        says="0004 writes jobs anew, here 20,000 rows",
        files=step("ALTER TABLE jobs ADD COLUMN rank double precision NOT NULL DEFAULT random()"),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.constraints-validated-apart"),
    ),
    Specimen(
        name="migration-changes-a-type",
        breaks="migration.no-table-rewrite",
        says="0004 writes applications anew, here 60,000 rows",
        files=step("ALTER TABLE applications ALTER COLUMN rating TYPE integer"),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.indexes-built-concurrently"),
    ),
    Specimen(
        name="migration-builds-an-index-under-a-lock",
        breaks="migration.indexes-built-concurrently",
        says="0004 builds jobs_posted_idx on jobs (20,000 rows here) under SHARE",
        changes="CREATE INDEX CONCURRENTLY jobs_posted_idx ON jobs",
        files=step("CREATE INDEX jobs_posted_idx ON jobs (posted_at)"),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.no-table-rewrite"),
    ),
    Specimen(
        name="migration-checks-a-constraint-at-once",
        breaks="migration.constraints-validated-apart",
        says="0004 searches jobs (20,000 rows here) for constraint jobs_region_check under ACCESS EXCLUSIVE",
        changes="ADD CONSTRAINT jobs_region_check … NOT VALID",
        files=step("ALTER TABLE jobs ADD CONSTRAINT jobs_region_check CHECK (region <> '')"),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.no-table-rewrite"),
    ),
    Specimen(
        name="migration-requires-a-column-at-once",
        breaks="migration.constraints-validated-apart",
        says="for NOT NULL of rating under ACCESS EXCLUSIVE",
        changes="CHECK (rating IS NOT NULL) NOT VALID",
        files=step(
            "UPDATE applications SET rating = 3 WHERE rating IS NULL",
            "ALTER TABLE applications ALTER COLUMN rating SET NOT NULL",
        ),
        settings=SEEDED_BEFORE,
        still_passes=("migration.no-table-rewrite", "migration.indexes-built-concurrently"),
    ),
    Specimen(
        name="migration-fills-a-column-under-its-lock",
        breaks="migration.nothing-more-under-access-exclusive",
        says="0004 runs UPDATE jobs SET words = length(description) for",
        files=step(
            "ALTER TABLE jobs ADD COLUMN words integer", "UPDATE jobs SET words = length(description)"
        ),
        settings=LAST,
        still_passes=("migration.lock-timeout", "migration.no-table-rewrite"),
    ),
    Specimen(
        name="migration-drops-a-column",
        breaks="migration.static-hazards",
        says="0004: ban-drop-column (ALTER TABLE jobs DROP COLUMN request_digest)",
        changes="two deploys",
        files=step("ALTER TABLE jobs DROP COLUMN request_digest"),
        settings=LAST,
        still_passes=(*STALLS, "migration.lock-timeout"),
    ),
    Specimen(
        name="migration-renames-a-column-in-use",
        breaks="migration.old-code-keeps-working",
        says="requests to the previous code fail with 0004: list afterwards (status 500)",
        changes="Expand first, contract later",
        also=frozenset({"migration.static-hazards"}),
        files=step("ALTER TABLE jobs RENAME COLUMN posted_at TO published_at"),
        settings=SEEDED_BEFORE,
        still_passes=(*STALLS, "migration.lock-timeout"),
    ),
    Specimen(
        name="migration-requires-what-old-code-leaves-out",
        breaks="migration.old-code-keeps-working",
        says="1 of 4 requests to the previous code fail with 0004: POST /jobs afterwards (status 422)",
        files=step(
            "ALTER TABLE jobs ADD COLUMN salary integer NOT NULL DEFAULT 0",
            "ALTER TABLE jobs ALTER COLUMN salary DROP DEFAULT",
        ),
        settings=SEEDED_BEFORE,
        still_passes=("migration.no-table-rewrite", "migration.constraints-validated-apart"),
    ),
)
