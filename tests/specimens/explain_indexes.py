"""Defects of indexes and sequences: the job board with one of its migrations done wrong, or its data."""

from __future__ import annotations

from tests.specimens import Specimen, Swap

TABLES = "migrations/versions/0001_tables.py"
SOUND = ("explain.indexes-valid", "explain.sequences-last")
DISTRICT_INDEX = '    op.create_index("jobs_title_idx", "jobs", ["title"])\n'
MIGRATE, SEED = "{python} -m alembic upgrade head", "{python} -m jobboard.seed --rows 500"

# Statements of another kind than a migration's, on the database that DATABASE_URL names.
RUN_SQL = '''
"""`python -m jobboard.run_sql` runs statements, each in a transaction of its own."""

import contextlib

import psycopg

from jobboard.dsn import connection_parameters
from jobboard.settings import Settings

STATEMENTS = """{statements}"""

with psycopg.connect(**connection_parameters(Settings.from_env()), autocommit=True) as connection:
    for statement in STATEMENTS.split(";"):
        if statement.strip():
            with contextlib.suppress({suppressed}):
                connection.execute(statement)
'''


def afterwards(statements: str, suppressed: str = "") -> dict[str, str]:
    """A module that runs these statements."""
    return {"jobboard/run_sql.py": RUN_SQL.format(statements=statements, suppressed=suppressed)}


SET_UP = {"service.setup": [MIGRATE, SEED, "{python} -m jobboard.run_sql"]}

SPECIMENS = (
    Specimen(
        name="explain-foreign-key-without-index",
        breaks="explain.foreign-keys-indexed",
        says="1 of 3 foreign keys without an index: jobs (organisation_id)",
        changes="CREATE INDEX CONCURRENTLY jobs_organisation_id_idx ON jobs (organisation_id)",
        swaps=(
            Swap(
                TABLES, '    op.create_index("jobs_organisation_id_idx", "jobs", ["organisation_id"])\n', ""
            ),
        ),
        still_passes=(*SOUND, "explain.no-duplicate-index"),
    ),
    Specimen(
        name="explain-index-twice",
        breaks="explain.no-duplicate-index",
        says="jobs_title_twice_idx equals jobs_title_idx",
        changes="DROP INDEX CONCURRENTLY jobs_title_twice_idx",
        swaps=(
            Swap(
                TABLES,
                DISTRICT_INDEX,
                DISTRICT_INDEX + '    op.create_index("jobs_title_twice_idx", "jobs", ["title"])\n',
            ),
        ),
        still_passes=(*SOUND, "explain.foreign-keys-indexed"),
    ),
    Specimen(
        name="explain-index-is-a-beginning",
        breaks="explain.no-duplicate-index",
        says="jobs_district_idx is the beginning of jobs_district_posted_idx",
        changes="DROP INDEX CONCURRENTLY jobs_district_idx",
        swaps=(
            Swap(
                TABLES,
                DISTRICT_INDEX,
                DISTRICT_INDEX + '    op.create_index("jobs_district_idx", "jobs", ["district"])\n',
            ),
        ),
        still_passes=(*SOUND, "explain.foreign-keys-indexed"),
    ),
    Specimen(
        name="explain-index-invalid",
        breaks="explain.indexes-valid",
        says="invalid: jobs_one_per_district_idx on jobs (district)",
        changes="REINDEX INDEX CONCURRENTLY jobs_one_per_district_idx",
        files=afterwards(
            "CREATE UNIQUE INDEX CONCURRENTLY jobs_one_per_district_idx ON jobs (district)",
            "psycopg.errors.UniqueViolation",
        ),
        settings=SET_UP,
        still_passes=("explain.sequences-last", "explain.foreign-keys-indexed"),
    ),
    Specimen(
        name="explain-index-unused",
        breaks="explain.indexes-used",
        says="nothing used in this run: archive_n_idx on archive",
        changes="DROP INDEX CONCURRENTLY archive_n_idx",
        files=afterwards(
            "CREATE TABLE archive AS SELECT n FROM generate_series(1, 60000) n;"
            "CREATE INDEX archive_n_idx ON archive (n) WITH (fillfactor = 10)"
        ),
        settings=SET_UP,
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-table-read-from-end-to-end",
        breaks="explain.tables-not-scanned",
        says="read from end to end: jobs",
        swaps=(Swap(TABLES, DISTRICT_INDEX, ""),),
        settings={"service.setup": [MIGRATE, "{python} -m jobboard.seed --rows 12000"]},
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-index-bloated",
        breaks="explain.indexes-not-bloated",
        says="archive_n_idx on archive",
        changes="REINDEX INDEX CONCURRENTLY archive_n_idx",
        files=afterwards(
            "CREATE TABLE archive AS"
            " SELECT n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 15) i) AS text"
            " FROM generate_series(1, 24000) n;"
            "CREATE INDEX archive_n_idx ON archive (text, n);"
            "DELETE FROM archive WHERE n % 20 > 0;"
            "VACUUM archive"
        ),
        settings={**SET_UP, "explain.bloat_mb": 5},
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-sequence-near-its-end",
        breaks="explain.sequences-last",
        says="jobs_id_seq for jobs.id (integer) is at 2,000,000,001 of 2,147,483,647",
        changes="ALTER TABLE jobs ALTER COLUMN id TYPE bigint",
        files=afterwards(
            "ALTER TABLE jobs ALTER COLUMN id TYPE integer; SELECT setval('jobs_id_seq', 2000000001)"
        ),
        settings=SET_UP,
        still_passes=("explain.indexes-valid", "explain.no-duplicate-index"),
    ),
    Specimen(
        name="explain-sequence-beyond-its-column",
        breaks="explain.sequences-last",
        says="applications_rating_seq for applications.rating (smallint) is at 32,000 of 32,767",
        changes="ALTER TABLE applications ALTER COLUMN rating TYPE bigint",
        files=afterwards(
            "CREATE SEQUENCE applications_rating_seq;"
            "ALTER TABLE applications ALTER COLUMN rating SET DEFAULT nextval('applications_rating_seq');"
            "SELECT setval('applications_rating_seq', 32000)"
        ),
        settings=SET_UP,
        still_passes=("explain.indexes-valid", "explain.no-duplicate-index"),
    ),
)
