"""What is recorded of a test's statements, and how it is told: on SQLite, and from literals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from pytest_prodready.in_process import recording
from pytest_prodready.in_process.explaining import Seen, tables_in
from pytest_prodready.in_process.places import Place
from pytest_prodready.in_process.recording import Ran, recorded
from pytest_prodready.in_process.repeated import advice, counted, grouped, normalised, shortened, told

HERE = Path(__file__).parent
LOOP = Place(str(HERE / "jobs.py"), 42, "list_jobs")
ONCE = Place("/elsewhere/jobs.py", 7, "show")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with a table, whose statements can be heard of."""
    made = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE jobs (id integer)"))
    recording.listen()
    yield made
    recording.forget()
    made.dispose()


@pytest.mark.parametrize(
    ("sent", "plain"),
    [
        ("SELECT  a\n FROM b -- why\nWHERE c = 'x''y' AND d = 12.5", "SELECT a FROM b WHERE c = ? AND d = ?"),
        (
            "SELECT a1 FROM b2 WHERE c = %(c_1)s::VARCHAR AND d = $1::INTEGER",
            "SELECT a1 FROM b2 WHERE c = ? AND d = ?",
        ),
        ("UPDATE b SET c=%(c)s::TIMESTAMP WITHOUT TIME ZONE WHERE d = :e", "UPDATE b SET c=? WHERE d = ?"),
        ("SELECT a WHERE b IN (%(b_1)s, %(b_2)s, %(b_3)s);", "SELECT a WHERE b IN (…)"),
        ("SELECT a WHERE b IN (1, 2)", "SELECT a WHERE b IN (…)"),
        ("INSERT INTO b VALUES (?, ?), (?, ?), (?, ?)", "INSERT INTO b VALUES (…)"),
        ("SELECT \"it's 5\", $$a 5$$, e'\\' 5' /* 5 */", 'SELECT "it\'s 5", ?, ?'),
        ("SELECT a::text, b.c::varchar FROM d.e5", "SELECT a::text, b.c::varchar FROM d.e5"),
    ],
)
def test_normalised(sent: str, plain: str) -> None:
    """Values, parameters, lists of them, comments and spaces make no difference; names do."""
    assert normalised(sent) == plain


def test_control_counts_for_nothing() -> None:
    """What directs transactions and sessions is no query."""
    texts = (
        "BEGIN",
        "SAVEPOINT sa_savepoint_1",
        "RELEASE SAVEPOINT a",
        "SET search_path = a",
        "SELECT 1",
        "COMMIT",
    )
    assert [ran.text for ran in counted(Ran(each) for each in texts)] == ["SELECT 1"]


def test_groups_are_told() -> None:
    """The most frequent statement comes first, is named N+1 where one line reads it, and shows its lines."""
    reads = [Ran("SELECT a WHERE b = 5", LOOP)] * 3 + [Ran("SELECT a WHERE b = 6", ONCE)]
    groups = grouped([Ran("SELECT c", None), *reads])
    assert list(told(groups, HERE)) == [
        "  N+1, 4 times:",
        "      SELECT a WHERE b = ?",
        "      jobs.py:42 in list_jobs (3 times)",
        "      /elsewhere/jobs.py:7 in show",
        "  once:",
        "      SELECT c",
        "      a line that can't be told",
    ]
    assert "Fetch them together" in "".join(advice(groups))


@pytest.mark.parametrize(
    "statements",
    [
        [Ran("SELECT a", LOOP)] * 2,
        [Ran("INSERT INTO a VALUES (1)", LOOP)] * 5,
        [Ran("SELECT a", Place("jobs.py", line, "run")) for line in range(5)],
    ],
)
def test_what_is_no_n_plus_1(statements: list[Ran]) -> None:
    """Twice, writes, and different lines are told as they are."""
    groups = grouped(statements)
    assert not groups[0].n_plus_1
    assert not list(advice(groups))


def test_many_lines_and_long_statements_are_cut() -> None:
    """Three lines of code and the ends of a long statement are enough."""
    lines = told(grouped([Ran("SELECT a", Place("a.py", line, "run")) for line in range(5)]), HERE)
    assert list(lines)[-1] == "      and 2 more lines"
    short = shortened(f"SELECT {'a, ' * 500} b")
    assert (short[:8], short[-4:], len(short)) == ("SELECT a", ",  b", 403)


def test_records_statement_and_line(engine: Engine) -> None:
    """Each statement comes with the line that ran it, one of a failure too; nothing beyond the block."""
    with engine.connect() as connection:
        with recorded() as seen:
            connection.execute(text("SELECT :a"), {"a": 5})
            connection.exec_driver_sql("SELECT 6")
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT wrong"))
        connection.execute(text("SELECT 7"))
    statements = seen.statements()
    assert [ran.text for ran in statements] == ["SELECT ?", "SELECT 6", "SELECT wrong"]
    places = [ran.place for ran in statements]
    assert all(place and place.file == __file__ for place in places)
    assert {place.function for place in places if place} == {"test_records_statement_and_line"}
    assert len({place.line for place in places if place}) == 3
    assert statements[0].dialect == "sqlite"


def test_many_sets_of_parameters_are_one_statement(engine: Engine) -> None:
    """One call of executemany is one statement; a loop is many, from the line in the loop."""
    insert = text("INSERT INTO jobs VALUES (:id)")
    with engine.begin() as connection, recorded() as seen:
        connection.execute(insert, [{"id": number} for number in range(9)])
        _ = [connection.execute(insert, {"id": number}) for number in range(3)]
    group = grouped(seen.statements())[0]
    assert group.times == 4
    assert [times for _, times in group.places] == [3, 1]
    assert {place.function for place, _ in group.places if place} == {
        "test_many_sets_of_parameters_are_one_statement"
    }


def test_other_threads_belong_to_the_test(engine: Engine) -> None:
    """A statement of another thread, such as a test client's, is recorded with its line."""

    def run() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    with recorded() as seen:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(10)
    (ran,) = seen.statements()
    assert ran.place is not None
    assert ran.place.function == "run"


def test_connecting_is_no_statement_of_the_test() -> None:
    """What a new engine asks its server before the first statement isn't counted."""
    recording.listen()
    with recorded() as seen, create_engine("sqlite://").connect() as connection:
        connection.execute(text("SELECT 1"))
    recording.forget()
    assert [ran.text for ran in seen.statements()] == ["SELECT 1"]


def test_line_of_a_template() -> None:
    """A statement that a template runs is found in the template's text, not in the code made of it."""
    code = compile("def block():\n    pass\n", str(HERE / "jobs.html"), "exec").co_consts[0]
    template = SimpleNamespace(get_corresponding_lineno=lambda line: line * 10)
    assert Place.of((code, 0, template)).seen_from(HERE) == "jobs.html:10 in the template"


def test_few_examples_of_each_statement() -> None:
    """A statement is explained with five different sets of parameters, and once with each."""
    seen = Seen("SELECT ?")
    assert [seen.is_new({"a": number // 2}) for number in range(12)] == [*[True, False] * 5, False, False]


def test_tables_of_a_plan() -> None:
    """Tables are named as SQL needs them, whatever their name."""
    scan: dict[str, Any] = {"Node Type": "Seq Scan", "Relation Name": 'odd"one', "Schema": "My"}
    plan = {"Plan": {"Node Type": "Limit", "Plans": [scan]}}
    assert list(tables_in(plan)) == ['"My"."odd""one"']
