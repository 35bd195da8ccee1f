"""The marker max_queries on a user's own tests, on real PostgreSQL; and markers that can't be read."""

from __future__ import annotations

import re
from pathlib import Path

from tests.acceptance.shop.running import SHOP, Shop, failure, outcomes
from tests.gate import run_gate
from tests.specimens import ROOT

QUERIES = """
@max_queries(11)
def test_enough(session):
    list_jobs(session, 10)
    with session.begin_nested():
        session.execute(text("SET LOCAL work_mem = '8MB'"))

@max_queries(3)
def test_lazy(session):
    list_jobs(session, 10)

@max_queries(0)
def test_none(session):
    pass

@max_queries(2)
def test_unseen(session):
    pass

@max_queries(1)
def test_own_failure(session):
    list_jobs(session, 10)
    raise RuntimeError("of its own")

@max_queries(1)
@pytest.mark.xfail(strict=True)
def test_expected(session):
    list_jobs(session, 2)

@max_queries(1)
class TestAll:
    def test_inherited(self, session):
        list_jobs(session, 2)

    @max_queries(3)
    def test_closest(self, session):
        list_jobs(session, 2)
"""


def test_max_queries(shop: Shop) -> None:
    """Only what the test itself runs counts; an N+1 is named, with its statement and the user's own line."""
    run = shop.run(QUERIES)
    assert run.code == 1
    assert outcomes(run) == {
        "enough": "passed",
        "none": "passed",
        "lazy": "failed",
        "unseen": "failed",
        "own_failure": "failed",
        "expected": "xfail",
        "TestAll::test_closest": "passed",
        "TestAll::test_inherited": "failed",
    }, run.output
    lazy = failure(run, "lazy")
    line = next(
        n for n, text in enumerate((SHOP / "shop.py").read_text().splitlines(), 1) if "job.employer" in text
    )
    assert "max_queries(3): 11 queries" in lazy
    assert re.search(
        rf"N\+1, 10 times:\s+SELECT .* FROM employers WHERE .*\s+shop.py:{line} in list_jobs \(10 times\)",
        lazy,
    )
    assert lazy.index("N+1") < lazy.index("FROM jobs")
    assert "nothing was checked" in failure(run, "unseen")
    assert "of its own" in failure(run, "own_failure")
    assert "max_queries(1):" not in failure(run, "own_failure")


ASYNC = """
def asked(driver):
    async def main():
        engine = create_async_engine(URL.replace("psycopg", driver))
        async with AsyncSession(engine) as session:
            found = await jobs_by_region(session, ["r1", "r2", "r3"])
        await engine.dispose()
        return found
    return asyncio.run(main())

@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@max_queries(2)
@explain_budget(seq_scan=False)
def test_async(engine, driver):
    assert asked(driver) == 60

@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@max_queries(3)
@explain_budget(buffers=1000, examined_per_row=2000, loops=3, estimate_error=100, spill=False)
def test_async_held(engine, driver):
    assert asked(driver) == 60

@max_queries(2)
def test_thread(engine):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asked, "psycopg").result() == 60
"""


def test_async_engines(shop: Shop) -> None:
    """With asyncpg and psycopg, and in another thread, the line is the one that awaits the statement."""
    run = shop.run(ASYNC)
    assert outcomes(run) == {
        "async[psycopg]": "failed",
        "async[asyncpg]": "failed",
        "async_held[psycopg]": "passed",
        "async_held[asyncpg]": "passed",
        "thread": "failed",
    }, run.output
    for name in ("async[psycopg]", "async[asyncpg]", "thread"):
        assert re.search(r"shop\.py:\d+ in jobs_by_region \(3 times\)", failure(run, name))
    for name in ("async[psycopg]", "async[asyncpg]"):
        assert "Seq Scan on jobs  (cost" in failure(run, name)
        assert "an index on jobs (region)" in failure(run, name)


WRONG = """
@max_queries("three")
def test_number(): pass

@explain_budget(bufers=3)
def test_name(): pass

@explain_budget()
def test_nothing(): pass

@explain_budget(buffers=0)
def test_value(): pass

@explain_budget(large_table_rows=10)
def test_alone(): pass

@explain_budget(seq_scan=True)
def test_allowed(): pass
"""


def test_wrong_markers(shop: Shop) -> None:
    """Arguments that can't be are told before anything runs: name, value, test, and what is known."""
    run = shop.run(WRONG)
    assert run.code == 4
    assert "max_queries takes one whole number from 0 on\n  value: max_queries('three')" in run.output
    assert "explain_budget knows no bufers" in run.output
    assert "from: test_it.py::test_name\n  do: did you mean buffers? known are buffers, " in run.output
    assert "explain_budget limits nothing" in run.output
    assert "explain_budget's buffers: input should be greater than or equal to 1" in run.output
    assert "add seq_scan, or remove it" in run.output
    assert "write seq_scan=False, or leave it out" in run.output


def test_wrong_markers_in_workers(shop: Shop) -> None:
    """A worker of xdist can't end the run, so each such test fails with the same words."""
    run = shop.run(WRONG, "-n", "1")
    assert run.code == 1
    assert set(outcomes(run).values()) == {"error"}
    assert "did you mean buffers?" in run.output


PLAIN = """
import sys

def test_plain():
    assert not {"sqlalchemy", "pydantic", "psycopg", "httpx"} & set(sys.modules)
"""


def test_a_run_without_markers_pays_nothing(tmp_path: Path) -> None:
    """Neither SQLAlchemy nor what the gate needs is imported where no test has a marker."""
    (tmp_path / "test_it.py").write_text(PLAIN)
    run = run_gate(tmp_path, "-q", "-p", "no:benchmark")
    assert run.code == 0, run.output


def test_documentation(shop: Shop) -> None:
    """The tests that docs/explain.md shows fail with what it shows, line by line."""
    page = (ROOT / "docs/explain.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown = re.findall(r"^    (max_queries\(2\):.*?)\n(?! {4}|\n)", page, re.MULTILINE | re.DOTALL)[0]
    (shop.folder / "test_shop.py").write_text(example)
    run = shop.run("", "test_shop.py")
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    assert len(lines) > 10
    for line in lines:
        assert line.removesuffix("…") in run.output, run.output
