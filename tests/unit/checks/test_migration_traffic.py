"""Verdicts on a migration under traffic, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.migration_hazards import static_hazards
from pytest_prodready.checks.migration_locks import (
    constraints_validated_apart,
    indexes_built_concurrently,
    no_table_rewrite,
    nothing_more_under_access_exclusive,
)
from pytest_prodready.checks.migration_stalls import lock_timeout, reads_not_stalled, writes_not_stalled
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.migration_squawk import Hazard, Remarks
from pytest_prodready.probes.migration_traffic import (
    Built,
    Defined,
    LockHeld,
    Meanwhile,
    Rewritten,
    Run,
    Stall,
    Step,
    Touched,
    Traffic,
    Validated,
)
from pytest_prodready.records import as_data
from pytest_prodready.settings.migration_traffic import MigrationTrafficSettings

PASSED, FAILED, INCONCLUSIVE, UNVERIFIED = (
    Verdict.PASSED,
    Verdict.FAILED,
    Verdict.INCONCLUSIVE,
    Verdict.UNVERIFIED,
)
LIMITS = MigrationTrafficSettings()
EXCLUSIVE, SHARE, APART = "AccessExclusiveLock", "ShareLock", "ShareUpdateExclusiveLock"
CALM = Stall(statements=90, longest_ms=12.0)
BUSY = Run(
    status=0,
    seconds=1.2,
    printed="",
    reads=CALM,
    writes=CALM,
    canary_ms=9.0,
    control_ms=11.0,
    gap_ms=25.0,
)
BEHIND = replace(BUSY, locks=(LockHeld("jobs", EXCLUSIVE, 240.0, 3.0),), open_s=2.0)
JOBS = Touched("jobs", 20_000, filled=True)
STEP = Step("0002", touched=(JOBS,), busy=BUSY, behind=BEHIND)
SEEN = Traffic(steps=(Step("0001"), STEP), server="17.2", squawk="2.70.0")


def with_step(**changes: Any) -> Traffic:
    """A migration whose second step is another."""
    return replace(SEEN, steps=(Step("0001"), replace(STEP, **changes)))


def busy(**changes: Any) -> Traffic:
    """A migration whose second step ran otherwise beside traffic."""
    return with_step(busy=replace(BUSY, **changes))


def behind(**changes: Any) -> Traffic:
    """A migration whose second step ran otherwise behind an open transaction."""
    return with_step(behind=replace(BEHIND, **changes))


def defining(**changes: Any) -> Traffic:
    """A migration whose second step defines this."""
    return with_step(defined=Defined(**changes))


def holds(finding: Finding, verdict: Verdict, says: str, change: str = "") -> None:
    """The finding has this verdict, and these words in its summary and its remedy."""
    assert finding.verdict is verdict, finding.summary
    assert says in finding.summary
    assert change in finding.remedy


# What every check has to say where nothing can be told.
NOTHING = [
    (Traffic(doubt="its steps can't be told apart"), "its steps can't be told apart"),
    (Traffic(squawk="2.70.0"), "no step"),
    (
        replace(SEEN, steps=(Step("0003", doubt="it ended with status 1 on empty tables: no"),)),
        "0003: it ended",
    ),
]
CHECKS = [
    reads_not_stalled,
    writes_not_stalled,
    lock_timeout,
    no_table_rewrite,
    indexes_built_concurrently,
    constraints_validated_apart,
    nothing_more_under_access_exclusive,
    static_hazards,
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("seen", "says"), NOTHING)
def test_nothing_known(check: Any, seen: Traffic, says: str) -> None:
    """No data is never a pass."""
    holds(check(seen, LIMITS), INCONCLUSIVE, says)


@pytest.mark.parametrize("check", CHECKS)
def test_all_well(check: Any) -> None:
    """A healthy migration passes everything, and so does one whose only step makes new tables."""
    holds(check(SEEN, LIMITS), PASSED, "2 steps, 1 on tables with rows")
    first = replace(SEEN, steps=(Step("0001"),), left_out=4)
    holds(check(first, LIMITS), PASSED, "1 step, none of which touches a table that has rows")


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in (lock_timeout, static_hazards)])
def test_step_that_fails_on_rows(check: Any) -> None:
    """What a step does that breaks off half way isn't known, and its last words are told."""
    broken = busy(status=1, printed="Traceback:\ncolumn contains null values\n")
    holds(check(broken, LIMITS), INCONCLUSIVE, "it ended with status 1 on tables with rows: column contains")
    holds(check(busy(status=None), LIMITS), INCONCLUSIVE, "was still running")


