"""Make an archive of old jobs, and mistakes in their indexes: `python archive.py`, with DATABASE_URL."""

import contextlib
import os

import psycopg

ARCHIVE = """
CREATE TABLE archive AS
SELECT n::bigint AS id, 'Title ' || n AS title, md5(n::text) || md5('n' || n) AS note,
    CASE WHEN n <= 300 THEN 'coast' ELSE 'inland' END AS region,
    CASE WHEN n <= 20 THEN 'rare' ELSE 'common' END AS kind,
    n % 20 AS a, n % 20 AS b, n % 20 AS c
FROM generate_series(1, 24000) n;
ALTER TABLE archive ADD PRIMARY KEY (id);
CREATE INDEX archive_title ON archive (title);
CREATE INDEX archive_kind ON archive (kind);
"""
MISTAKES = (
    "DROP INDEX jobs_organisation_id",
    "CREATE INDEX jobs_title_again ON jobs (title)",
    "CREATE UNIQUE INDEX CONCURRENTLY archive_one_each ON archive (c)",  # there are many
)

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute(ARCHIVE)
    for statement in MISTAKES:
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            connection.execute(statement)
