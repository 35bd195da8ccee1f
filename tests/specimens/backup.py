"""Defects of backups and restores: a sound pair of scripts with one of them, or of the database itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.specimens import Specimen, backup_physical
from tests.specimens.explain_indexes import MIGRATE, SEED, SET_UP, afterwards

# $1 is the backup; $2 the database and $3 the server, both as superuser.
BACKUP = """\
set -eu
mkdir "$1"
pg_dumpall --globals-only --dbname "$3" --file "$1/globals.sql"
pg_dump --format custom --dbname "$2" --file "$1/database.dump"
"""
RESTORE = """\
set -eu
psql --no-psqlrc --quiet --dbname "$3" --file "$1/globals.sql"
pg_restore --exit-on-error --clean --if-exists --create --dbname "$3" "$1/database.dump"
vacuumdb --analyze-only --quiet --dbname "$2"
"""
# What a bit that was flipped on its way does to a file.
FLIP = '''
"""`python flip.py FILE TEXT` flips a bit of a text in a file; without TEXT, one in its middle."""

import pathlib
import sys

path = pathlib.Path(sys.argv[1])
if path.is_dir():
    path = max(path.glob("*.dat.gz"), key=lambda file: file.stat().st_size)
content = bytearray(path.read_bytes())
place = content.index(sys.argv[2].encode()) if len(sys.argv) > 2 else len(content) // 2
content[place] ^= 1
path.write_bytes(content)
'''
ARGUMENTS = "{backup} {postgres.admin_url} {postgres.server_url}"
COMMANDS: Mapping[str, Any] = {
    "backup.backup": f"sh backup.sh {ARGUMENTS}",
    "backup.restore": f"sh restore.sh {ARGUMENTS}",
    "backup.within_s": 60,
}
MADE = ("backup.dump-succeeds",)
RESTORED = (*MADE, "backup.restore-succeeds")
ROWS = (*RESTORED, "backup.rows-equal")
NO_RESTORE = frozenset(
    f"backup.{name}"
    for name in (
        "restore-succeeds",
        "rows-equal",
        "sequences-follow",
        "schema-equal",
        "views-populated",
        "large-objects-equal",
        "roles-and-grants",
        "settings-kept",
        "rpo",
        "statistics-present",
    )
)
LOST_DATABASE = NO_RESTORE - {"backup.restore-succeeds"}


def scripts(backup: str = BACKUP, restore: str = RESTORE, **files: str) -> dict[str, Any]:
    """These scripts as the user's own commands."""
    return {
        "files": {"backup.sh": backup, "restore.sh": restore, **files},
        "settings": COMMANDS,
    }


def changed(text: str, old: str, new: str) -> str:
    """The script with the one place changed."""
    assert text.count(old) == 1, old
    return text.replace(old, new)


def with_sql(statements: str, **given: Any) -> dict[str, Any]:
    """The same on a database where these statements were run after the set-up."""
    files, settings = given.get("files", {}), given.get("settings", {})
    return {"files": {**files, **afterwards(statements)}, "settings": {**settings, **SET_UP}}


def flipped(how: str, target: str, text: str = "") -> dict[str, Any]:
    """A backup in which one byte was flipped before the restore."""
    return scripts(
        changed(BACKUP, "--format custom", how),
        changed(RESTORE, "set -eu\n", f'set -eu\npython flip.py "$1/{target}"{text}\n'),
        **{"flip.py": FLIP},
    )


