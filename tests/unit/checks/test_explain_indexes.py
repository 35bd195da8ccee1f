"""Verdicts on the audit of indexes, from literals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_prodready.checks.explain_index_use import indexes_not_bloated, indexes_used, sequences_last
from pytest_prodready.checks.explain_indexes import foreign_keys_indexed, indexes_valid, no_duplicate_index
from pytest_prodready.findings import Finding, Verdict
from pytest_prodready.probes.index_facts import ForeignKey, Index, Indexes, Key, Sequence, Table
from pytest_prodready.records import as_data
from pytest_prodready.settings import ExplainSettings

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
LIMITS = ExplainSettings()
MIB = 1024 * 1024


def columns(*names: str, **changes: Any) -> tuple[Key, ...]:
    """Keys of columns with these names."""
    return tuple(Key(name, name, "int8_ops", **changes) for name in names)


def on_jobs(name: str, *names: str, **changes: Any) -> Index:
    """An index of the table jobs."""
    return Index(name, "jobs", columns(*names), **changes)


JOBS = Table("jobs", 20_000)
PRIMARY = on_jobs("jobs_pkey", "id", unique=True, constraint="jobs_pkey")
KEY = ForeignKey("jobs_org_fkey", "jobs", ("org",), "orgs")
PAIR = ForeignKey("jobs_pair_fkey", "jobs", ("tenant", "org"), "orgs")
SEEN = Indexes("gate", (JOBS,), (PRIMARY,), (KEY,))
EMPTY = Indexes("gate")


def with_indexes(*indexes: Index, **changes: Any) -> Indexes:
    """The audit with these indexes beside the primary key's."""
    return replace(SEEN, indexes=(PRIMARY, *indexes), **changes)


def holds(finding: Finding, verdict: Verdict, says: str) -> None:
    """The finding has this verdict and these words in its summary."""
    assert finding.verdict is verdict, finding.summary
    assert says in finding.summary


@pytest.mark.parametrize(
    ("seen", "verdict", "says"),
    [
        (SEEN, FAILED, "1 of 1 foreign key without an index: jobs (org)"),
        (with_indexes(on_jobs("i", "org", "day")), PASSED, "1 foreign key, each"),
        (with_indexes(on_jobs("i", "day", "org")), FAILED, "jobs (org)"),
        (with_indexes(on_jobs("i", "org", predicate="(org IS NOT NULL)")), PASSED, "each"),
        (with_indexes(on_jobs("i", "org", predicate="(day IS NOT NULL)")), FAILED, "jobs (org)"),
        (with_indexes(on_jobs("i", "org", usable=False)), FAILED, "jobs (org)"),
        (with_indexes(Index("i", "other", columns("org"))), FAILED, "jobs (org)"),
        (with_indexes(Index("i", "jobs", columns("org", collation='"C"'))), FAILED, "jobs (org)"),
        (with_indexes(on_jobs("i", "org", method="hash")), PASSED, "each"),
        (with_indexes(on_jobs("i", "org", "tenant"), foreign_keys=(PAIR,)), PASSED, "each"),
        (with_indexes(on_jobs("i", "tenant"), foreign_keys=(PAIR,)), FAILED, "jobs (tenant, org)"),
        (with_indexes(on_jobs("i", "tenant", unique=True), foreign_keys=(PAIR,)), PASSED, "each"),
        (
            with_indexes(
                on_jobs("i", "org", "tenant", predicate="((tenant IS NOT NULL) AND (org IS NOT NULL))"),
                foreign_keys=(PAIR,),
            ),
            PASSED,
            "each",
        ),
        (replace(SEEN, foreign_keys=()), PASSED, "0 foreign keys"),
        (EMPTY, INCONCLUSIVE, "no table"),
    ],
)
def test_foreign_keys_indexed(seen: Indexes, verdict: Verdict, says: str) -> None:
    """A key is served by a valid index that begins with its columns, or has one row for them at most."""
    holds(foreign_keys_indexed(seen, LIMITS), verdict, says)


