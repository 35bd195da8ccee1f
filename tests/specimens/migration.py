"""Defects of migrations: the job board with a fourth revision that is done wrong, or a tool that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.specimens import Specimen, Swap, migration_traffic

ENV = "migrations/env.py"
FOURTH, FIFTH = "migrations/versions/0004_fourth.py", "migrations/versions/0005_fifth.py"
SEED = "{python} -m jobboard.seed --rows 500"
MODELS = frozenset({"migration.models-match"})  # the models know nothing of the fourth revision
NEWEST: Mapping[str, Any] = {"migration.steps": 1}
REVISION = '''
"""A revision that is done wrong."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    """Go up."""
{up}


def downgrade() -> None:
    """Go down."""
{down}
'''
AUTOCOMMITTED = """
    with op.get_context().autocommit_block():
        for statement in {statements!r}:
            op.execute(statement)
"""


def sql(*statements: str) -> str:
    """The body of a function that runs these statements."""
    return "\n".join(f"    op.execute({each!r})" for each in statements) or "    pass"


def fourth(up: str, down: str, revision: str = "0004", before: str = "0003") -> str:
    """A revision with these bodies."""
    return REVISION.format(revision=revision, before=before, up=up, down=down)


def _forgetful(name: str, says: str, up: tuple[str, ...], *down: str) -> Specimen:
    """A downgrade that takes back less than the upgrade has made."""
    return Specimen(
        name=f"migration-forgets-{name}",
        breaks="migration.downgrade-undoes",
        says=says,
        also=MODELS | {"migration.round-trip"},
        files={FOURTH: fourth(sql(*up), sql(*down))},
        settings=NEWEST,
        still_passes=("migration.downgrade-runs", "migration.downgrade-keeps-data"),
    )


def _command(name: str, script: str, says: str) -> Specimen:
    """An upgrade that does something else than to upgrade."""
    return Specimen(
        name=f"migration-command-{name}",
        breaks="migration.upgrades-from-empty",
        says=says,
        settings={
            "migration.tool": None,
            "migration.upgrade": f'{{python}} -c "{script}"',
            "migration.within_s": 3,
        },
    )


# Works while nobody has entered anything, and for whoever does later.
NOT_NULL = ("ALTER TABLE jobs ADD salary int NOT NULL", "ALTER TABLE jobs ALTER salary SET DEFAULT 0")
SALARIED, UNSALARIED = "ALTER TABLE jobs ADD salary int", "ALTER TABLE jobs DROP salary"
# A dump is restored with an empty search_path, so that the function doesn't find its table.
HIDDEN = (
    "CREATE TABLE kinds (kind text)",
    "INSERT INTO kinds VALUES ('any')",
    "CREATE FUNCTION any_kind(text) RETURNS boolean LANGUAGE plpgsql AS"
    " 'BEGIN RETURN EXISTS (SELECT FROM kinds); END'",
    "CREATE TABLE things (name text CHECK (any_kind(name)))",
    "INSERT INTO things VALUES ('one')",
)
UNHIDDEN = (
    "DROP TABLE things",
    "DROP FUNCTION any_kind(text)",
    "DROP TABLE kinds",
)
TRIGGER = (
    "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER stamped BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION stamp()",
)

SPECIMENS = (
    Specimen(
        name="migration-two-heads",
        breaks="migration.single-head",
        says="2 heads: ",
        changes="alembic merge heads",
        files={FOURTH: fourth(sql("SELECT 1"), sql("SELECT 1"), before="0001")},
        settings={
            "service.setup": ["{python} -m alembic upgrade heads", "{python} -m jobboard.seed --rows 500"]
        },
    ),
    Specimen(
        name="migration-works-on-empty-tables-alone",
        breaks="migration.upgrades-from-empty",
        says='(psycopg.errors.NotNullViolation) column "salary" of relation "jobs" contains null values',
        also=MODELS,
        files={FOURTH: fourth(sql(*NOT_NULL), sql(UNSALARIED))},
        settings=NEWEST,
        still_passes=("migration.single-head", "migration.twice-is-nothing"),
    ),
    Specimen(
        name="migration-upgrade-deletes-rows",
        breaks="migration.upgrade-keeps-data",
        says="rows of public.applications lost",
        files={FOURTH: fourth(sql("DELETE FROM applications WHERE id % 2 = 0"), sql("SELECT 1"))},
        settings=NEWEST,
        still_passes=("migration.upgrades-from-empty", "migration.models-match", "migration.round-trip"),
    ),
    Specimen(
        name="migration-irreversible",
        breaks="migration.downgrade-runs",
        says="0004: ended with status 1: NotImplementedError",
        changes="irreversible",
        also=MODELS,
        files={FOURTH: fourth(sql(SALARIED), "    raise NotImplementedError('no way')")},
        settings=NEWEST,
        still_passes=("migration.upgrades-from-empty", "migration.upgrade-keeps-data"),
    ),
    Specimen(
        name="migration-downgrade-does-nothing",
        breaks="migration.downgrade-undoes",
        says="0004: the downgrade changes nothing (left over: column public.jobs.salary)",
        also=MODELS | {"migration.round-trip"},
        files={FOURTH: fourth(sql(SALARIED), sql())},
        settings=NEWEST,
        still_passes=("migration.downgrade-runs",),
    ),
    _forgetful(
        "trigger",
        "left over: function public.stamp(); left over: trigger public.jobs.stamped",
        (SALARIED, *TRIGGER),
        UNSALARIED,
    ),
    _forgetful(
        "check",
        "left over: check constraint public.jobs.titled",
        (
            SALARIED,
            "ALTER TABLE jobs ADD CONSTRAINT titled CHECK (length(title) < 999) NOT VALID",
        ),
        UNSALARIED,
    ),
    _forgetful(
        "index-predicate",
        "changed: index public.jobs.jobs_featured_posted_idx",
        (
            "DROP INDEX jobs_featured_posted_idx",
            "CREATE INDEX jobs_featured_posted_idx ON jobs (status, posted_at, id)",
        ),
    ),
    Specimen(
        name="migration-forgets-a-type",
        breaks="migration.round-trip",
        says='(psycopg.errors.DuplicateObject) type "mood" already exists',
        also=MODELS | {"migration.downgrade-undoes"},
        files={
            FOURTH: fourth(
                sql("CREATE TYPE mood AS ENUM ('good')", "ALTER TABLE jobs ADD mood mood"),
                sql("ALTER TABLE jobs DROP mood"),
            )
        },
        settings=NEWEST,
        still_passes=("migration.downgrade-runs", "migration.upgrades-from-empty"),
    ),
    Specimen(
        name="migration-downgrade-loses-values",
        breaks="migration.downgrade-keeps-data",
        says="values of public.applications.cover_letter lost",
        files={
            FOURTH: fourth(
                sql("ALTER TABLE applications ALTER cover_letter DROP DEFAULT"),
                sql(
                    "ALTER TABLE applications DROP cover_letter",
                    "ALTER TABLE applications ADD cover_letter text NOT NULL DEFAULT ''",
                    "ALTER TABLE applications ALTER cover_letter DROP DEFAULT",
                ),
            )
        },
        settings=NEWEST,
        still_passes=("migration.downgrade-undoes", "migration.upgrade-keeps-data"),
    ),
    Specimen(
        name="migration-drops-a-table",
        breaks="migration.dropped-data-known",
        says="rows of public.archive dropped",
        files={
            FOURTH: fourth(sql("CREATE TABLE archive (id int, said text)"), sql("DROP TABLE archive")),
            FIFTH: fourth(
                sql("DROP TABLE archive"), "    raise NotImplementedError", revision="0005", before="0004"
            ),
        },
        settings={"migration.steps": 2, "migration.irreversible": {"0005": "nobody reads the archive"}},
        still_passes=("migration.downgrade-runs", "migration.upgrade-keeps-data"),
    ),
    Specimen(
        name="migration-seeds-each-time",
        breaks="migration.twice-is-nothing",
        says="the second time: 1 row more",
        swaps=(
            Swap(
                ENV,
                "        context.run_migrations()\n",
                "        context.run_migrations()\n"
                '        if connection.dialect.has_table(connection, "organisations"):\n'
                '            connection.execute(text("INSERT INTO organisations (name) SELECT random()"))\n'
                "            connection.commit()\n",
            ),
        ),
        settings=NEWEST,
        still_passes=("migration.single-head",),
    ),
    Specimen(
        name="migration-models-differ",
        breaks="migration.models-match",
        says="the check ended with status",
        changes="--autogenerate",
        files={FOURTH: fourth(sql(SALARIED), sql(UNSALARIED))},
        settings=NEWEST,
        still_passes=("migration.round-trip", "migration.twice-is-nothing"),
    ),
    Specimen(
        name="migration-models-differ-in-a-predicate",
        breaks="migration.models-match",
        says="against what the models say: changed: index public.jobs.jobs_featured_posted_idx",
        changes="by hand",
        swaps=(Swap("jobboard/models.py", 'where=text("featured")', 'where=text("featured IS TRUE")'),),
        settings=NEWEST,
        still_passes=("migration.round-trip", "migration.twice-is-nothing"),
    ),
    Specimen(
        name="migration-failure-stays",
        breaks="migration.failure-leaves-nothing",
        says='(psycopg.errors.DuplicateTable) relation "jobs_one_idx" already exists',
        changes="IF EXISTS",
        also=MODELS,
        files={
            FOURTH: fourth(
                AUTOCOMMITTED.format(
                    statements=(
                        "CREATE INDEX CONCURRENTLY jobs_one_idx ON jobs (description)",
                        "CREATE INDEX CONCURRENTLY jobs_two_idx ON jobs (district)",
                    )
                ),
                sql("DROP INDEX jobs_one_idx", "DROP INDEX jobs_two_idx"),
            )
        },
        still_passes=("migration.two-at-once",),
    ),
    Specimen(
        name="migration-deploys-collide",
        breaks="migration.two-at-once",
        says="from 0004: 2 instead of 1 rows in public.kinds",
        changes="pg_try_advisory_lock",
        also=MODELS,
        swaps=(Swap(ENV, "SELECT pg_try_advisory_lock(hashtext('jobboard migrations'))", "SELECT true"),),
        files={
            FOURTH: fourth(sql("CREATE TABLE kinds (kind text)"), sql("DROP TABLE kinds")),
            FIFTH: fourth(
                AUTOCOMMITTED.format(
                    statements=(
                        "ALTER TABLE kinds ADD COLUMN IF NOT EXISTS said text",
                        "INSERT INTO kinds (kind) VALUES ('any')",
                    )
                ),
                sql("DELETE FROM kinds", "ALTER TABLE kinds DROP said"),
                revision="0005",
                before="0004",
            ),
        },
        still_passes=("migration.failure-leaves-nothing",),
    ),
    Specimen(
        name="migration-restore-fails",
        breaks="migration.restore-leads-back",
        says='relation "kinds" does not exist',
        changes="by an unqualified name",
        also=MODELS,
        files={
            FOURTH: fourth(sql(*HIDDEN), sql(*UNHIDDEN)),
            FIFTH: fourth(sql(SALARIED), sql(UNSALARIED), revision="0005", before="0004"),
        },
        settings=NEWEST,
        still_passes=("migration.round-trip",),
    ),
    _command("fails", "raise SystemExit(3)", "all at once: ended with status 3, and said nothing"),
    _command("hangs", "import time; time.sleep(999)", "all at once: did not end within 3 s"),
    _command(
        "prints-without-end",
        "while True: print('x' * 9999)",
        "all at once: did not end within 3 s after printing",
    ),
    _command(
        "asks", "input('Really? ')", "all at once: ended with status 1: EOFError: EOF when reading a line"
    ),
    *migration_traffic.SPECIMENS,
)
