"""The marker explain_budget on a user's own tests, on real PostgreSQL."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.acceptance.shop.running import IMPORTS, SHOP, Shop, failure, outcomes
from tests.gate import run_gate
from tests.targets import SERVER

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


def test_explain_budget(shop: Shop) -> None:
    """What a plan costs is held against each limit, for the data of the test's own transaction."""
    run = shop.run(BUDGETS)
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


def test_writes(shop: Shop) -> None:
    """Statements that write are only planned on a server that isn't the gate's, and that is said."""
    run = shop.run(WRITES)
    assert outcomes(run) == {"update": "failed", "unknown": "failed", "no_trace": "passed"}, run.output
    assert "Seq Scan on jobs of 20,000 rows" in failure(run, "update")
    assert "for none of its statements could be run" in failure(run, "unknown")
    for name in ("update", "unknown", "no_trace"):
        assert "it writes, so it is run on the gate's own server alone" in failure(run, name)


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