def test_missing_index_is_told_as_sql() -> None:
    """What to run is a statement, with a name that isn't taken, or the invalid index is built again."""
    taken = Index("jobs_org_idx", "jobs", columns("day"))
    finding = foreign_keys_indexed(with_indexes(taken), LIMITS)
    assert finding.change == "CREATE INDEX CONCURRENTLY jobs_org_idx1 ON jobs (org)"
    invalid = on_jobs("broken", "org", usable=False)
    assert foreign_keys_indexed(with_indexes(invalid), LIMITS).change == "REINDEX INDEX CONCURRENTLY broken"


def test_declared_small_table_is_left_out() -> None:
    """A table that has few rows in production needs no index, and the finding says that it was left out."""
    finding = foreign_keys_indexed(SEEN, ExplainSettings(rows={"jobs": 200}))
    holds(finding, PASSED, "1 key of small tables left out")
    holds(foreign_keys_indexed(SEEN, ExplainSettings(rows={"jobs": 20_000})), FAILED, "jobs (org)")


def test_partitions_may_have_their_own_indexes() -> None:
    """A partitioned table's key is served by its own index, or by one of each partition."""
    tables = (
        Table("jobs", 9, partitioned=True),
        Table("jobs_1", 4, parent="jobs"),
        Table("jobs_2", 5, parent="jobs"),
    )
    one, two = Index("a", "jobs_1", columns("org")), Index("b", "jobs_2", columns("org"))
    holds(foreign_keys_indexed(with_indexes(one, two, tables=tables), LIMITS), PASSED, "each")
    finding = foreign_keys_indexed(with_indexes(one, tables=tables), LIMITS)
    holds(finding, FAILED, "jobs (org)")
    assert finding.change.startswith("CREATE INDEX jobs_org_idx ON jobs (org) (of a partitioned table")


LONG = on_jobs("long", "a", "b", "c")
SHORT = on_jobs("short", "a", "b")


@pytest.mark.parametrize(
    ("indexes", "says"),
    [
        ((LONG, replace(LONG, name="twin")), "twin equals long on jobs (a, b, c)"),
        ((LONG, SHORT), "short is the beginning of long on jobs (a, b, c)"),
        ((on_jobs("twin", "id"),), "twin equals jobs_pkey"),
        ((on_jobs("u", "a", unique=True), on_jobs("twin", "a")), "twin equals u"),
        ((replace(LONG, included=("d",)), replace(SHORT, included=("c", "d"))), "short is the beginning"),
        ((replace(LONG, method="gin"), replace(LONG, name="twin", method="gin")), "twin equals long"),
        ((replace(LONG, predicate="a > 1"), replace(SHORT, predicate="a > 1")), "short is"),
    ],
)
def test_superfluous_index(indexes: tuple[Index, ...], says: str) -> None:
    """An index that equals another or is its beginning is told, with the one that stays."""
    finding = no_duplicate_index(with_indexes(*indexes))
    holds(finding, FAILED, says)
    assert finding.change == f"DROP INDEX CONCURRENTLY {says.split(maxsplit=1)[0]}"


@pytest.mark.parametrize(
    "indexes",
    [
        (LONG, replace(SHORT, unique=True)),
        (LONG, replace(SHORT, constraint="excluded")),
        (LONG, replace(SHORT, replica_identity=True)),
        (LONG, replace(SHORT, parent="whole")),
        (LONG, replace(SHORT, table="others")),
        (LONG, replace(SHORT, predicate="a > 1")),
        (LONG, replace(SHORT, included=("d",))),
        (LONG, on_jobs("other order", "b", "a")),
        (LONG, replace(SHORT, keys=columns("a", "b", descending=True))),
        (LONG, replace(SHORT, keys=columns("a", "b", collation='"C"'))),
        (LONG, replace(SHORT, keys=(Key("a", "a", "text_pattern_ops"),))),
        (replace(LONG, method="gin"), replace(SHORT, method="gin")),
        (replace(LONG, usable=False), SHORT),
        (LONG, replace(SHORT, usable=False)),
        (),
    ],
)
def test_index_with_a_purpose(indexes: tuple[Index, ...]) -> None:
    """What differs in anything that matters, or is more than an index, isn't superfluous."""
    holds(no_duplicate_index(with_indexes(*indexes)), PASSED, "none of them superfluous")