@pytest.mark.parametrize(
    ("stall", "changes", "verdict", "says"),
    [
        (Stall(9, 510.0, 499.0, table="jobs"), {}, INCONCLUSIVE, "took 510 ms without waiting for a lock"),
        (Stall(9, 499.0, 480.0, table="jobs"), {}, PASSED, "was 480 ms"),
        (
            Stall(9, 1800.0, 1790.0, behind="ALTER TABLE jobs …", table="jobs"),
            {},
            FAILED,
            "of jobs waited 1,790 ms while the migration held its locks (ALTER TABLE jobs …)",
        ),
        (
            Stall(9, 1800.0, 1790.0, queued=True, behind="ALTER", table="jobs"),
            {},
            FAILED,
            "while the migration queued for a lock",
        ),
        (
            Stall(9, 1800.0, 1790.0, table="jobs"),
            {"canary_ms": 900.0},
            INCONCLUSIVE,
            "the machine alone made statements wait 900 ms",
        ),
        (Stall(9, 1800.0, 1790.0, table="jobs"), {"control_ms": 700.0}, INCONCLUSIVE, "700 ms"),
        (Stall(9, 900.0), {}, INCONCLUSIVE, "took 900 ms without waiting for a lock of the migration"),
        (CALM, {"gap_ms": 800.0}, INCONCLUSIVE, "not looked at for 800 ms"),
        (CALM, {"doubt": "the locks could not be watched: gone"}, INCONCLUSIVE, "could not be watched"),
        (Stall(9, 20.0, errors=("DeadlockDetected",)), {}, FAILED, "ended by a deadlock"),
        (Stall(9, 20.0, errors=("OperationalError",)), {}, INCONCLUSIVE, "ended before it did: Operational"),
        (Stall(9, 20.0, errors=("CheckViolation",)), {}, PASSED, "was 0 ms"),
        # Nobody can have waited longer than the step took; in a longer one, somebody should have come.
        (Stall(0, 0.0), {"seconds": 0.4}, PASSED, "was 0 ms"),
        (Stall(0, 0.0), {}, INCONCLUSIVE, "came in the 1.2 s that it took"),
    ],
)
def test_stalls(stall: Stall, changes: dict[str, Any], verdict: Verdict, says: str) -> None:
    """A wait counts where the server names the migration, and never where the machine stalled."""
    holds(reads_not_stalled(busy(reads=stall, **changes), LIMITS), verdict, says)
    holds(writes_not_stalled(busy(writes=stall, **changes), LIMITS), verdict, says)


def test_readers_are_not_writers() -> None:
    """Who keeps writers out may let readers pass."""
    seen = busy(writes=Stall(9, 900.0, 890.0, behind="CREATE INDEX", table="jobs"))
    holds(reads_not_stalled(seen, LIMITS), PASSED, "the longest wait of reads was 0 ms")
    holds(writes_not_stalled(seen, LIMITS), FAILED, "0002: writes of jobs waited 890 ms")


def test_limit_is_a_setting() -> None:
    """A service that can wait says so."""
    seen = busy(reads=Stall(9, 900.0, 890.0, table="jobs"))
    finding = reads_not_stalled(seen, MigrationTrafficSettings(stall_ms=2000))
    assert (finding.verdict, finding.limits) == (PASSED, {"stall_ms": 2000})


