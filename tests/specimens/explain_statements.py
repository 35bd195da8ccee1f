"""Defects of what the service runs: statements that are fast on ten rows, and not on 20,000."""

from __future__ import annotations

from typing import Any

from tests.specimens import Specimen, Swap
from tests.specimens.explain_indexes import afterwards

TABLES = "migrations/versions/0001_tables.py"
QUERIES = "jobboard/queries.py"
MIGRATE, SEED = "{python} -m alembic upgrade head", "{python} -m jobboard.seed --rows 500"
SET_UP = [MIGRATE, SEED, "{python} -m jobboard.run_sql"]
FILL = "    return [dict(row) for row in (await connection.execute(query)).mappings()]\n\n\ndef _criteria"
LIMIT = "        .limit(literal_column(str(wanted.limit)))\n    )\n" + FILL
CUSTOM_PLANS = '        "plan_cache_mode": "force_custom_plan",\n'
SOUND = ("explain.sequences-last", "explain.no-lossy-bitmap")
TITLE_INDEX = '    op.create_index("jobs_title_idx", "jobs", ["title"])\n'
ORGANISATION_INDEX = '    op.create_index("jobs_organisation_id_idx", "jobs", ["organisation_id"])\n'
DISTRICT_INDEX = (
    '    op.create_index("jobs_district_posted_idx", "jobs", ["district", "status", "posted_at", "id"])\n'
)


def beside(code: str) -> Swap:
    """The list of jobs does something more, with its `rows` and `connection` at hand."""
    lines = "".join(f"    {line}\n" for line in code.splitlines())
    rows = "    rows = [dict(row) for row in (await connection.execute(query)).mappings()]\n"
    return Swap(QUERIES, FILL, f"{rows}{lines}    return rows\n\n\ndef _criteria")


def runs(statement: str) -> Swap:
    """The list of jobs runs one more statement."""
    return beside(f'await connection.execute(text("""{statement}"""))')


def asks(path: str) -> dict[str, Any]:
    """The traffic is this request alone."""
    return {"requests": [{"name": "list", "path": path}], "explain.rows": {"jobs": 20_000}}


SEEDED = {"explain.rows": None, "explain.seed": "{python} -m jobboard.seed_old"}
LIST = asks("/jobs?region=Region%205&limit=20")

ARCHIVE = (
    "CREATE TABLE archive AS SELECT n, n % 20 AS a, n % 20 AS b, n % 20 AS c,"
    " CASE WHEN n > 23980 THEN 'rare' ELSE 'common' END AS kind FROM generate_series(1, 24000) n;"
    "CREATE UNIQUE INDEX archive_n_idx ON archive (n);"
    "CREATE INDEX archive_kind_idx ON archive (kind);"
)

# `python -m jobboard.accept` writes the baseline of a healthy service, for the server that is there.
ACCEPT = '''
"""The plans that were accepted, for this version of PostgreSQL."""

import json
from pathlib import Path

import psycopg

from jobboard.dsn import connection_parameters
from jobboard.settings import Settings

with psycopg.connect(**connection_parameters(Settings.from_env())) as connection:
    server = str(connection.info.server_version // 10000)
    cost = connection.execute("SHOW random_page_cost").fetchone()[0]

settings = {"jit": "off", "max_parallel_workers_per_gather": "0"}
if cost != "4":
    settings["random_page_cost"] = cost
lines = ["Index Scan using titles on titles"]
plan = {"mode": "custom", "data": "rows", "buffers": 4, "rows": 0, "plan": lines}
baseline = {
    "schema": "prodready-plans/1",
    "postgres": server,
    "settings": settings,
    "tables": {},
    "statements": [
        {"statement": "SELECT title FROM titles WHERE title = $1", "requests": ["list"], "plans": [plan]}
    ],
}
Path("prodready.plans.json").write_text(json.dumps(baseline))
'''

# A district whose jobs are all old: the newest are looked through first, and in vain.
SEED_OLD = '''
"""`python -m jobboard.seed_old` fills the database; the old town has the oldest jobs."""

import psycopg

from jobboard.dsn import connection_parameters
from jobboard.seed import seed
from jobboard.settings import Settings

seed(Settings.from_env(), 20_000)
with psycopg.connect(**connection_parameters(Settings.from_env())) as connection:
    connection.execute("UPDATE jobs SET district = 'Old Town' WHERE id <= 300")
'''