def test_of_equals_one_stays() -> None:
    """Of three that are equal two may go, and of a chain of beginnings the longest stays."""
    three = tuple(replace(LONG, name=name) for name in ("x", "y", "z"))
    assert no_duplicate_index(with_indexes(*three)).change.count("DROP") == 2
    chain = (on_jobs("one", "a"), SHORT, LONG)
    finding = no_duplicate_index(with_indexes(*chain))
    assert finding.summary.count("the beginning of long") == 2


def test_nothing_to_compare() -> None:
    """Without tables the audit can't tell."""
    for finding in (
        no_duplicate_index(EMPTY),
        indexes_valid(EMPTY),
        indexes_used(EMPTY, LIMITS),
        indexes_not_bloated(EMPTY, LIMITS),
        sequences_last(EMPTY, LIMITS),
    ):
        holds(finding, INCONCLUSIVE, "no table")


@pytest.mark.parametrize(
    ("index", "change"),
    [
        (on_jobs("i", "a"), "REINDEX INDEX CONCURRENTLY i"),
        (on_jobs("i", "a", unique=True), "REINDEX INDEX CONCURRENTLY i, once no two rows are equal in it"),
        (on_jobs("i_ccnew1", "a"), "DROP INDEX CONCURRENTLY i_ccnew1"),
        (on_jobs('"S".i_ccold', "a"), 'DROP INDEX CONCURRENTLY "S".i_ccold'),
        (on_jobs("i", "a", partitioned=True), "ALTER INDEX i ATTACH PARTITION"),
    ],
)
def test_invalid_index(index: Index, change: str) -> None:
    """An invalid index is built again; what a failed REINDEX left behind is dropped."""
    finding = indexes_valid(with_indexes(replace(index, usable=False)))
    holds(finding, FAILED, f"1 of 2 indexes invalid: {index.name} on jobs (a)")
    assert finding.change.startswith(change)


def test_index_being_built() -> None:
    """An index that somebody is building isn't a defect."""
    building = on_jobs("i", "a", usable=False, building=True)
    holds(indexes_valid(with_indexes(building)), PASSED, "1 index being built at this moment")
    holds(indexes_valid(SEEN), PASSED, "1 index, all valid")


IDLE = on_jobs("idle", "a", size_bytes=20 * MIB)


@pytest.mark.parametrize(
    ("indexes", "verdict", "says"),
    [
        ((IDLE,), FAILED, "nothing used in this run: idle on jobs (20 MB)"),
        ((replace(IDLE, scans=1),), PASSED, "2 indexes, 1 of them large and optional, all used"),
        ((replace(IDLE, size_bytes=9 * MIB),), PASSED, "2 indexes, 0 of them"),
        ((replace(IDLE, unique=True),), PASSED, "2 indexes, 0 of them"),
        ((replace(IDLE, constraint="c"),), PASSED, "2 indexes, 0 of them"),
        ((replace(IDLE, usable=False),), PASSED, "2 indexes, 0 of them"),
        ((replace(IDLE, keys=columns("org")),), PASSED, "2 indexes, 0 of them"),
        ((replace(IDLE, keys=columns("org")), on_jobs("other", "org", "b")), FAILED, "idle"),
        (
            (
                on_jobs("whole", "a", partitioned=True),
                replace(IDLE, name="part", parent="whole"),
                replace(IDLE, name="part2", parent="whole", scans=4),
            ),
            PASSED,
            "4 indexes, 1 of them",
        ),
        (
            (on_jobs("whole", "a", partitioned=True), replace(IDLE, name="part", parent="whole")),
            FAILED,
            "whole on jobs (20 MB)",
        ),
    ],
)
def test_unused_index(indexes: tuple[Index, ...], verdict: Verdict, says: str) -> None:
    """A large index without scans is told, unless something else needs it; parts count as their whole."""
    holds(indexes_used(with_indexes(*indexes), LIMITS), verdict, says)


def test_unused_index_of_a_busy_server() -> None:
    """On a server that was there before, it says since when."""
    seen = replace(with_indexes(IDLE), origin="external", counted_since="2026-01-31")
    holds(indexes_used(seen, LIMITS), FAILED, "nothing used since 2026-01-31: idle")


SWOLLEN = on_jobs("swollen", "a", size_bytes=300 * MIB, wasted_bytes=200 * MIB, wasted_by="estimate")


