"""Judge how indexes and sequences are used: lying idle, passed over, swollen, near their end."""

from __future__ import annotations

from typing import Any

from pytest_prodready.catalogue import RULES
from pytest_prodready.checks.explain_index_words import MIB, NO_TABLE, counted, listed, megabytes
from pytest_prodready.checks.explain_indexes import needed_by_foreign_key
from pytest_prodready.findings import Finding
from pytest_prodready.probes.index_facts import Index, Indexes, Sequence, Table
from pytest_prodready.probes.index_scans import Scans
from pytest_prodready.settings import ExplainSettings

BY_INDEX = 0.95  # of a large table's reads
READS = 100  # from so many on, what everyone does says more than our own requests


def indexes_used(seen: Indexes, limits: ExplainSettings) -> Finding:
    """No large index lies unused."""
    rule, least = RULES["explain.indexes-used"], limits.unused_index_mb
    details: dict[str, Any] = {
        "limit": f"each of {least:g} MB or more is used",
        "limits": {"unused_index_mb": least},
    }
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    large = [
        (index, size)
        for index in seen.indexes
        if _may_go(seen, index) and (size := _size(seen, index)) >= least * MIB
    ]
    unused = [(index, size) for index, size in large if not _scans(seen, index)]
    if not unused:
        number = counted(len(seen.indexes), "index", "indexes")
        return rule.passed(f"{number}, {len(large)} of them large and optional, all used", **details)
    names = listed([f"{index.name} on {index.table} ({megabytes(size)})" for index, size in unused])
    when = "in this run" if seen.origin == "gate" else f"since {seen.counted_since or 'statistics began'}"
    change = "; ".join(_drop(index) for index, _ in unused)
    return rule.failed(f"nothing used {when}: {names}", change=f"{_ask_first(seen)}: {change}", **details)


def indexes_not_bloated(seen: Indexes, limits: ExplainSettings) -> Finding:
    """No index is mostly empty pages."""
    rule, most = RULES["explain.indexes-not-bloated"], limits.bloat_mb
    details: dict[str, Any] = {"limit": f"less than {most:g} MB each", "limits": {"bloat_mb": most}}
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    bloated = [each for each in seen.indexes if (each.wasted_bytes or 0) >= most * MIB]
    if not bloated:
        unknown = [
            each for each in seen.indexes if each.wasted_bytes is None and each.size_bytes >= most * MIB
        ]
        if unknown:
            why = f"could not be measured in {listed([each.name for each in unknown])}"
            return rule.inconclusive(why, **details)
        worst = max((each.wasted_bytes or 0 for each in seen.indexes), default=0)
        number = counted(len(seen.indexes), "index", "indexes")
        return rule.passed(f"{number}, {megabytes(worst)} of bloat at most", **details)
    change = "; ".join(f"REINDEX INDEX CONCURRENTLY {each.name}" for each in bloated)
    return rule.failed(listed([_swollen(each) for each in bloated]), change=change, **details)


def tables_not_scanned(seen: Scans, limits: ExplainSettings) -> Finding:
    """Large tables are read by index."""
    rule, least = RULES["explain.tables-not-scanned"], limits.large_table_rows
    details: dict[str, Any] = {
        "limit": f"{BY_INDEX:.0%} of the reads of a table of {least:,} rows are by index",
        "limits": {"large_table_rows": least},
    }
    if seen.doubt:
        return rule.inconclusive(seen.doubt, **details)
    large = [each for each in _judged(seen) if each.rows >= least]
    if not large:
        rows = max((each.rows for each in seen.during), default=0)
        why = f"no table has {least:,} rows; the largest has {max(0, rows):,}"
        return rule.unverified(why, **details)
    read = [each for each in large if each.seq_scans + each.index_scans]
    if not read:
        return rule.inconclusive(
            f"{counted(seen.requests, 'request')} read no table of {least:,} rows", **details
        )
    scanned = [each for each in read if each.index_scans < BY_INDEX * (each.seq_scans + each.index_scans)]
    names = listed([_told(each) for each in scanned or read])
    if scanned:
        return rule.failed(f"read from end to end: {names}", **details)
    return rule.passed(names, **details)


