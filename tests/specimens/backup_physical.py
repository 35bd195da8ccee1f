"""Defects of physical backups: settings that rule them out, archives that keep nothing, copied damage."""

from __future__ import annotations

from tests.specimens import Specimen
from tests.specimens.explain_indexes import SET_UP, afterwards
from tests.specimens.ssl import conf

ARCHIVED = ("wal_level = replica", "archive_mode = on", "archive_timeout = 60")
DURABLE = ("backup.settings-are-durable",)
SOUND = ("backup.base-backup-verified",)
# The function says that it is immutable, and was another when the index was built.
LYING_INDEX = """
CREATE FUNCTION place(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT lower($1)$$;
CREATE INDEX jobs_place ON jobs (place(region));
CREATE OR REPLACE FUNCTION place(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT upper($1)$$
"""

SPECIMENS = (
    Specimen(
        name="backup-fsync-off",
        breaks="backup.settings-are-durable",
        says="fsync is off",
        still_passes=SOUND,
        **conf("fsync = off"),
    ),
    Specimen(
        name="backup-half-written-pages",
        breaks="backup.settings-are-durable",
        says="full_page_writes is off",
        changes="ZFS",
        **conf("full_page_writes = off"),
    ),
    Specimen(
        name="backup-minimal-wal",
        breaks="backup.base-backup-verified",
        says="wal_level is minimal and max_wal_senders is 0",
        also=frozenset({"backup.restored-is-sound", "backup.point-in-time"}),
        still_passes=DURABLE,
        **conf("wal_level = minimal", "max_wal_senders = 0"),
    ),
    Specimen(
        name="backup-index-on-a-changed-function",
        breaks="backup.restored-is-sound",
        says="lacks matching index tuple",
        changes="REINDEX",
        still_passes=SOUND,
        files=afterwards(LYING_INDEX),
        settings=SET_UP,
    ),
    Specimen(
        name="backup-no-wal-archive",
        breaks="backup.point-in-time",
        says="archive_mode is off",
        still_passes=SOUND,
        **conf("wal_level = replica"),
    ),
    Specimen(
        name="backup-archive-stores-nothing",
        breaks="backup.point-in-time",
        says="“/bin/true” names no file",
        still_passes=SOUND,
        **conf(*ARCHIVED, "archive_command = '/bin/true'"),
    ),
    Specimen(
        name="backup-archive-never-fails",
        breaks="backup.point-in-time",
        says="succeeds even when nothing was stored",
        still_passes=SOUND,
        **conf(*ARCHIVED, "archive_command = 'cp %p /mnt/archive/%f || true'"),
    ),
    Specimen(
        name="backup-archive-without-a-timeout",
        breaks="backup.point-in-time",
        says="archive_timeout is 0",
        settings={"postgres.settings": "weak.conf", "backup.rpo_s": 300},
        files={"weak.conf": "archive_mode = on\narchive_command = 'pgbackrest archive-push %p'\n"},
    ),
    Specimen(
        name="backup-restore-without-owners",
        breaks="backup.rollback-plan",
        says="the restored database isn't the one before",
        also=frozenset({"backup.roles-and-grants"}),
        still_passes=DURABLE,
        settings={
            "backup.backup": "pg_dump --format=custom --file={backup} {postgres.admin_url}",
            "backup.restore": "pg_restore --no-owner --exit-on-error --dbname={postgres.admin_url} {backup}",
        },
    ),
)
