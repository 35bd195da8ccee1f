"""The rules of the migration suite."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "8. Migrations, with a backup first and a way back"
NEEDS = frozenset({Needs.SERVICE, Needs.PROCESS, Needs.DATABASE, Needs.DESTRUCTIVE, Needs.MIGRATION})
_DOWN = NEEDS | {Needs.MIGRATION_DOWNGRADE}
_STEPS = NEEDS | {Needs.MIGRATION_HISTORY}
_COMMAND = NEEDS | {Needs.MIGRATION_COMMAND}
_EACH = (
    "On an empty database of the gate's, each revision is run up, down and up again, with rows in every table"
)

RULES = (
    Rule(
        id="migration.single-head",
        claim="The history of revisions has one end.",
        why="Two people who each add a revision behind the same one leave two heads: the next deploy refuses to upgrade, or runs "
        "half of it.",
        how="The tool lists its revisions.",
        remedy="Put one revision behind the other (change its down_revision), or join them: alembic merge heads.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_STEPS,
    ),
    Rule(
        id="migration.upgrades-from-empty",
        claim="An empty database becomes the newest schema, revision by revision and all at once.",
        why="A new environment, a restore from a dump without data, and every test database begin there; a history that only works "
        "on today's production can't be rehearsed.",
        how=f"{_EACH}; then all of them are run at once.",
        remedy="Let each revision make all that it needs, and depend on nothing that was made by hand.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=NEEDS,
        limits="[migration] steps, within_s",
    ),
    Rule(
        id="migration.upgrade-keeps-data",
        claim="No upgrade loses rows, or turns values into nulls.",
        why="What an upgrade has deleted is gone from every copy within minutes, and is missed weeks later.",
        how=f"{_EACH}; rows and values are counted before and after. Tables and columns that a revision drops are told by "
        "migration.dropped-data-known.",
        remedy="Copy values before their column changes, and leave rows that don't fit to a decision of somebody who knows them.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_STEPS,
        limits="[migration] rows, steps",
    ),
    Rule(
        id="migration.downgrade-runs",
        claim="Every revision has a downgrade that runs.",
        why="Without one the only way back from a bad deploy is a restore, with the service down and the writes since then lost.",
        how=f"{_EACH}; then all of them are taken back at once.",
        remedy="Write the downgrade; where there can't be one, declare it with its reason: "
        '[migration] irreversible = { "0007" = "…" }. Its way back is the restore.',
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_DOWN,
        limits="[migration] steps, irreversible",
    ),
    Rule(
        id="migration.downgrade-undoes",
        claim="A downgrade takes back what its upgrade has made: the catalogue is what it was before, by name.",
        why="What stays behind (a trigger, a check, a grant) meets code that doesn't know it, and makes the next upgrade fail.",
        how=f"{_EACH}; the catalogue before the upgrade is compared with that after the downgrade: tables, columns, constraints, "
        "indexes, triggers, functions, types, views, policies, privileges, comments and the rest.",
        remedy="Let the downgrade drop all that the upgrade creates, and put back what it changes.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_DOWN,
        limits="[migration] steps, bookkeeping, irreversible",
    ),
    Rule(
        id="migration.downgrade-keeps-data",
        claim="A downgrade loses nothing that the older schema has room for.",
        why="A downgrade is run when a deploy has gone wrong already: whoever then drops and makes a column anew loses what people "
        "have entered.",
        how=f"{_EACH}; rows and values of the older schema's columns are compared, those that were added above included.",
        remedy="Let the upgrade keep what the downgrade needs (rename instead of drop, drop one release later), and the downgrade "
        'copy it back; or declare the revision: [migration] irreversible = { "0007" = "…" }.',
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_DOWN,
        limits="[migration] rows, steps, irreversible",
    ),
    Rule(
        id="migration.round-trip",
        claim="After a downgrade the upgrade leads to the same schema again, and keeps the rows.",
        why="The deploy that was taken back on Monday is repeated on Tuesday, on a database that has been there before.",
        how=f"{_EACH}; the catalogue after the second upgrade is compared with that after the first.",
        remedy="Let the downgrade leave nothing behind that the upgrade meets, and let neither depend on what happened to be there.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_DOWN,
        limits="[migration] steps, irreversible",
    ),
    Rule(
        id="migration.dropped-data-known",
        claim="What upgrades drop together with its data is known.",
        why="Dropping is sometimes right, and never to be found out afterwards.",
        how=f"{_EACH}; tables and columns that held something and went with an upgrade are listed.",
        remedy="See that nobody needs what is dropped; a restore is its only way back.",
        level=Level.INFO,
        checklist=CHECKLIST,
        needs=_STEPS,
    ),
    Rule(
        id="migration.twice-is-nothing",
        claim="The upgrade of a database that is up to date succeeds and changes nothing.",
        why="Every start of a container, and every repeated deploy, runs it again.",
        how="The upgrade is run again at the newest revision, with rows in every table; catalogue and rows are compared.",
        remedy="Let the tool write down what it has run; seeds and scripts beside it need ON CONFLICT DO NOTHING or IF NOT EXISTS.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_COMMAND,
        limits="[migration] within_s",
    ),
    Rule(
        id="migration.models-match",
        claim="The service's models are what the newest revision makes.",
        why="A model without its revision works on the developer's machine, and fails on the first query in production.",
        how="The tool's own check is run at the newest revision: alembic check, or [migration] check. With alembic the models' own "
        "tables are then made beside, and what these have of checks, exclusions, defaults, identities, generated columns, collations, "
        "predicates of indexes, values of enums and sequences must be in the schema.",
        remedy="Write the revision that is missing: alembic revision --autogenerate; or take the change out of the models.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=NEEDS | {Needs.MIGRATION_CHECK},
    ),
    Rule(
        id="migration.failure-leaves-nothing",
        claim="An upgrade that fails can simply be run again.",
        why="A full disk or a lost connection in the middle is one bad minute, unless the next try stumbles over what the first "
        "has left: then somebody repairs production's schema by hand.",
        how="The server refuses the last command of each of the newest revisions that defines something (an event trigger raises "
        "disk_full); then the upgrade is run again, and the catalogue compared with that of an upgrade without failure.",
        remedy="One transaction for each revision; where that can't be (CREATE INDEX CONCURRENTLY), a revision of its own that first "
        "drops what a failed one may have left: DROP INDEX CONCURRENTLY IF EXISTS, ADD COLUMN IF NOT EXISTS.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=NEEDS,
        limits="[migration] within_s",
    ),
    Rule(
        id="migration.two-at-once",
        claim="Two upgrades at the same moment leave what one leaves.",
        why="Several replicas that migrate as they start, or two deploys, meet in the same table: indexes half built, rows moved "
        "twice, or both waiting for each other.",
        how="Two upgrades begin on an empty database, and two at the revision before the newest; each is held at the first thing "
        "that it defines until the other one is there as well. One may be refused.",
        remedy="Let the tool take a lock for all of its work: in alembic's env.py, try pg_try_advisory_lock(…) again and again "
        "before run_migrations() (waiting inside pg_advisory_lock would block CREATE INDEX CONCURRENTLY); or migrate from one "
        "place, before the replicas start.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_COMMAND,
        limits="[migration] within_s",
    ),
    Rule(
        id="migration.restore-leads-back",
        claim="A backup made before the newest migration brings back the database as it was, ready to be migrated again.",
        why="Many tools have no way down, and where there is one it may fail: then the restore is the way back, and what it doesn't "
        "bring back (an owner, a grant, the tool's own table) turns up while everybody waits.",
        how="A database with rows is dumped by pg_dump at the revision before the newest, upgraded, dropped, restored by pg_restore, "
        "and compared by the hashes of its rows and by its catalogue; then it is upgraded again.",
        remedy="Let migrations make what pg_dump takes along: no objects of other roles or of template databases, no functions that "
        "read tables by an unqualified name in an index, a check or a generated column.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=NEEDS,
        limits="[migration] rows",
    ),
)
