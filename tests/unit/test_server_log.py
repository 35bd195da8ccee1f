"""PostgreSQL's log as entries, from literals of versions 15 and 18."""

from __future__ import annotations

import pytest

from pytest_prodready.probes.server_log import (
    Entry,
    as_planned,
    as_run,
    entries,
    parameters,
    without_prepare,
)
from pytest_prodready.probes.statement_text import is_control

AT = "2026-11-23 07:45:24.151 UTC"
SERVICE = "jobboard@jobboard_copy jobboard"


def line(text: str, severity: str = "LOG", query: int = 7, who: str = SERVICE) -> str:
    """A line as the server of a run writes it."""
    return f"{AT} [16996] {query} {who} {severity}:  {text}\n"


def only(log: str) -> Entry:
    """The one entry of a log."""
    (found,) = entries(log)
    return found


def test_an_entry_says_who_and_what() -> None:
    """Process, query, role, database and severity come from the prefix."""
    found = only(line("hello", who="some role@a db app LOG name"))
    assert (found.pid, found.query_id, found.severity, found.text) == (16996, 7, "LOG", "hello")


def test_the_servers_own_processes_have_no_role() -> None:
    """A checkpointer's line is an entry of nobody."""
    found = only(f"{AT} [12] 0 LOG:  checkpoint starting: time\n")
    assert (found.user, found.database, found.text) == ("", "", "checkpoint starting: time")


@pytest.mark.parametrize("word", ["parameters", "Parameters"])
def test_a_run_has_its_parameters(word: str) -> None:
    """The DETAIL of a run tells its parameters, in the words of every version."""
    log = line("duration: 0.120 ms  execute <unnamed>: SELECT $1, $2")
    run = as_run(only(log + line(f"{word}: $1 = 'it''s, $2 = ''x''', $2 = NULL", "DETAIL")))
    assert run is not None
    assert run.parameters == ("it's, $2 = 'x'", None)
    assert (run.text, run.name, run.milliseconds) == ("SELECT $1, $2", "", 0.12)


def test_a_named_run_is_prepared() -> None:
    """The name of a prepared statement is told; that of its portal isn't."""
    run = as_run(only(line("duration: 1.0 ms  execute _pg3_0/portal: SELECT 1")))
    assert run is not None
    assert run.name == "_pg3_0"


def test_a_fetch_is_no_run_of_its_own() -> None:
    """More rows of an open portal are known as such."""
    run = as_run(only(line("duration: 1.0 ms  execute fetch from s1/c1: SELECT 1")))
    assert run is not None
    assert run.fetch


def test_lines_of_a_statement_belong_together() -> None:
    """A statement of several lines comes back as it was sent, tabs and all."""
    run = as_run(only(line("duration: 1.0 ms  statement: SELECT\n\t  1,\n\t\t2")))
    assert run is not None
    assert run.text == "SELECT\n  1,\n\t2"


def test_a_plan_is_read_with_its_query() -> None:
    """auto_explain's JSON is told with text, rows and settings."""
    text = (
        'duration: 0.3 ms  plan:\n\t{\n\t  "Query Text": "SELECT 1",\n\t  "Query Identifier": 9,\n'
        '\t  "Query Parameters": "$1 = \'5\'",\n'
        '\t  "Settings": {"work_mem": "1MB"},\n\t  "Plan": {"Node Type": "Result", "Actual Rows": 3}\n\t}'
    )
    planned = as_planned(only(line(text)))
    assert planned is not None
    assert (planned.query_id, planned.nested, planned.rows) == (9, False, 3)
    assert planned.parameters == ("5",)
    assert planned.settings == {"work_mem": "1MB"}


def test_a_plan_with_a_context_is_nested() -> None:
    """What a function runs carries the function as its CONTEXT; version 15 doesn't tell its id."""
    log = line('duration: 0.3 ms  plan:\n\t{"Query Text": "SELECT 2", "Plan": {}}')
    planned = as_planned(only(log + line("PL/pgSQL function f() line 1", "CONTEXT")))
    assert planned is not None
    assert (planned.nested, planned.query_id) == (True, 0)


def test_a_plan_that_was_cut_off_is_none() -> None:
    """Half of a JSON document is no plan."""
    assert as_planned(only(line('duration: 0.3 ms  plan:\n\t{"Query Text": "SEL'))) is None


def test_details_of_another_process_are_its_own() -> None:
    """A DETAIL that another backend wrote in between belongs to nobody here."""
    log = line("duration: 1.0 ms  statement: SELECT 1") + line("x", "DETAIL").replace("[16996]", "[5]")
    assert only(log).detail == ""


def test_what_comes_before_the_first_entry_is_left_out() -> None:
    """A log that begins in the middle of an entry is read from the next one."""
    assert only("\thalf an entry\n" + line("whole")).text == "whole"


def test_prepare_in_sql_is_the_statement_that_it_prepares() -> None:
    """EXECUTE is told as what it runs, with the constants that it was given."""
    log = line("duration: 1.0 ms  statement: EXECUTE byid (3, 'it''s', NULL)")
    run = as_run(only(log + line("prepare: PREPARE byid (int, text) AS SELECT $1, $2, $3", "DETAIL")))
    assert run is not None
    assert (run.text, run.name, run.parameters) == ("SELECT $1, $2, $3", "byid", ("3", "it's", None))
    assert without_prepare("PREPARE x AS SELECT 1") == "SELECT 1"
    assert without_prepare("SELECT 1") == "SELECT 1"


def test_parameters_without_any() -> None:
    """No parameters are no values."""
    assert parameters("") == ()


@pytest.mark.parametrize(
    "text", ["BEGIN", "commit;", "  ROLLBACK TO SAVEPOINT a", "SET work_mem = 1", ";", "", "DEALLOCATE ALL"]
)
def test_control_is_known(text: str) -> None:
    """What only directs the session isn't judged."""
    assert is_control(text)


@pytest.mark.parametrize(
    "text", ["SELECT 1", "settle()", "UPDATE sets SET x = 1", "COPY t FROM STDIN", "beginning"]
)
def test_statements_are_not_control(text: str) -> None:
    """What reads or writes is."""
    assert not is_control(text)