def sequences_last(seen: Indexes, limits: ExplainSettings) -> Finding:
    """No sequence is near its end, or its column's."""
    rule, most = RULES["explain.sequences-last"], limits.sequence_used
    details: dict[str, Any] = {
        "limit": f"less than {most:.0%} used",
        "limits": {"sequence_used": most},
    }
    if not seen.tables:
        return rule.inconclusive(NO_TABLE, **details)
    used = sorted(((_used(each), each) for each in seen.sequences), key=lambda pair: -pair[0])
    ending = [(share, each) for share, each in used if share >= most]
    if ending:
        names = listed([f"{_furthest(each)}, {share:.0%} of what it has" for share, each in ending])
        change = "; ".join(_widened(each) for _, each in ending)
        return rule.failed(names, change=change, **details)
    if hidden := [each.name for each in seen.sequences if each.hidden]:
        return rule.inconclusive(f"[postgres] admin_url may not read {listed(hidden)}", **details)
    number = counted(len(seen.sequences), "sequence")
    furthest = f", the furthest {_furthest(used[0][1])}, {used[0][0]:.1%}" if used else ""
    return rule.passed(f"{number}{furthest}", **details)


def _may_go(seen: Indexes, index: Index) -> bool:
    """Whether an index could be dropped if nothing reads it; a part goes with its whole."""
    needed = index.unique or index.constraint or index.replica_identity or index.parent
    return index.usable and not needed and not needed_by_foreign_key(seen, index)


def _size(seen: Indexes, index: Index) -> int:
    return index.size_bytes + sum(_size(seen, each) for each in seen.indexes if each.parent == index.name)


def _scans(seen: Indexes, index: Index) -> int:
    return index.scans + sum(_scans(seen, each) for each in seen.indexes if each.parent == index.name)


def _drop(index: Index) -> str:
    return f"DROP INDEX {'' if index.partitioned else 'CONCURRENTLY '}{index.name}"


def _swollen(index: Index) -> str:
    empty = f"{megabytes(index.wasted_bytes or 0)} of {megabytes(index.size_bytes)} are empty"
    how = " by an estimate" if index.wasted_by == "estimate" else ""
    return f"{index.name} on {index.table}: {empty}{how}"


def _ask_first(seen: Indexes) -> str:
    if seen.origin == "gate":
        return "Where production doesn't use it either (pg_stat_user_indexes there)"
    return "Where no replica and no monthly job uses it either"


def _judged(seen: Scans) -> tuple[Table, ...]:
    """The reads of everyone where there were many, else those of our own requests."""
    many = sum(each.seq_scans + each.index_scans for each in seen.ever) >= READS
    return seen.ever if seen.origin == "external" and many else seen.during


def _told(table: Table) -> str:
    reads = table.seq_scans + table.index_scans
    return f"{table.name} ({table.rows:,} rows) {table.index_scans} of {reads} times by index"


def _bounds(sequence: Sequence) -> tuple[int, int]:
    lowest = sequence.minimum
    if sequence.column_minimum is not None:
        lowest = max(lowest, sequence.column_minimum)
    highest = sequence.maximum
    if sequence.column_maximum is not None:
        highest = min(highest, sequence.column_maximum)
    return lowest, highest


def _used(sequence: Sequence) -> float:
    """The share of its numbers that is used up; one that begins anew in time has no end."""
    lowest, highest = _bounds(sequence)
    if sequence.last is None or (
        sequence.cycles and (lowest, highest) == (sequence.minimum, sequence.maximum)
    ):
        return 0.0
    gone = sequence.last - lowest if sequence.increment > 0 else highest - sequence.last
    return max(0.0, gone / max(1, highest - lowest))


def _furthest(sequence: Sequence) -> str:
    end = _bounds(sequence)[1 if sequence.increment > 0 else 0]
    column = f"{sequence.table}.{sequence.column} ({sequence.type})"
    return f"{sequence.name} for {column} is at {sequence.last or 0:,} of {end:,}"


def _widened(sequence: Sequence) -> str:
    """What gives the column more numbers."""
    steps = []
    if sequence.type != "bigint":
        steps.append(f"ALTER TABLE {sequence.table} ALTER COLUMN {sequence.column} TYPE bigint")
    if not (sequence.identity and steps):
        bound = "NO MAXVALUE" if sequence.increment > 0 else "NO MINVALUE"
        steps.append(f"ALTER SEQUENCE {sequence.name} AS bigint {bound}")
    told = "; ".join(steps)
    if sequence.type != "bigint":
        told += (
            " (it rewrites the table under a lock: for a large one add a bigint column, fill it in steps and"
            " swap them; columns that refer to it must grow as well)"
        )
    return told
