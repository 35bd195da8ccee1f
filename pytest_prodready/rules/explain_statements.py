"""Rules about what the declared requests run: each statement, its plan, and how often it is run."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

PLANS = "12. EXPLAIN ANALYZE"
REPEATS = "7. N+1 queries"
INDEXES = "6. Indexes"

_NEEDS = frozenset(
    {Needs.SERVICE, Needs.PROCESS, Needs.REQUESTS, Needs.DATABASE, Needs.ADMIN, Needs.PLAN_DATA}
)
_EXPLAINED = (
    "Each statement is explained with EXPLAIN (ANALYZE, BUFFERS) as the service's role, and rolled back"
)

STATEMENTS = (
    Rule(
        id="explain.statements-captured",
        claim="The declared requests are answered on as much data as production has, and every statement that they run "
        "is known, with its plan.",
        why="A budget that holds for the statements one knows says nothing about the one that nobody looked at.",
        how="Each request is sent by itself to the service on a copy of its database; the server's log tells the statements "
        "and its counters (pg_stat_statements) whether that was all; each of them is explained.",
        remedy="Look at the service's log for what the request ran into, and at what the summary says about the statement.",
        level=Level.MUST,
        checklist=PLANS,
        needs=_NEEDS,
    ),
    Rule(
        id="explain.no-n-plus-one",
        claim="No request runs a statement again for each row that another one returned.",
        why="A page of 20 rows is then 21 round trips; with the data and the network's latency it grows until requests time out.",
        how="Statements that one request runs several times are counted again while the service sees few rows of the parent "
        "(by row level security), and then more of them.",
        remedy="Fetch them together: a JOIN, or one WHERE … = ANY for all rows; an ORM's joined or select-in loading.",
        level=Level.MUST,
        checklist=REPEATS,
        needs=_NEEDS,
        limits="[explain] repeats",
    ),
    Rule(
        id="explain.no-large-seq-scan",
        claim="No statement reads a large table from end to end to use a small part of it.",
        why="Its time grows with the table, and each such read pushes what others need out of memory.",
        how="Plans are looked through for sequential scans of large tables most of whose rows are filtered out, joined away or "
        "beyond a limit; a report that uses them all is right to read them.",
        remedy="CREATE INDEX CONCURRENTLY on the columns of the condition, or of the order.",
        level=Level.MUST,
        checklist=INDEXES,
        needs=_NEEDS,
        limits="[explain] large_table_rows",
    ),
    Rule(
        id="explain.rows-examined",
        claim="No statement looks at many more rows than it returns.",
        why="Rows that are read to be thrown away cost the same as the others, and an index that is only good for the order, "
        "or an OFFSET, reads thousands of them for a page of 20.",
        how=f"{_EXPLAINED}; the rows that its scans looked at are divided by those that it returned. Aggregates are left out.",
        remedy="An index on the columns of the filter followed by those of the order; paging by key instead of OFFSET.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] examined_per_row, examined_rows",
    ),
    Rule(
        id="explain.buffers-within-budget",
        claim="No statement touches more pages than declared, or many more than in the baseline.",
        why="Pages are the work that doesn't depend on the machine: what touches twice as many is twice as slow where it matters.",
        how=f"{_EXPLAINED}, without parallel workers; its pages are compared with the budget, else with the baseline's.",
        remedy="Look at the node that touches most of them; accept what has to be so by --prodready-explain=update.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] buffers, buffers_growth, buffers_slack, [[explain.queries]] buffers",
    ),
    Rule(
        id="explain.plan-unchanged",
        claim="No plan has become a worse one since a person looked at it.",
        why="A dropped index, a rewritten condition or a new ORM version changes plans silently, and nobody reads a slow log "
        "in review.",
        how="The shape of each plan is compared with the baseline file: a table that an index served must not be read from "
        "end to end; other changes are told.",
        remedy="Bring the index back, or look at the plan and accept it by --prodready-explain=update.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] baseline",
    ),
    Rule(
        id="explain.no-repeated-scan",
        claim="No table is scanned from end to end for each row of another one.",
        why="The work is the product of both tables: what takes 2 ms on a developer's machine takes minutes in production.",
        how="Plans are looked through for sequential scans that a nested loop or a subquery runs again and again.",
        remedy="CREATE INDEX CONCURRENTLY on the columns that join the inner table.",
        level=Level.SHOULD,
        checklist=INDEXES,
        needs=_NEEDS,
        limits="[explain] loops",
    ),
    Rule(
        id="explain.estimates",
        claim="The planner expects about as many rows as come.",
        why="Out of a wrong estimate follows a wrong plan: a nested loop for a million rows that were expected to be one.",
        how=f"{_EXPLAINED}; each node's expected rows are compared with those that came, where it was read to its end.",
        remedy="ANALYZE more often, CREATE STATISTICS on columns that depend on each other, or a higher statistics target.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] estimate_error, examined_rows",
    ),
    Rule(
        id="explain.generic-plan",
        claim="The plan that PostgreSQL keeps for a prepared statement is about as good as one for its parameters.",
        why="Drivers prepare what they run often; from the sixth run on the server may keep one plan for all parameters, and a "
        "statement that was fast all morning is slow from then on.",
        how="Statements that are prepared by name are explained with both plans; where the server's own costs make it choose "
        "the generic one, their pages are compared.",
        remedy="SET plan_cache_mode = force_custom_plan for the service's role, or write the constant that decides as a literal.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] generic_growth, buffers_slack",
    ),
    Rule(
        id="explain.no-spill",
        claim="No sort, hash or aggregate of a request goes to disk.",
        why="Temporary files make a statement slower by an order of magnitude, for as long as the disk has room.",
        how=f"{_EXPLAINED}, with production's work_mem where it is declared; nodes that wrote temporary files are told.",
        remedy="An index in the order that is wanted, fewer rows and columns, or SET LOCAL work_mem for this statement.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] settings",
    ),
    Rule(
        id="explain.no-lossy-bitmap",
        claim="No bitmap outgrows work_mem.",
        why="A lossy bitmap only knows pages, so that every row on them is looked at again.",
        how=f"{_EXPLAINED}, with production's work_mem where it is declared; bitmap scans tell their lossy pages.",
        remedy="A more selective index or condition, or SET LOCAL work_mem for this statement.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] settings",
    ),
    Rule(
        id="explain.index-only-scans",
        claim="Index-only scans find what they need in the index.",
        why="Where the visibility map is stale each row is looked up in the table after all, at the price of an ordinary scan.",
        how=f"After VACUUM: {_EXPLAINED[0].lower()}{_EXPLAINED[1:]}; index-only scans tell how often they had to look into the table.",
        remedy="Let autovacuum run more often on that table, and end transactions that stay open.",
        level=Level.SHOULD,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] heap_fetches",
    ),
    Rule(
        id="explain.slow-statements",
        claim="No statement takes long.",
        why="Milliseconds are this machine's and prove nothing, yet they say where to look first.",
        how="The server's log tells how long each statement took; the slowest are listed.",
        remedy="Look at the plans of the slowest ones.",
        level=Level.INFO,
        checklist=PLANS,
        needs=_NEEDS,
        limits="[explain] slow_ms",
    ),
)
