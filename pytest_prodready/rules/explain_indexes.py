"""Rules about indexes and sequences: what the catalogue of the service's database says."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "6. Indexes"

_AUDIT = frozenset({Needs.DATABASE, Needs.ADMIN})

INDEXES = (
    Rule(
        id="explain.foreign-keys-indexed",
        claim="Each foreign key has an index of the table that refers.",
        why="Each delete of a referred row reads the whole table that refers, under a lock, and so does each join from that side.",
        how="The catalogue is asked for a valid index whose first columns are the key's in any order, whole or of all rows "
        "that refer to something; a table that [explain] rows declares as small is left out.",
        remedy="CREATE INDEX CONCURRENTLY on the columns of the key.",
        level=Level.SHOULD,  # where rows are never deleted nor joined from that side, a waiver may say so
        checklist=CHECKLIST,
        needs=_AUDIT,
        limits="[explain] rows, large_table_rows",
    ),
    Rule(
        id="explain.no-duplicate-index",
        claim="No index equals another one, or is its beginning.",
        why="Each write maintains every index and each of them takes room in memory, while a reader needs one.",
        how="Indexes of a table are compared by columns, operator classes, collations, directions, INCLUDE and predicate; those "
        "that are unique or belong to a constraint are never called superfluous.",
        remedy="DROP INDEX CONCURRENTLY the one that the other replaces.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_AUDIT,
    ),
    Rule(
        id="explain.indexes-valid",
        claim="Every index is valid.",
        why="A concurrent build that failed leaves an index that no query uses and every write maintains; who reads the "
        "migration believes that it is there.",
        how="The catalogue is asked for indexes that are not valid, ready and live, and that nobody is building.",
        remedy="REINDEX INDEX CONCURRENTLY, or drop it and build it again.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_AUDIT,
    ),
    Rule(
        id="explain.indexes-used",
        claim="No large index lies unused.",
        why="An index that nobody reads costs every write, memory and backups; on a server of the gate's it only means that "
        "nothing in this run used it.",
        how="The server's counters are asked for large indexes that were never scanned, that are not unique, belong to no "
        "constraint, and that no foreign key needs.",
        remedy="Look at pg_stat_user_indexes in production and on its replicas, and drop it CONCURRENTLY.",
        level=Level.INFO,
        checklist=CHECKLIST,
        needs=_AUDIT,
        limits="[explain] unused_index_mb",
    ),
    Rule(
        id="explain.tables-not-scanned",
        claim="Large tables are read by index.",
        why="A read from end to end costs as much as the table is large, and pushes everything else out of memory.",
        how="The declared requests are sent a few times, and the server's counters tell how each large table was read; where "
        "the server is yours and busy, how everyone read it.",
        remedy="EXPLAIN the statements of these requests on as many rows as production has, and index what they filter by.",
        level=Level.INFO,  # a report that reads everything is right to do so
        checklist=CHECKLIST,
        needs=_AUDIT | {Needs.SERVICE, Needs.REQUESTS},
        limits="[explain] large_table_rows",
    ),
    Rule(
        id="explain.indexes-not-bloated",
        claim="No index consists of empty pages for the most part.",
        why="Pages that deleted rows left behind are read, cached and backed up like full ones.",
        how="pgstattuple reads the larger indexes on a server of the gate's; elsewhere their size is compared with what their rows "
        "would take.",
        remedy="REINDEX INDEX CONCURRENTLY, and let autovacuum run more often.",
        level=Level.INFO,
        checklist=CHECKLIST,
        needs=_AUDIT,
        limits="[explain] bloat_mb",
    ),
    Rule(
        id="explain.sequences-last",
        claim="No sequence is near its end, nor near the end of its column's type.",
        why="The insert after the last number fails, and so does every one after it, until a large table has been rewritten.",
        how="Each sequence's last number is compared with the least of its own maximum and what its columns can hold.",
        remedy="ALTER the column and the sequence to bigint before it is urgent.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_AUDIT,
        limits="[explain] sequence_used",
    ),
)
