"""Who waits for a step, on a real server with readers and writers."""

from __future__ import annotations

import pytest

from pytest_prodready.environment.postgres import PostgresServer
from tests.services.migration_traffic.stepping import safely, sql, worked

ADD = "ALTER TABLE jobs ADD COLUMN x text"


def test_a_long_lock_stalls_everyone(stepped: PostgresServer) -> None:
    """The server names the migration, its statement and the table; the canary goes on."""
    run = worked(stepped, sql(stepped, *safely("LOCK TABLE jobs", "SELECT pg_sleep(1)"))).run
    for stall in (run.reads, run.writes):
        assert stall.behind_ms > 700
        assert (stall.table, stall.behind, stall.queued) == ("jobs", "SELECT pg_sleep(1)", False)
    held = {each.mode: each for each in run.locks if each.table == "jobs"}
    assert held["AccessExclusiveLock"].held_ms > 700
    assert run.canary_ms < run.reads.behind_ms


def test_a_lock_that_lets_readers_pass(stepped: PostgresServer) -> None:
    """Writers wait, readers don't."""
    run = worked(stepped, sql(stepped, *safely("LOCK TABLE jobs IN SHARE MODE", "SELECT pg_sleep(1)"))).run
    assert run.writes.behind_ms > 700
    assert run.reads.behind_ms == 0
    assert run.reads.statements > 10


def test_locked_rows_stall_their_writers(stepped: PostgresServer) -> None:
    """One transaction that updates all rows keeps every writer waiting until it commits."""
    run = worked(stepped, sql(stepped, *safely("UPDATE jobs SET n = n + 1", "SELECT pg_sleep(1)"))).run
    assert run.writes.behind_ms > 700
    assert run.reads.behind_ms == 0


def test_a_step_that_nobody_notices(stepped: PostgresServer) -> None:
    """A column without a default takes a moment; nobody is said to have waited for long."""
    run = worked(stepped, sql(stepped, *safely(ADD))).run
    assert run.ran
    assert max(run.reads.behind_ms, run.writes.behind_ms) < 500


@pytest.mark.parametrize(
    ("statements", "attempts", "longest_ms"),
    [
        (safely(ADD), 40, 600),
        (safely(ADD), 1, 600),
        (["CREATE INDEX CONCURRENTLY i ON jobs (title)"], 1, 0),
    ],
    ids=["tries again", "gives up", "concurrently"],
)
def test_who_leaves_the_queue(
    stepped: PostgresServer, statements: list[str], attempts: int, longest_ms: float
) -> None:
    """With a lock_timeout a step stays no longer; a concurrent build isn't in anyone's way."""
    run = worked(stepped, sql(stepped, *statements, attempts=attempts), left_open=True).run
    assert max((each.waited_ms for each in run.locks), default=0.0) <= longest_ms
    assert run.ran == (attempts > 1 or longest_ms == 0)
    assert run.open_s > 0


@pytest.mark.parametrize(
    ("statement", "mode", "readers_wait"),
    [
        (ADD, "AccessExclusiveLock", True),
        ("CREATE INDEX i ON jobs (title)", "ShareLock", False),
        ("ALTER TABLE jobs ADD FOREIGN KEY (org) REFERENCES orgs", "ShareRowExclusiveLock", False),
        ("TRUNCATE jobs", "AccessExclusiveLock", True),
    ],
)
def test_who_stays_in_the_queue(
    stepped: PostgresServer, statement: str, mode: str, readers_wait: bool
) -> None:
    """Without one it waits for as long as the transaction is left open, and others wait behind it."""
    run = worked(stepped, sql(stepped, statement), left_open=True).run
    waited = {each.mode: each.waited_ms for each in run.locks}
    assert waited[mode] > 1500
    assert run.writes.behind_ms > 1500
    assert run.writes.queued
    assert (run.reads.behind_ms > 1500) == readers_wait
    assert run.open_s > 1.9


def test_what_clients_address_may_go(stepped: PostgresServer) -> None:
    """A renamed table is found again, a dropped one is left alone: neither is an error of a client."""
    steps = ("ALTER TABLE jobs RENAME TO positions", "SELECT pg_sleep(0.3)", "DROP TABLE positions")
    run = worked(stepped, sql(stepped, *steps, "SELECT pg_sleep(0.2)")).run
    assert run.ran, run.printed
    assert (run.reads.errors, run.writes.errors) == ((), ())


def test_nothing_is_left(stepped: PostgresServer) -> None:
    """No session of ours outlives the run, and a failed step is told with its words."""
    run = worked(stepped, sql(stepped, "ALTER TABLE nowhere ADD x int")).run
    assert run.status == 1
    assert 'relation "nowhere" does not exist' in run.printed
    with stepped.connect("postgres") as admin:
        row = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'prodready %'"
        ).fetchone()
    assert row == (0,)