SPECIMENS = (
    Specimen(
        name="backup-ends-well-without-a-backup",
        breaks="backup.dump-succeeds",
        says="[backup] backup ended with status 0, and there is no backup: pg_dump: error:",
        also=NO_RESTORE,
        **scripts('pg_dump --table no_such_table --dbname "$2" --file "$1" || true\n'),
    ),
    Specimen(
        name="backup-prints-without-end",
        breaks="backup.dump-succeeds",
        says=" MB: y",
        also=NO_RESTORE,
        files={},
        settings={
            "backup.backup": "sh -c yes {backup}",
            "backup.restore": "cat {backup}",
            "backup.within_s": 3,
        },
    ),
    Specimen(
        name="backup-asks-for-a-password",
        breaks="backup.dump-succeeds",
        says="[backup] backup ended with status 1",
        also=NO_RESTORE,
        **scripts('printf "Passphrase: "; read -r answer || exit 1; touch "$1"\n'),
    ),
    Specimen(
        name="backup-function-without-search-path",
        breaks="backup.restore-succeeds",
        says="function plain(text) does not exist",
        changes="name function plain(text) with its schema",
        also=LOST_DATABASE,
        still_passes=MADE,
        **with_sql(
            "CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN lower($1);"
            "CREATE FUNCTION short(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left(plain($1), 9)';"
            "CREATE INDEX jobs_short ON jobs (short(title))"
        ),
    ),
    Specimen(
        name="backup-restore-goes-on-after-errors",
        breaks="backup.restore-succeeds",
        says="[backup] restore ended with status 0, but printed",
        changes="Back up roles too",
        also=frozenset({"backup.roles-and-grants", "backup.settings-kept"}),
        still_passes=(*MADE, "backup.rows-equal"),
        **scripts(
            'pg_dump --format plain --dbname "$2" --file "$1"\n',
            'psql --no-psqlrc --quiet --dbname "$2" --file "$1"\n',
        ),
    ),
    Specimen(
        name="backup-restore-hangs",
        breaks="backup.restore-succeeds",
        says="[backup] restore did not end within 4 s",
        also=LOST_DATABASE,
        still_passes=MADE,
        files={"backup.sh": BACKUP, "restore.sh": "sleep 300 & wait\n"},
        settings={**COMMANDS, "backup.within_s": 4},
    ),
    Specimen(
        name="backup-cut-off",
        breaks="backup.restore-succeeds",
        says="[backup] restore ended with status 1",
        also=LOST_DATABASE,
        still_passes=MADE,
        **scripts(
            BACKUP + 'head -c 20000 "$1/database.dump" >"$1/half"; mv "$1/half" "$1/database.dump"\n',
        ),
    ),
    Specimen(
        name="backup-byte-flipped-in-a-compressed-dump",
        breaks="backup.restore-succeeds",
        says="[backup] restore ended with status 1",
        also=LOST_DATABASE,
        still_passes=MADE,
        **flipped("--format custom --compress 6", "database.dump"),
    ),
    Specimen(
        name="backup-byte-flipped-in-a-directory",
        breaks="backup.restore-succeeds",
        says="[backup] restore ended with status 1",
        also=LOST_DATABASE,
        still_passes=MADE,
        **flipped("--format directory", "database.dump"),
    ),
    Specimen(
        name="backup-byte-flipped-in-a-plain-dump",
        breaks="backup.rows-equal",
        says="jobs: 505 rows before, as many, but not the same after",
        still_passes=(*RESTORED, "backup.schema-equal"),
        **flipped("--format custom --compress 0", "database.dump", " 'Region 4'"),
    ),
    Specimen(
        name="backup-leaves-a-table-out",
        breaks="backup.rows-equal",
        says="before, 0 after",
        still_passes=(*RESTORED, "backup.schema-equal"),
        **scripts(changed(BACKUP, "--format custom", "--format custom --exclude-table-data applications")),
    ),
    Specimen(
        name="backup-without-sequences",
        breaks="backup.sequences-follow",
        says="jobs_id_seq: next 506 before, next 1, which its column has already (up to 505) after",
        still_passes=(*ROWS, "backup.schema-equal"),
        **scripts(changed(BACKUP, "--format custom", "--format custom --exclude-table-data '*_seq'")),
    ),
    Specimen(
        name="backup-without-indexes",
        breaks="backup.schema-equal",
        says="missing: ",
        still_passes=(*ROWS, "backup.sequences-follow"),
        **scripts(changed(BACKUP, "--format custom", "--format custom --section pre-data --section data")),
    ),
    Specimen(
        name="backup-view-not-refreshed",
        breaks="backup.views-populated",
        says="per_region: ",
        still_passes=ROWS,
        **with_sql(
            "CREATE MATERIALIZED VIEW per_region AS SELECT region, count(*) FROM jobs GROUP BY region",
            **scripts(
                restore=changed(
                    RESTORE,
                    "pg_restore ",
                    'pg_restore --list "$1/database.dump" | grep -v "MATERIALIZED VIEW DATA" >"$1/list"\n'
                    'pg_restore --use-list "$1/list" ',
                )
            ),
        ),
    ),
    Specimen(
        name="backup-without-large-objects",
        breaks="backup.large-objects-equal",
        says="large objects is missing (1 of 7 bytes)",
        still_passes=ROWS,
        **with_sql(
            "SELECT lo_from_bytea(0, 'a photo')",
            **scripts(changed(BACKUP, "--format custom", "--format custom --no-blobs")),
        ),
    ),
    Specimen(
        name="backup-without-roles",
        breaks="backup.roles-and-grants",
        says="missing: role jobboard",
        changes="pg_dumpall --globals-only",
        still_passes=(*ROWS, "backup.schema-equal"),
        **scripts(
            'pg_dump --format custom --dbname "$2" --file "$1"\n',
            'pg_restore --exit-on-error --no-owner --no-privileges --dbname "$2" "$1"\n',
        ),
    ),
    Specimen(
        name="backup-loses-a-setting-of-the-database",
        breaks="backup.settings-kept",
        says="missing: setting statement_timeout",
        changes="pg_restore --create",
        still_passes=(*ROWS, "backup.schema-equal"),
        **with_sql(
            "ALTER DATABASE jobboard SET statement_timeout = '20s'",
            **scripts(
                restore=changed(RESTORE, '--clean --if-exists --create --dbname "$3"', '--dbname "$2"')
            ),
        ),
    ),
    Specimen(
        name="backup-restored-from-elsewhere",
        breaks="backup.damage-is-found",
        says="from a backup cut to half of its length [backup] restore restored all the same rows",
        still_passes=ROWS,
        **scripts(BACKUP + 'cp -r "$1" kept\n', RESTORE.replace("$1", "kept")),
    ),
    Specimen(
        name="backup-of-yesterday",
        breaks="backup.rpo",
        says="5 of 5 writes that were acknowledged before the backup began are not in it",
        also=frozenset({"backup.rows-equal", "backup.sequences-follow"}),
        still_passes=(*RESTORED, "backup.schema-equal"),
        files={"yesterday.sh": 'pg_dump --format custom --dbname "$1" --file yesterday.dump\n'},
        settings={
            "service.setup": [MIGRATE, SEED, "sh yesterday.sh {postgres.url}"],
            "backup.backup": "cp yesterday.dump {backup}",
            "backup.restore": "pg_restore --exit-on-error --dbname {postgres.url} {backup}",
        },
    ),
    Specimen(
        name="backup-seldom",
        breaks="backup.rpo",
        says="so up to 24.0 h are lost",
        still_passes=ROWS,
        settings={"backup.every_s": 86_400, "backup.rpo_s": 3600, "backup.point_in_time": False},
    ),
    Specimen(
        name="backup-of-a-large-database",
        breaks="backup.rto",
        says="s per GB on this machine, so 2000 GB take about",
        still_passes=MADE,
        settings={"backup.database_gb": 2000, "backup.rto_s": 60},
    ),
    Specimen(
        name="backup-without-statistics",
        breaks="backup.statistics-present",
        says="tables without statistics: ",
        still_passes=ROWS,
        **scripts(restore=changed(RESTORE, 'vacuumdb --analyze-only --quiet --dbname "$2"\n', "")),
    ),
    *backup_physical.SPECIMENS,
)