@pytest.mark.parametrize(
    ("index", "verdict", "says"),
    [
        (SWOLLEN, FAILED, "swollen on jobs: 200 MB of 300 MB are empty by an estimate"),
        (replace(SWOLLEN, wasted_by="pgstattuple"), FAILED, "are empty"),
        (replace(SWOLLEN, wasted_bytes=90 * MIB), PASSED, "2 indexes, 90 MB of bloat at most"),
        (replace(SWOLLEN, wasted_bytes=None), INCONCLUSIVE, "could not be measured in swollen"),
        (replace(SWOLLEN, wasted_bytes=None, size_bytes=9 * MIB), PASSED, "0.0 MB of bloat at most"),
    ],
)
def test_bloat(index: Index, verdict: Verdict, says: str) -> None:
    """Only much wasted room counts; what is too small to waste as much needs no measurement."""
    holds(indexes_not_bloated(with_indexes(index), LIMITS), verdict, says)


SERIAL = Sequence(
    "jobs_id_seq",
    2_000_000_000,
    1,
    2**31 - 1,
    table="jobs",
    column="id",
    type="integer",
    column_maximum=2**31 - 1,
    column_minimum=-(2**31),
)
BIG = replace(SERIAL, maximum=2**63 - 1, type="bigint", column_maximum=2**63 - 1, column_minimum=-(2**63))


@pytest.mark.parametrize(
    ("sequence", "verdict", "says"),
    [
        (SERIAL, FAILED, "jobs_id_seq for jobs.id (integer) is at 2,000,000,000 of 2,147,483,647, 93%"),
        (replace(SERIAL, maximum=2**63 - 1), FAILED, "of 2,147,483,647"),
        (replace(SERIAL, cycles=True, maximum=2**63 - 1), FAILED, "of 2,147,483,647"),
        (replace(SERIAL, cycles=True), PASSED, "0.0%"),
        (replace(SERIAL, last=None), PASSED, "1 sequence"),
        (replace(SERIAL, last=None, hidden=True), INCONCLUSIVE, "may not read jobs_id_seq"),
        (replace(SERIAL, last=1_000_000_000), PASSED, "46.6%"),
        (replace(SERIAL, minimum=-(2**31), last=1_000_000_000), PASSED, "73.3%"),
        (replace(SERIAL, increment=-1, minimum=-100, maximum=-1, last=-95), FAILED, "is at -95 of -100"),
        (BIG, PASSED, "0.0%"),
        (replace(BIG, maximum=2_100_000_000), FAILED, "(bigint) is at 2,000,000,000 of 2,100,000,000"),
        (replace(SERIAL, type="numeric", column_maximum=None, column_minimum=None), FAILED, "(numeric)"),
    ],
)
def test_sequences_last(sequence: Sequence, verdict: Verdict, says: str) -> None:
    """The share of its numbers counts, by the narrower of both, unless it begins anew in time."""
    holds(sequences_last(replace(SEEN, sequences=(sequence,)), LIMITS), verdict, says)


@pytest.mark.parametrize(
    ("sequence", "change"),
    [
        (
            SERIAL,
            "ALTER TABLE jobs ALTER COLUMN id TYPE bigint;"
            " ALTER SEQUENCE jobs_id_seq AS bigint NO MAXVALUE (it rewrites",
        ),
        (replace(SERIAL, identity=True), "ALTER TABLE jobs ALTER COLUMN id TYPE bigint (it rewrites"),
        (replace(BIG, maximum=2_100_000_000), "ALTER SEQUENCE jobs_id_seq AS bigint NO MAXVALUE"),
    ],
)
def test_sequence_is_widened(sequence: Sequence, change: str) -> None:
    """What to run widens the column, and the sequence unless it follows by itself."""
    finding = sequences_last(replace(SEEN, sequences=(sequence,)), LIMITS)
    assert finding.change.startswith(change)


def test_no_sequence() -> None:
    """A service that makes its keys itself has none that ends."""
    holds(sequences_last(SEEN, LIMITS), PASSED, "0 sequences")


def test_the_measurement_can_be_recorded() -> None:
    """It is written as JSON and read back as it was."""
    seen = replace(with_indexes(LONG, SWOLLEN), sequences=(SERIAL,))
    assert TypeAdapter(Indexes).validate_python(as_data(seen)) == seen