SPECIMENS = (
    Specimen(
        name="explain-too-much-work-for-the-data",
        breaks="explain.statements-captured",
        says="list got 503 on as much data as production has",
        swaps=(runs("SELECT count(*) FROM jobs a JOIN jobs b ON a.description < b.description"),),
        settings={**LIST, "writes": None},
        still_passes=("explain.sequences-last",),
    ),
    Specimen(
        name="explain-n-plus-one-by-a-loop",
        breaks="explain.no-n-plus-one",
        says="5 times on 5 rows of jobs, 20 times on",
        changes="WHERE … = ANY($1)",
        swaps=(
            beside(
                "for row in rows:\n"
                "    count = select(func.count()).where(Application.job_id == row['id'])\n"
                "    row['applications'] = (await connection.execute(count)).scalar_one()"
            ),
        ),
        settings=LIST,
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-filter-without-index",
        breaks="explain.no-large-seq-scan",
        says="Seq Scan on jobs reads 20,0",
        changes="CREATE INDEX CONCURRENTLY",
        also=frozenset({"explain.rows-examined"}),
        swaps=(Swap(TABLES, TITLE_INDEX, ""),),
        settings=asks("/jobs?title={token}"),
        still_passes=("explain.statements-captured", *SOUND),
    ),
    Specimen(
        name="explain-function-on-an-indexed-column",
        breaks="explain.rows-examined",
        says="rows examined for 1; ",
        changes="(lower(title))",
        swaps=(
            Swap(
                QUERIES,
                "    equal = {Job.title: wanted.title, Job.district",
                "    if wanted.title is not None:\n"
                "        yield func.lower(Job.title) == wanted.title.lower()\n"
                "    equal = {Job.district",
            ),
        ),
        settings=asks("/jobs?title={token}"),
        still_passes=("explain.statements-captured", *SOUND),
    ),
    Specimen(
        name="explain-backward-scan-throws-rows-away",
        breaks="explain.rows-examined",
        says="Index Scan Backward using jobs_status_posted_idx on jobs threw",
        changes="CREATE INDEX CONCURRENTLY",
        swaps=(Swap(TABLES, DISTRICT_INDEX, ""),),
        files={"jobboard/seed_old.py": SEED_OLD},
        settings={**asks("/jobs?district=Old%20Town&limit=20"), **SEEDED},
        still_passes=("explain.statements-captured", "explain.no-large-seq-scan", *SOUND),
    ),
    Specimen(
        name="explain-paging-by-offset",
        breaks="explain.rows-examined",
        says="passed over by OFFSET",
        changes="page by key instead of OFFSET",
        swaps=(
            Swap(
                QUERIES,
                LIMIT,
                LIMIT.replace("        .limit", "        .offset(literal_column('60000'))\n        .limit"),
            ),
        ),
        settings={**asks("/jobs?limit=20"), "explain.rows": {"jobs": 100_000}},
        still_passes=("explain.statements-captured", *SOUND),
    ),
    Specimen(
        name="explain-many-pages",
        breaks="explain.buffers-within-budget",
        says="over a budget of 100",
        changes="fewer rows or columns of jobs",
        swaps=(runs("SELECT id, description FROM jobs ORDER BY id LIMIT 5000"),),
        settings={**LIST, "explain.buffers": 100},
        still_passes=(
            "explain.statements-captured",
            "explain.no-large-seq-scan",
            "explain.rows-examined",
            *SOUND,
        ),
    ),
    Specimen(
        name="explain-index-lost",
        breaks="explain.plan-unchanged",
        says="titles: Index Scan using titles → Seq Scan",
        changes="CREATE INDEX CONCURRENTLY",
        also=frozenset({"explain.no-large-seq-scan", "explain.rows-examined"}),
        swaps=(runs("SELECT title FROM titles WHERE title = 'none'"),),
        files={
            **afterwards(
                "CREATE TABLE titles AS SELECT 'title ' || n AS title FROM generate_series(1, 24000) n"
            ),
            "jobboard/accept.py": ACCEPT,
        },
        settings={**LIST, "service.setup": [*SET_UP, "{python} -m jobboard.accept"]},
        still_passes=("explain.statements-captured", *SOUND),
    ),
    Specimen(
        name="explain-scan-for-each-row",
        breaks="explain.no-repeated-scan",
        says="Seq Scan on jobs 200 times",
        changes="CREATE INDEX CONCURRENTLY",
        swaps=(
            Swap(TABLES, ORGANISATION_INDEX, ""),
            runs(
                "SELECT o.id, (SELECT max(posted_at) FROM jobs WHERE jobs.organisation_id = o.id)"
                " FROM organisations o WHERE o.id <= 200"
            ),
        ),
        settings={**LIST, "explain.rows": {"jobs": 6000, "organisations": 200}},
        still_passes=("explain.no-large-seq-scan", "explain.rows-examined", *SOUND),
    ),
    Specimen(
        name="explain-columns-that-depend-on-each-other",
        breaks="explain.estimates",
        says="Seq Scan on archive was expected to give 3 rows and gave 1,200",
        changes="CREATE STATISTICS (dependencies, mcv) ON a, b, c FROM archive",
        also=frozenset({"explain.no-large-seq-scan"}),
        swaps=(runs("SELECT sum(n) FROM archive WHERE a = 3 AND b = 3 AND c = 3"),),
        files=afterwards(ARCHIVE),
        settings={**LIST, "service.setup": SET_UP},
        still_passes=SOUND,
    ),
    Specimen(
        name="explain-generic-plan-trap",
        breaks="explain.generic-plan",
        says="from its sixth run on a generic plan of",
        changes="plan_cache_mode = force_custom_plan",
        swaps=(
            Swap("jobboard/dsn.py", CUSTOM_PLANS, ""),
            beside(
                "kinds = text('SELECT n FROM archive WHERE kind = :kind ORDER BY n LIMIT 20')\n"
                "await connection.execute(kinds, {'kind': 'rare'})"
            ),
        ),
        files=afterwards(ARCHIVE),
        settings={**LIST, "service.setup": SET_UP},
        still_passes=("explain.statements-captured", "explain.rows-examined", *SOUND),
    ),
    Specimen(
        name="explain-sort-goes-to-disk",
        breaks="explain.no-spill",
        says="to disk",
        changes="SET LOCAL work_mem",
        swaps=(runs("SELECT id, description FROM jobs ORDER BY description"),),
        settings={**LIST, "explain.settings": {"work_mem": "1MB"}},
        still_passes=("explain.statements-captured", "explain.no-large-seq-scan", *SOUND),
    ),
    Specimen(
        name="explain-lossy-bitmap",
        breaks="explain.no-lossy-bitmap",
        says="pages without their rows",
        changes="more work_mem",
        swaps=(runs("SELECT count(description) FROM jobs WHERE title > 'A'"),),
        settings={
            **LIST,
            "explain.rows": {"jobs": 40_000},
            "explain.settings": {"work_mem": "64kB", "enable_seqscan": False, "enable_indexscan": False},
        },
        still_passes=("explain.sequences-last",),
    ),
    Specimen(
        name="explain-rows-looked-up-after-all",
        breaks="explain.index-only-scans",
        says="Index Only Scan using archive_n_idx on archive",
        changes="autovacuum",
        swaps=(
            runs(
                "WITH touched AS (UPDATE archive SET c = c + 1 WHERE n <= 5000 RETURNING n)"
                " SELECT (SELECT count(*) FROM touched), (SELECT count(*) FROM archive WHERE n <= 4000)"
            ),
        ),
        files=afterwards(ARCHIVE),
        settings={**LIST, "service.setup": SET_UP},
        still_passes=("explain.sequences-last",),
    ),
    Specimen(
        name="explain-slow-statement",
        breaks="explain.slow-statements",
        says="SELECT pg_sleep($1)",
        swaps=(runs("SELECT pg_sleep(0.3)"),),
        settings=LIST,
        still_passes=("explain.statements-captured", *SOUND),
    ),
)
