"""What the servers did at the peak, from literals: counters, waits, and their words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_prodready.probes.load import Load
from pytest_prodready.probes.load_parts import Asked, Awaited, Rise
from pytest_prodready.probes.load_servers import awaited, peak_rise
from pytest_prodready.reports.load_chart import load_chart
from pytest_prodready.reports.load_notes import asked_words, awaited_words, notes_on, server_words
from tests.unit.checks.loads import load, look, stage

STAGES = load().stages
COUNTERS = {
    "postgres xact_commit": 4000.0,
    "postgres xact_rollback": 20.0,
    "postgres blks_hit": 999.0,
    "postgres blks_read": 1.0,
    "redis keyspace_hits": 300.0,
    "redis keyspace_misses": 100.0,
}


def test_counters_of_the_peak() -> None:
    """What rose within the highest stage, less what the gate's own looks have added."""
    looks = [(float(at), {"postgres xact_commit": 100.0 * at, "postgres deadlocks": 1.0}) for at in range(40)]
    found = peak_rise(looks, [at / 10 for at in range(400)], STAGES)
    assert found == Rise("10x", 15.0, {"postgres xact_commit": 1350.0})
    assert peak_rise(looks[:10], [], STAGES) is None
    assert peak_rise(looks, [], ()) is None


def test_waits_have_their_stage() -> None:
    """What was seen before the load and in its warm-up isn't told."""
    seen = [
        (-1.0, "Lock: tuple"),
        (4.0, "IO: read"),
        *((12.0, "IO: fsync"),) * 3,
        *((20.0, "Lock: tuple") for _ in range(7)),
    ]
    found = awaited(seen, STAGES)
    assert found == (
        Awaited("Lock: tuple", "10x", 7),
        Awaited("IO: fsync", "4x", 3),
        Awaited("IO: read", "1x", 1),
    )
    assert awaited_words(load(awaited=found)) == [
        "backends in use waited for Lock: tuple at 10x (7 looks), IO: fsync at 4x (3 looks)"
    ]


def test_servers_have_a_line_each() -> None:
    """What isn't there isn't told."""
    assert server_words(Rise("10x", 10.0, COUNTERS)) == [
        "postgres at 10x: 400 commits/s, 2 rollbacks/s, 99.9% of blocks from its buffers",
        "redis at 10x: 75.0% hits, 10 misses/s, 0 evictions/s",
    ]
    only = {name: count for name, count in COUNTERS.items() if name.startswith("postgres")}
    (line,) = server_words(Rise("10x", 10.0, {**only, "postgres temp_files": 3.0}))
    assert line.endswith("3 temporary files")
    assert notes_on(load())[-1].startswith("writes: ")


@pytest.mark.parametrize("kind", ["idle_in_transaction", "waiting"])
def test_hindered_backends_have_a_lane_if_there_were_any(kind: str) -> None:
    """Waiting for a lock, and idle in a transaction."""
    name = {"idle_in_transaction": ">idle<", "waiting": ">waiting<"}[kind]
    assert name not in load_chart(load())
    pool = tuple(look(at / 10, in_use=3, **{kind: at % 3}) for at in range(380))
    assert name in load_chart(load(pool=pool))


def short_of(goodput: float) -> Load:
    """A load whose peak asked for 200/s and got this."""
    return load(stage("10x", 10, 15, 15, goodput=goodput))


def test_what_was_asked_for_is_drawn_beside_what_was_answered() -> None:
    """Where they differ, p95 is drawn over both."""
    assert "dashed: by due/s" in load_chart(short_of(120.0))
    assert "10x: 120 of 200/s, p95" in load_chart(short_of(120.0))
    assert "dashed: by due/s" not in load_chart(short_of(200.0))


def test_requests_stand_below_the_picture() -> None:
    """Each request's p95 at the highest load, in lines that aren't too long."""
    asked = tuple(Asked(f"a request with a long name {n}", 10 * n, 2.0, 100.0 - n) for n in range(12))
    lines = asked_words(load(stage("10x", 10, 15, 15, asked=asked)))
    assert lines[0].startswith("p95 by request at 10x: a request with a long name 0 100 ms (0 times),")
    assert lines[-1].endswith("and 4 more")
    assert max(len(each) for each in lines) <= 120
    assert asked_words(load()) == []
    assert replace(load(), stages=()).climb == ()
