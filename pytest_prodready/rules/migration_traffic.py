"""Rules about a migration while the service is in use: who waits for it, and what it does under its locks."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule
from pytest_prodready.rules.migration import CHECKLIST, NEEDS

_RUN = "Each of the newest steps is run on a database of its own whose tables are full of rows, beside readers and writers"

_STEPS = NEEDS | {Needs.MIGRATION_HISTORY}

RULES = (
    Rule(
        id="migration.reads-not-stalled",
        claim="Nobody who reads waits long for a step of a migration.",
        why="A lock that is held for seconds stops every request that needs the table, fills the pool, and takes down what "
        "doesn't need it as well; a percentile over the deploy hides it.",
        how=f"{_RUN}; the longest wait counts for which the server itself names the migration (pg_blocking_pids), and a canary "
        "on another table tells when it was the machine.",
        remedy="Take locks for moments only: split the step, do the long part in batches or CONCURRENTLY, and commit before it.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] stall_ms, traffic_rows, traffic_steps",
    ),
    Rule(
        id="migration.writes-not-stalled",
        claim="Nobody who writes waits long for a step of a migration.",
        why="Building an index or updating all rows in one transaction lets readers pass and stops every write, which is what "
        "people notice first.",
        how=f"{_RUN}; the longest wait of a writer counts for which the server itself names the migration.",
        remedy="Build indexes CONCURRENTLY, validate constraints apart, and update rows in batches with a commit after each.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] stall_ms, traffic_rows, traffic_steps",
    ),
    Rule(
        id="migration.lock-timeout",
        claim="A step that can't have its lock soon gives up its place in the queue.",
        why="One report that is left open keeps ALTER TABLE waiting, and everyone who comes after it waits behind it: a change "
        "of a millisecond becomes an outage as long as the report.",
        how=f"{_RUN}, and behind a session that has worked on the tables and is left idle in its transaction for 2 s; it is "
        "watched how long the step stays in the queue for a lock that keeps others from reading or writing.",
        remedy="SET lock_timeout (250 ms, say) in the migration's session: in its file, for the role that migrates (ALTER ROLE … SET "
        "lock_timeout), or by its URL (&options=-c%20lock_timeout%3D250); and try the step again until it gets its lock.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] stall_ms",
    ),
    Rule(
        id="migration.no-table-rewrite",
        claim="No step writes all rows of a table anew under a lock.",
        why="A new type or a volatile default copies the whole table while nobody may read it: minutes, where here it took "
        "moments.",
        how=f"{_RUN}; afterwards a table's rows lie in another file.",
        remedy="Add a new column without a default, fill it in batches, and let the code move over to it.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] small_rows",
    ),
    Rule(
        id="migration.indexes-built-concurrently",
        claim="Indexes of tables in use are built CONCURRENTLY, and are valid in the end.",
        why="CREATE INDEX stops every write to its table for as long as it builds; a concurrent build that failed leaves an index "
        "that nothing uses and every write pays for.",
        how=f"{_RUN}; an event trigger tells which lock the table was under when each new index was finished.",
        remedy="CREATE INDEX CONCURRENTLY outside of a transaction, and replace what an interrupted build has left.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] small_rows",
    ),
    Rule(
        id="migration.constraints-validated-apart",
        claim="Rows are searched for what a new constraint forbids under a lock that lets others work.",
        why="ADD CONSTRAINT and SET NOT NULL read the whole table while nobody may write it, or even read it.",
        how=f"{_RUN}; an event trigger tells which constraints became valid, which columns NOT NULL, and under which lock.",
        remedy="ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a transaction of its own; SET NOT NULL after such a CHECK.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] small_rows",
    ),
    Rule(
        id="migration.nothing-more-under-access-exclusive",
        claim="A session that has locked a table out does nothing else that takes time before it commits.",
        why="A lock lasts until the end of its transaction: whatever follows in it adds to the time in which nobody gets to the "
        "table.",
        how=f"{_RUN}; the statements are watched that run while their session already holds ACCESS EXCLUSIVE.",
        remedy="Commit after the statement that needs the lock; fill columns in steps of their own.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] exclusive_ms",
    ),
    Rule(
        id="migration.static-hazards",
        claim="squawk finds no hazard in the statements of the newest steps.",
        why="What a column that is dropped or renamed breaks shows in the code that still uses it, not in the database.",
        how="The server's log tells which statements each step sent, whatever the tool; squawk reads them. Its rules about style "
        "are left out, and those that are measured here.",
        remedy="Do it in two deploys: first the code that does without, then the change; accept a rule by [migration] squawk_accept.",
        level=Level.SHOULD,  # needs a program of its own
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] squawk_accept",
    ),
    Rule(
        id="migration.old-code-keeps-working",
        claim="The service as it was before serves the declared requests while the newest step runs, and afterwards.",
        why="While a deploy rolls out, old and new code run side by side on the new schema; and the way back from a bad deploy is "
        "the old code.",
        how="The previous code is started on the schema before the newest step, the declared requests are sent to it all along, "
        "and the step is run.",
        remedy="Expand first, contract later: add what the new code needs, and drop or rename only what no running code uses.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_STEPS | {Needs.REQUESTS, Needs.PREVIOUS_CODE},
        limits="[migration] previous, previous_cwd",
    ),
)