LONG = LockHeld("jobs", EXCLUSIVE, 1990.0, 2.0)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, PASSED, "0002 gives up its place in a queue after 240 ms"),
        (behind(status=1), PASSED, "and leaves it to the next deploy to try again"),
        (behind(locks=(), open_s=0.0), PASSED, "none waits for a lock that keeps others waiting"),
        (
            behind(locks=(LONG,), reads=Stall(9, 2001.0, 1995.0, queued=True, table="jobs")),
            FAILED,
            "0002 waited 1,990 ms for ACCESS EXCLUSIVE on jobs behind a transaction left open"
            " (lock_timeout unknown), and others 1,995 ms behind it",
        ),
        (behind(locks=(LockHeld("jobs", SHARE, 900.0, 2.0),)), FAILED, "for SHARE on jobs"),
        (
            with_step(behind=replace(BEHIND, locks=(LONG,)), defined=Defined(lock_timeouts_ms=(0, 250))),
            FAILED,
            "no lock_timeout in its session",
        ),
        (
            with_step(behind=replace(BEHIND, locks=(LONG,)), defined=Defined(lock_timeouts_ms=(5000,))),
            FAILED,
            "lock_timeout 5,000 ms",
        ),
        (
            with_step(
                behind=replace(BEHIND, locks=(LONG,), canary_ms=800.0),
                defined=Defined(lock_timeouts_ms=(250,)),
            ),
            INCONCLUSIVE,
            "in spite of its lock_timeout, on a machine that stalls for 800 ms",
        ),
        (behind(locks=(), gap_ms=900.0), INCONCLUSIVE, "not looked at for 900 ms"),
        (
            behind(locks=(), open_s=0.0, status=1, printed="could not connect\n"),
            INCONCLUSIVE,
            "0002: it ended with status 1 on tables with rows: could not connect",
        ),
        (
            behind(locks=(), open_s=0.0, status=1, printed='could not obtain lock on relation "jobs"\n'),
            PASSED,
            "none waits",
        ),
        (
            with_step(behind=replace(BEHIND, locks=(), status=1), defined=Defined(lock_timeouts_ms=(5,))),
            PASSED,
            "none waits",
        ),
        (
            behind(locks=(), doubt="the locks could not be watched: gone"),
            INCONCLUSIVE,
            "could not be watched",
        ),
    ],
)
def test_lock_timeout(seen: Traffic, verdict: Verdict, says: str) -> None:
    """A step leaves the queue soon, whether it tries again or not; what never queues needs no limit."""
    holds(lock_timeout(seen, LIMITS), verdict, says)


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (
            defining(rewritten=(Rewritten("jobs", 20_000, 5 << 20),)),
            FAILED,
            "writes jobs anew, here 20,000 rows",
        ),
        (defining(rewritten=(Rewritten("settings", 12, 8192),)), PASSED, "no table is written anew"),
    ],
)
def test_no_table_rewrite(seen: Traffic, verdict: Verdict, says: str) -> None:
    """A large table isn't written anew; a small one may be."""
    holds(no_table_rewrite(seen, LIMITS), verdict, says)


@pytest.mark.parametrize(
    ("seen", "verdict", "says", "change"),
    [
        (defining(built=(Built("i", "jobs", 20_000, ""),)), PASSED, "1 index of tables in use", ""),
        (
            defining(built=(Built("i", "jobs", 20_000, SHARE),)),
            FAILED,
            "0002 builds i on jobs (20,000 rows here) under SHARE",
            "CREATE INDEX CONCURRENTLY i ON jobs",
        ),
        (
            defining(built=(Built("i", "jobs", 20_000, EXCLUSIVE, constraint=True),)),
            FAILED,
            "under ACCESS EXCLUSIVE",
            "ADD CONSTRAINT … USING INDEX",
        ),
        (defining(built=(Built("i", "settings", 12, SHARE),)), PASSED, "1 index", ""),
        (defining(invalid=("i",)), FAILED, "leaves i invalid", "DROP INDEX CONCURRENTLY i"),
    ],
)
def test_indexes_built_concurrently(seen: Traffic, verdict: Verdict, says: str, change: str) -> None:
    """Indexes of large tables are built beside the writes, and are valid."""
    holds(indexes_built_concurrently(seen, LIMITS), verdict, says, change)


@pytest.mark.parametrize(
    ("validated", "verdict", "says", "change"),
    [
        (Validated("jobs", "constraint c", 20_000, APART, "check"), PASSED, "1 constraint of tables", ""),
        (
            Validated("jobs", "constraint c", 20_000, EXCLUSIVE, "check"),
            FAILED,
            "0002 searches jobs (20,000 rows here) for constraint c under ACCESS EXCLUSIVE",
            "ADD CONSTRAINT c … NOT VALID",
        ),
        (
            Validated("jobs", "constraint f", 20_000, "ShareRowExclusiveLock", "foreign key"),
            FAILED,
            "under SHARE ROW EXCLUSIVE",
            "VALIDATE CONSTRAINT f",
        ),
        (
            Validated("jobs", "NOT NULL of title", 20_000, EXCLUSIVE, "not null"),
            FAILED,
            "for NOT NULL of title",
            "CHECK (title IS NOT NULL) NOT VALID",
        ),
        (Validated("settings", "constraint c", 12, EXCLUSIVE, "check"), PASSED, "1 constraint", ""),
    ],
)
def test_constraints_validated_apart(validated: Validated, verdict: Verdict, says: str, change: str) -> None:
    """Rows of large tables are searched under a lock that lets others work."""
    holds(constraints_validated_apart(defining(validated=(validated,)), LIMITS), verdict, says, change)


