"""The markers max_queries and explain_budget on a user's own tests, on real PostgreSQL."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pytest_prodready.environment.binaries import find_postgres
from pytest_prodready.environment.certificates import Authority
from pytest_prodready.environment.postgres import PostgresServer
from pytest_prodready.environment.postgres_config import Account
from pytest_prodready.environment.runs import Run
from tests.gate import GateRun, run_gate
from tests.targets import SERVER

SHOP = Path(__file__).with_name("shop")
IMPORTS = """\
import asyncio
import pytest
from concurrent.futures import ThreadPoolExecutor
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from shop import Employer, Job, jobs_by_region, list_jobs, make_engine
import os
URL = os.environ["DATABASE_URL"]
max_queries, explain_budget = pytest.mark.max_queries, pytest.mark.explain_budget

"""
Tests = Callable[..., GateRun]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a running PostgreSQL, for SQLAlchemy."""
    run = Run.open()
    account = Account("shop", "shop_db", "correct-horse-battery-staple")
    server = PostgresServer(run, find_postgres(), Authority(run.folder), account)
    server.create()
    with server.connect("shop_db") as connection:
        connection.execute("GRANT ALL ON SCHEMA public TO shop")
    place = server.endpoint
    yield f"postgresql+psycopg://shop:{account.password}@{place.host}:{place.port}/shop_db"
    run.close()


@pytest.fixture
def tests(tmp_path: Path, url: str) -> Tests:
    """Runs tests of a user's own, beside the shop; nothing of the gate is asked for."""
    for name, copy in (("shop.py", "shop.py"), ("fixtures.py", "conftest.py")):
        shutil.copy(SHOP / name, tmp_path / copy)

    def run(text: str, *arguments: str) -> GateRun:
        (tmp_path / "test_it.py").write_text(IMPORTS + text)
        quiet = ("-q", "-p", "no:cacheprovider", "--strict-markers", "-W", "error", "-rA")
        return run_gate(tmp_path, *quiet, *arguments, variables={"DATABASE_URL": url})

    return run


def outcomes(run: GateRun) -> dict[str, str]:
    """How each test ended."""
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL) test_it\.py::(\S+)", run.output, re.MULTILINE)
    return {name.removeprefix("test_"): outcome.lower() for outcome, name in found}


def failure(run: GateRun, name: str) -> str:
    """What is said of one test."""
    text = re.search(rf"^_+ test_{re.escape(name)} _+\n(.*?)(?=^_{{3,}} |^={{3,}} )", run.output, re.M | re.S)
    assert text, run.output
    return text[1]


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


def test_max_queries(tests: Tests) -> None:
    """Only what the test itself runs counts; an N+1 is named, with its statement and the user's own line."""
    run = tests(QUERIES)
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


def test_async_engines(tests: Tests) -> None:
    """With asyncpg and psycopg, and in another thread, the line is the one that awaits the statement."""
    run = tests(ASYNC)
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


BUDGETS = """
REGION = select(Job).where(Job.region == "r7")

@explain_budget(buffers=50)
def test_pages(session):
    session.scalars(REGION).all()

@explain_budget(seq_scan=False)
def test_scan(session):
    session.scalars(REGION).all()

@explain_budget(examined_per_row=100)
def test_examined(session):
    session.scalars(REGION).all()

@explain_budget(seq_scan=False, buffers=10, examined_per_row=10)
def test_key(session):
    assert session.get(Job, 5).id == 5

@explain_budget(buffers=10)
def test_worst_parameters(session):
    query = text("SELECT count(*) FROM (SELECT FROM jobs WHERE id < :most) AS few")
    assert [session.scalar(query, {"most": most}) for most in (1, 5, 15000)] == [0, 4, 14999]

@explain_budget(seq_scan=False)
def test_small(session):
    session.get(Employer, 5)

@explain_budget(seq_scan=False, large_table_rows=50)
def test_not_so_small(session):
    session.get(Employer, 5)

@explain_budget(buffers=10)
def test_unseen(session):
    pass

@explain_budget(buffers=10)
def test_elsewhere():
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("SELECT 1"))

@explain_budget(seq_scan=False, examined_per_row=1)
def test_uncommitted(session):
    session.execute(text("CREATE TABLE fresh AS SELECT n FROM generate_series(1, 30000) AS n"))
    session.execute(text("CREATE INDEX ON fresh (n)"))
    assert session.scalar(text("SELECT n FROM fresh WHERE n = 5")) == 5

@explain_budget(buffers=200)
def test_queue(session):
    query = REGION.limit(1).with_for_update(skip_locked=True)
    assert session.scalars(query).one().region == "r7"

@explain_budget(buffers=200)
def test_autocommit(engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT count(*) FROM jobs WHERE region = 'r1'"))
        assert connection.execute(text("SELECT pg_current_xact_id_if_assigned()")).scalar() is None

@explain_budget(buffers=200)
def test_percent_and_quotes(session):
    query = text("SELECT count(*) FROM jobs WHERE region LIKE '%9' AND region <> '\\\\:a'")
    assert session.scalar(query) == 2000

@explain_budget(buffers=200)
def test_its_own_error(session):
    session.scalars(REGION).all()
    with pytest.raises(IntegrityError):
        session.execute(text("INSERT INTO jobs VALUES (1, 'r', 1)"))
"""


