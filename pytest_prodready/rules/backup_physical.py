"""The rules for backups of a whole server, and for what its settings say of them."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule

CHECKLIST = "13. Backup and restore"
_PHYSICAL = frozenset({Needs.SERVICE, Needs.PROCESS, Needs.DATABASE, Needs.PHYSICAL})

RULES = (
    Rule(
        id="backup.settings-are-durable",
        claim="What the server has committed is on disk, and a page that was half written can be mended.",
        why="Without fsync or full_page_writes a power cut leaves pages that are half old and half new; nobody notices, "
        "and every backup from then on holds the damage.",
        how="fsync and full_page_writes are read from the server that runs with the declared settings.",
        remedy="Set fsync = on and full_page_writes = on (PostgreSQL's defaults) in postgresql.conf.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset({Needs.DATABASE, Needs.ADMIN, Needs.SERVER_SETTINGS}),
    ),
    Rule(
        id="backup.base-backup-verified",
        claim="A base backup of the server can be taken, is what its manifest says, and starts as the same database.",
        why="A base backup that nobody has started is a hope: it is found incomplete on the day it is needed.",
        how="pg_basebackup copies the server that runs with the declared settings, pg_verifybackup checks every file, "
        "and a server is started from the copy, whose contents are compared by hash. Where summarize_wal is on "
        "(PostgreSQL 17), it is started from an incremental backup that was combined with the first. Control: a byte "
        "of the backup is flipped, and must be noticed.",
        remedy="Set wal_level = replica and max_wal_senders = 10 (PostgreSQL's defaults), and check each backup by "
        "pg_verifybackup, or by its tool's own verification, before older ones are removed.",
        level=Level.SHOULD,  # whoever makes logical backups only has another right way
        checklist=CHECKLIST,
        needs=_PHYSICAL,
    ),
    Rule(
        id="backup.restored-is-sound",
        claim="In a database restored from a base backup, every table can be read and every index agrees with its table.",
        why="A physical backup copies damage as faithfully as data: an index that lacks rows hides them from queries, and "
        "lets duplicates in.",
        how="pg_amcheck reads every table and B-tree index of the restored database and holds them against each other "
        "(--heapallindexed --parent-check).",
        remedy="REINDEX CONCURRENTLY the index that is named, and find out what broke it: a function in it that isn't as "
        "immutable as it says, a collation of another version of the system, a disk.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_PHYSICAL,
    ),
    Rule(
        id="backup.point-in-time",
        claim="The database can be restored as it was at any moment: all writes up to it, and none after it.",
        why="After a DELETE without WHERE the last backup is a day old; only archived WAL brings back the minute before.",
        how="The server runs with the declared settings, but archives its WAL to the gate. Rows are written before and "
        "after a moment; a base backup and the archive are recovered to that moment, and only the rows before it may "
        "be there. The declared archive_command is never run; it is read.",
        remedy="Set wal_level = replica, archive_mode = on and an archive_command that fails when it could not store the "
        "file (`pgbackrest --stanza=main archive-push %p`), and try a recovery regularly.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_PHYSICAL | {Needs.POINT_IN_TIME},
        limits="[backup] rpo_s",
    ),
    Rule(
        id="backup.rollback-plan",
        claim="After a migration that failed half-way, the backup made before it brings back the database, and the service.",
        why="The way back is walked in the worst hour of the year: a restore that stumbles over what the migration left, or a "
        "service that lacks a grant afterwards, turns a failed deployment into an outage.",
        how="On a second server that holds the service's data: its declared requests are sent, a backup is made (by [backup] "
        "backup where it is given), a migration drops a column, empties a table and fails; the backup is restored, contents "
        "and catalogue are compared, the service is started on it and asked again.",
        remedy="Back up before each migration, restore into a database made anew, with owners and grants, and rehearse that.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=frozenset(
            {Needs.SERVICE, Needs.PROCESS, Needs.REQUESTS, Needs.DATABASE, Needs.ADMIN, Needs.RESTORING}
        ),
        limits="[backup] backup, restore, within_s",
    ),
)