def meanwhile(seconds: float, **changes: Any) -> Traffic:
    """A migration whose second step updates rows for so long under its lock."""
    more = Meanwhile("UPDATE jobs\n  SET n = 1", ("jobs",), seconds)
    return with_step(defined=Defined(meanwhile=(more,)), busy=replace(BUSY, **changes))


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (meanwhile(0.08), PASSED, "nothing that takes time"),
        (
            meanwhile(0.4),
            FAILED,
            "0002 runs UPDATE jobs SET n = 1 for 400 ms while it holds ACCESS EXCLUSIVE on jobs",
        ),
        (meanwhile(0.4, canary_ms=300.0), INCONCLUSIVE, "on a machine that stalls for 300 ms"),
        (meanwhile(0.8, canary_ms=300.0), FAILED, "for 800 ms"),
        (meanwhile(0.8, gap_ms=150.0), FAILED, "for 800 ms"),
        (meanwhile(0.08, gap_ms=150.0), INCONCLUSIVE, "not looked at for 150 ms"),
        (defining(meanwhile=(Meanwhile("", ("jobs",), 2.0),)), FAILED, "0002 runs nothing for 2,000 ms"),
    ],
)
def test_nothing_more_under_access_exclusive(seen: Traffic, verdict: Verdict, says: str) -> None:
    """What takes time isn't done under a lock that something before it took."""
    holds(nothing_more_under_access_exclusive(seen, LIMITS), verdict, says)


def remarked(*rules: str, **changes: Any) -> Traffic:
    """A migration about whose second step squawk says this."""
    hazards = tuple(Hazard(rule, "…", "ALTER TABLE jobs DROP COLUMN title;") for rule in rules)
    return with_step(remarks=Remarks(hazards), **changes)


@pytest.mark.parametrize(
    ("seen", "accepted", "verdict", "says"),
    [
        (
            remarked("ban-drop-column"),
            (),
            FAILED,
            "0002: ban-drop-column (ALTER TABLE jobs DROP COLUMN title)",
        ),
        (remarked("ban-drop-column"), ("ban-drop-column",), PASSED, "finds no hazard"),
        (remarked("ban-drop-column"), ("0002:ban-drop-column",), PASSED, "finds no hazard"),
        (remarked("ban-drop-column"), ("0001:ban-drop-column",), FAILED, "ban-drop-column"),
        (remarked("prefer-text-field", "require-lock-timeout"), (), PASSED, "finds no hazard"),
        (remarked("require-concurrent-index-creation"), (), PASSED, "finds no hazard"),
        (
            remarked("require-concurrent-index-creation", busy=None, behind=None, doubt="no rows"),
            (),
            FAILED,
            "require-concurrent-index-creation",
        ),
        (with_step(remarks=Remarks(doubt="squawk ended with status 2")), (), INCONCLUSIVE, "status 2"),
        (replace(SEEN, squawk=""), (), UNVERIFIED, "pip install 'pytest-prodready[migrations]'"),
    ],
)
def test_static_hazards(seen: Traffic, accepted: tuple[str, ...], verdict: Verdict, says: str) -> None:
    """Hazards count, style doesn't; what is measured is left to the measurement."""
    holds(static_hazards(seen, MigrationTrafficSettings(squawk_accept=accepted)), verdict, says)


def test_measurement_survives_recording() -> None:
    """What is recorded is read back as it was, for --prodready-judge."""
    seen = remarked(
        "ban-drop-column", defined=Defined(built=(Built("i", "jobs", 3, SHARE),), lock_timeouts_ms=(0,))
    )
    assert TypeAdapter(Traffic).validate_python(as_data(seen)) == seen
