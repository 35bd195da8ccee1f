"""What a service asks its database, seen from outside: each slow way fails its own rule, in any language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gate import node_ids, run_gate
from tests.languages import build, missing
from tests.specimens import Swap

SOUND = ("explain.statements-captured", "explain.no-repeated-scan", "explain.sequences-last")


@dataclass(frozen=True)
class Blamed:
    """What the gate must say of one defect: in its rule's summary, and what to change."""

    defect: str
    rule: str
    says: str
    changes: str


@dataclass(frozen=True)
class Slow:
    """Defects that have nothing to do with each other: one run of the gate tells them apart."""

    name: str
    language: str
    blamed: tuple[Blamed, ...]
    swaps: tuple[Swap, ...]
    more: str = ""  # a folder with further files of the service


def request(name: str, path: str) -> str:
    """A request of prodready.toml."""
    return f'[[requests]]\nname = "{name}"\npath = "{path}"\n\n'


SERVICES = (
    Slow(
        "jobs",
        "go",
        blamed=(
            Blamed(
                "a filter without an index",
                "explain.no-large-seq-scan",
                says="j.title = $3 ORDER BY  …: Seq Scan on jobs j reads 100,0",
                changes="CREATE INDEX CONCURRENTLY jobs_title_idx ON jobs (title)",
            ),
            Blamed(
                "a query for each row of another one",
                "explain.no-n-plus-one",
                says="5 times on 5 rows of jobs, 20 times on 20",
                changes="WHERE … = ANY($1)",
            ),
            Blamed(
                "paging by OFFSET",
                "explain.rows-examined",
                says="60,040 rows examined for 20, 60,000 of them passed over by OFFSET",
                changes="page by key instead of OFFSET",
            ),
        ),
        swaps=(
            Swap("../schema.sql", "CREATE INDEX jobs_title ON jobs (title);\n", ""),
            Swap(
                "main.go",
                "	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])\n",
                "	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])\n"
                "	for i := 0; err == nil && i < len(jobs); i++ {\n"
                "		jobs[i], err = s.load(r.Context(), jobs[i].ID)\n"
                "	}\n",
            ),
            Swap("main.go", "DESC LIMIT $1`", "DESC LIMIT $1 OFFSET $2`"),
            Swap("main.go", "[]any{limit}\n", "[]any{limit, offset}\n"),
            Swap(
                "main.go",
                "	limit, err := strconv.Atoi",
                '	offset, _ := strconv.Atoi(query.Get("offset"))\n	limit, err := strconv.Atoi',
            ),
            Swap(
                "prodready.toml",
                "[explain]\nrows = { jobs = 20_000 }\nbuffers = 200\n",
                request("page", "/jobs?limit=20&offset=60000") + "[explain]\nrows = { jobs = 100_000 }\n",
            ),
        ),
    ),
    Slow(
        "archive",
        "go",
        blamed=(
            Blamed(
                "a function on an indexed column",
                "explain.rows-examined",
                says="lower(title) = lower($1): 24,000 rows examined for 1",
                changes="ON archive (lower(title))",
            ),
            Blamed(
                "a backward scan for an order that throws thousands of rows away",
                "explain.rows-examined",
                says="Index Scan Backward using archive_pkey on archive threw 23,700 away",
                changes="ON archive (region)",
            ),
            Blamed(
                "a plan for any parameter, of a statement that the driver prepares",
                "explain.generic-plan",
                says="kind = $1 ORDER BY id DESC LIMIT $2: from its sixth run on a generic plan of",
                changes="plan_cache_mode = force_custom_plan",
            ),
            Blamed(
                "an estimate of columns that depend on each other",
                "explain.estimates",
                says="Seq Scan on archive was expected to give 3 rows and gave 1,200",
                changes="CREATE STATISTICS (dependencies, mcv) ON a, b, c FROM archive",
            ),
            Blamed(
                "a sort of everything",
                "explain.no-spill",
                says="ORDER BY note: Sort wrote",
                changes="SET LOCAL work_mem",
            ),
            Blamed(
                "a foreign key without an index",
                "explain.foreign-keys-indexed",
                says="without an index: jobs (organisation_id)",
                changes="CREATE INDEX CONCURRENTLY jobs_organisation_id_idx ON jobs (organisation_id)",
            ),
            Blamed(
                "an index that is there twice",
                "explain.no-duplicate-index",
                says="jobs_title_again equals jobs_title",
                changes="DROP INDEX CONCURRENTLY jobs_title_again",
            ),
            Blamed(
                "an index whose build failed",
                "explain.indexes-valid",
                says="invalid: archive_one_each on archive (c)",
                changes="REINDEX INDEX CONCURRENTLY archive_one_each",
            ),
        ),
        swaps=(
            Swap(
                "main.go",
                '	mux.HandleFunc("GET /jobs", s.list)\n',
                '	mux.HandleFunc("GET /jobs", s.list)\n	mux.HandleFunc("GET /archive/", s.archive)\n',
            ),
            Swap("prodready.toml", '../prepare.py"]', '../prepare.py", "{python} archive.py"]'),
            Swap(
                "prodready.toml",
                "[explain]\n",
                "".join(
                    request(name, f"/archive/{name}") for name in ("title", "region", "kind", "sum", "export")
                )
                + '[explain]\nsettings = { work_mem = "1MB" }\n',
            ),
        ),
        more="slow",
    ),
    # psycopg prepares on each connection of its pool what that one has run often, and the pool goes round.
    Slow(
        "prepared-by-a-pool",
        "gunicorn",
        blamed=(
            Blamed(
                "a plan for any parameter, of a statement that each connection prepares for itself",
                "explain.generic-plan",
                says="kind = $1 ORDER BY id DESC LIMIT $2: from its sixth run on a generic plan of",
                changes="plan_cache_mode = force_custom_plan",
            ),
        ),
        swaps=(
            Swap(
                "service.py",
                '@app.get("/jobs/<int:job_id>")\n',
                '@app.get("/archive/kind")\n'
                "def list_archive():\n"
                '    query = "SELECT id, title FROM archive WHERE kind = %s ORDER BY id DESC LIMIT 20"\n'
                '    return {"archived": rows(query, ("rare",))}\n\n\n'
                '@app.get("/jobs/<int:job_id>")\n',
            ),
            Swap("prodready.toml", '../prepare.py"]', '../prepare.py", "{python} archive.py"]'),
            Swap("prodready.toml", "[explain]\n", f"{request('kind', '/archive/kind')}[explain]\n"),
        ),
        more="slow",
    ),
)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_each_slow_way_fails_its_rule(service: Slow, tmp_path: Path) -> None:
    """The gate names the statement or the index, and what to change; what is sound still passes."""
    if why := missing(service.language):
        pytest.skip(f"the {service.language} service can't be made here: {why}")
    built = build(service.language, tmp_path, service.swaps, service.more)
    ids = node_ids()
    rules = dict.fromkeys([*(each.rule for each in service.blamed), *SOUND])
    run = run_gate(built, "--prodready-backend=processes", *(ids[rule] for rule in rules))
    for each in service.blamed:
        finding = run.finding(each.rule)
        assert finding["verdict"] == "failed", f"{each.defect}: {finding['summary']}\n{run.output}"
        assert each.says in finding["summary"], f"{each.defect}: {finding['summary']}"
        assert each.changes in finding["change"], f"{each.defect}: {finding['change']}"
    assert {rule: run.verdicts[rule] for rule in SOUND} == dict.fromkeys(SOUND, "passed"), run.output
    assert run.code == 1, run.output
