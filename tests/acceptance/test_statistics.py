"""Production's statistics in place of its rows: plans for its sizes, through the whole gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gate import GateRun, node_ids, run_gate
from tests.images.build import Images
from tests.images.fixture import images
from tests.images.variables import variables as image_variables
from tests.specimens import Specimen, all_specimens

__all__ = ["images"]

RULE = "explain.no-large-seq-scan"
NEEDS_ROWS = "explain.rows-examined"
OTHERS = (
    "explain.statements-captured",
    "explain.no-n-plus-one",
    "explain.no-repeated-scan",
    "explain.no-spill",
)
WITHOUT_INDEX = next(each for each in all_specimens() if each.name == "explain-filter-without-index")
SINCE = 18
JOBS, PAGES = 2_000_000, 80_000
TYPES = {
    "version": "::integer",
    "relpages": "::integer",
    "reltuples": "::real",
    "inherited": "::boolean",
    "n_distinct": "::real",
}
INDEXES = (
    "jobs_pkey",
    "jobs_organisation_id_idx",
    "jobs_status_posted_idx",
    "jobs_region_posted_idx",
    "jobs_district_posted_idx",
    "jobs_title_idx",
)
DISTINCT = {"id": -1, "title": -1, "organisation_id": 5000, "region": 300, "district": 3000, "status": 1}


def restored(kind: str, **values: object) -> str:
    """A call of a dump, as pg_dump --statistics-only writes it."""
    given = {"version": 180001, "schemaname": "public", **values}
    arguments = [f"'{name}', '{value}'{TYPES.get(name, '')}" for name, value in given.items()]
    return f"SELECT * FROM pg_catalog.pg_restore_{kind}_stats(" + ", ".join(arguments) + ");\n"


def dump() -> str:
    """Two million jobs of five thousand organisations, each with a title of its own."""
    lines = [restored("relation", relname="jobs", relpages=PAGES, reltuples=JOBS)]
    lines += [restored("relation", relname="organisations", relpages=50, reltuples=5000)]
    lines += [restored("relation", relname="organisations_pkey", relpages=16, reltuples=5000)]
    lines += [restored("relation", relname=name, relpages=8000, reltuples=JOBS) for name in INDEXES]
    lines += [
        restored("attribute", relname="jobs", attname=name, inherited="f", n_distinct=number)
        for name, number in DISTINCT.items()
    ]
    return "\n".join(lines)


def gate(
    folder: Path, specimen: Specimen, *arguments: str, variables: Mapping[str, str], engine: bool = False
) -> GateRun:
    """The gate on this specimen, which has statistics and no rows beyond the few of its seed."""
    given = {"explain.rows": None, "explain.buffers": None, "explain.statistics": "stats.sql"}
    replace(specimen, settings=given).build(folder)
    (folder / "stats.sql").write_text(dump())
    rules = (RULE, NEEDS_ROWS, *OTHERS)
    nodes = [node_ids()[rule] for rule in rules]
    return run_gate(folder, *arguments, *nodes, variables=variables, engine=engine)


def holds(run: GateRun, verdict: str, says: str) -> None:
    """One rule has this verdict; what statistics can tell else passes, and what needs rows says so."""
    finding = run.finding(RULE)
    assert finding["verdict"] == verdict, run.output
    assert says in finding["summary"]
    expected = {RULE: verdict, NEEDS_ROWS: "unverified", **dict.fromkeys(OTHERS, "passed")}
    assert run.verdicts == expected, run.output


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "without an index"])
def test_plans_are_made_for_productions_sizes(tmp_path: Path, *, indexed: bool) -> None:
    """On a few hundred rows every plan is fine; for two million the missing index shows, with its remedy."""
    run = gate(
        tmp_path,
        Specimen(name="healthy", breaks="", says="") if indexed else WITHOUT_INDEX,
        "--prodready-backend=processes",
        variables={"PRODREADY_HIDE_SYSTEM": "1"},  # the embedded PostgreSQL takes statistics
    )
    if indexed:
        holds(run, "passed", "none of them scans a large table for a part of it")
        return
    holds(run, "failed", "Seq Scan on jobs of 2,000,000 rows for")
    assert "CREATE INDEX CONCURRENTLY" in run.finding(RULE)["change"]
    assert "jobs (title)" in run.finding(RULE)["change"]


def test_plans_are_made_in_a_container(tmp_path: Path, images: Images) -> None:
    """The same in a container; of a server that is too old for it, that is said."""
    variables = {**image_variables(images), "TESTCONTAINERS_RYUK_DISABLED": "true"}
    run = gate(tmp_path, WITHOUT_INDEX, variables=variables, engine=True)
    assert "backend containers" in run.output
    found = re.search(r"PostgreSQL (\d+)", run.report["environment"]["postgres"]["version"] or run.output)
    assert found is not None
    if int(found[1]) >= SINCE:
        holds(run, "failed", "Seq Scan on jobs of 2,000,000 rows for")
        return
    assert set(run.verdicts.values()) == {"inconclusive"}, run.output
    assert f"statistics need PostgreSQL {SINCE}" in run.finding(RULE)["summary"]
    assert "set [postgres] image" in run.finding(RULE)["summary"]