def test_explain_budget(tests: Tests) -> None:
    """What a plan costs is held against each limit, for the data of the test's own transaction."""
    run = tests(BUDGETS)
    good = {
        "key",
        "uncommitted",
        "not_so_small",
        "queue",
        "autocommit",
        "percent_and_quotes",
        "its_own_error",
    }
    seen = outcomes(run)
    assert {name for name, outcome in seen.items() if outcome == "passed"} == good, run.output
    assert "109 pages over a budget of 50" in failure(run, "pages")
    assert "Seq Scan on jobs reads 20,000 rows, keeps 20" in failure(run, "scan")
    assert "20,000 rows examined for 20" in failure(run, "examined")
    assert "rows of" in failure(run, "worst_parameters")
    assert "test_worst_parameters (3 calls)" in failure(run, "worst_parameters")
    assert "the largest table that the test reads, public.employers, has 100 rows" in failure(run, "small")
    assert "nothing was checked" in failure(run, "unseen")
    assert "budgets need PostgreSQL" in failure(run, "elsewhere")
    assert "1 on sqlite" in failure(run, "elsewhere")


WRITES = """
@pytest.fixture
def kept(engine):
    with engine.begin() as connection:
        connection.execute(text("DROP SEQUENCE IF EXISTS tickets"))
        connection.execute(text("CREATE SEQUENCE tickets"))

@explain_budget(seq_scan=False)
def test_update(session):
    session.execute(update(Job).where(Job.region == "r2").values(region="new"))

@explain_budget(buffers=500)
def test_unknown(session):
    session.execute(delete(Job).where(Job.id == 1))

@explain_budget(buffers=500)
def test_no_trace(kept, engine):
    with engine.begin() as connection:
        assert connection.execute(update(Job).where(Job.region == "r1").values(region="new")).rowcount == 20
        connection.execute(insert(Employer), [{"id": 201, "name": "a"}, {"id": 202, "name": "b"}])
        connection.execute(delete(Job).where(Job.id == 1))
        assert connection.scalar(text("SELECT nextval('tickets')")) == 1
        assert connection.scalar(text("SELECT nextval('tickets')")) == 2
        assert connection.scalar(text("SELECT count(*) FROM jobs")) == 19999
        assert connection.scalar(text("SHOW transaction_read_only")) == "off"
        assert connection.scalar(text("SHOW jit")) == "on"
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
"""


def test_writes(tests: Tests) -> None:
    """Statements that write are only planned on a server that isn't the gate's, and that is said."""
    run = tests(WRITES)
    assert outcomes(run) == {"update": "failed", "unknown": "failed", "no_trace": "passed"}, run.output
    assert "Seq Scan on jobs of 20,000 rows" in failure(run, "update")
    assert "for none of its statements could be run" in failure(run, "unknown")
    for name in ("update", "unknown", "no_trace"):
        assert "it writes, so it is run on the gate's own server alone" in failure(run, name)


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


def test_wrong_markers(tests: Tests) -> None:
    """Arguments that can't be are told before anything runs: name, value, test, and what is known."""
    run = tests(WRONG)
    assert run.code == 4
    assert "max_queries takes one whole number from 0 on\n  value: max_queries('three')" in run.output
    assert "explain_budget knows no bufers" in run.output
    assert "from: test_it.py::test_name\n  do: did you mean buffers? known are buffers, " in run.output
    assert "explain_budget limits nothing" in run.output
    assert "explain_budget's buffers: input should be greater than or equal to 1" in run.output
    assert "add seq_scan, or remove it" in run.output
    assert "write seq_scan=False, or leave it out" in run.output


def test_wrong_markers_in_workers(tests: Tests) -> None:
    """A worker of xdist can't end the run, so each such test fails with the same words."""
    run = tests(WRONG, "-n", "1")
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


TOML = """\
[service]
name = "shop"
command = "{python} server.py {port}"
env = { DATABASE_URL = "{postgres.url}" }
engine = "shop:made"

[postgres]
"""
MADE = """
def made():
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    return create_engine(url)
"""
ON_THE_GATES_SERVER = """
@pytest.fixture
def rows(prodready_engine):
    with prodready_engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS things"))
        connection.execute(text("CREATE TABLE things AS SELECT n FROM generate_series(1, 20000) AS n"))

@explain_budget(buffers=50)
def test_update(rows, prodready_engine):
    with prodready_engine.begin() as connection:
        assert connection.execute(text("UPDATE things SET n = -n WHERE n = 5")).rowcount == 1

@explain_budget(buffers=100000)
def test_update_held(rows, prodready_engine):
    with prodready_engine.begin() as connection:
        assert connection.execute(text("UPDATE things SET n = -n WHERE n = 6")).rowcount == 1
"""


def test_writes_on_the_gates_own_server(tmp_path: Path) -> None:
    """On the gate's own server a statement that writes is run too, and rolled back before the test's own."""
    shutil.copy(SHOP / "shop.py", tmp_path)
    with (tmp_path / "shop.py").open("a") as file:
        file.write(MADE)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "prodready.toml").write_text(TOML)
    (tmp_path / "test_it.py").write_text(
        IMPORTS.replace('os.environ["DATABASE_URL"]', '""') + ON_THE_GATES_SERVER
    )
    run = run_gate(tmp_path, "-m", "readiness", "--prodready-backend=processes", "-rA", "test_it.py")
    assert outcomes(run) == {"update": "failed", "update_held": "passed"}, run.output
    assert re.search(r"\d+ pages over a budget of 50", failure(run, "update"))
    assert "Update on things" in failure(run, "update")


def test_the_servers_rows_stay(url: str) -> None:
    """Nothing that was explained is left in the database."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert row == (0,)
