"""Rules about backups: one is made, restored where nothing of it is, and compared with what it was made of."""

from __future__ import annotations

from pytest_prodready.findings import Capability as Needs
from pytest_prodready.findings import Level, Rule
from pytest_prodready.rules import backup_physical

CHECKLIST = "13. Backup and restore"

_RESTORED = frozenset({Needs.DATABASE, Needs.ADMIN, Needs.RESTORING})
_BY = "By [backup] backup and restore where they are given, else by pg_dumpall, pg_dump and pg_restore"

LOGICAL = (
    Rule(
        id="backup.dump-succeeds",
        claim="The database can be backed up: the backup ends well, in time, and says nothing of an error.",
        why="A backup that failed unnoticed is found out on the day that it is needed.",
        how=f"{_BY}, the service's database is backed up while it runs; its status, its output and its size are looked at.",
        remedy="Let the backup stop at the first error (set -euo pipefail, pg_dump's own status) and alarm on it.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
        limits="[backup] backup, within_s",
    ),
    Rule(
        id="backup.restore-succeeds",
        claim="The backup can be restored on a server where nothing of the service is, without any error.",
        why="What breaks a restore (a function in an index, a CHECK that asks another table, a missing role or extension) is in "
        "the schema for months before somebody restores it in a hurry.",
        how=f"{_BY}, the backup is restored on a second, fresh server; the first error ends it, and whoever goes on after one is found.",
        remedy="Mend what the first error names; restore with pg_restore --exit-on-error or psql -v ON_ERROR_STOP=1.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
        limits="[backup] restore, within_s",
    ),
    Rule(
        id="backup.rows-equal",
        claim="Each table of the restored database holds the rows that it held before.",
        why="A restore that reports success proves nothing: tables are left out by old filters, and a flipped bit is restored "
        "like any other.",
        how="Number and hashes of all rows are computed inside both servers, on the first one in the snapshot that the dump reads, "
        "or before and after the backup command.",
        remedy="Back up the whole database, and keep a checksum beside each backup.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.sequences-follow",
        claim="Each sequence of the restored database goes on where it was, and behind no number that is taken.",
        why="After a restore without them the first insert fails on a duplicate key, or a number is given out twice.",
        how="Each sequence is compared with the one before the backup, and with the greatest number in the columns that use it.",
        remedy="Back up sequences too: pg_dump has them unless tables are named; after COPY, setval each of them.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.schema-equal",
        claim="The restored database has the same tables, constraints, indexes, functions and everything else.",
        why="A missing constraint or index isn't noticed until there is wrong data, or a service that is too slow.",
        how="Both catalogues are read by name, in all their kinds, and compared.",
        remedy="Restore schema and data from one backup of the whole database.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.views-populated",
        claim="Each materialized view that could be read can be read after the restore.",
        why="One that isn't populated answers every query with an error.",
        how="The views of both databases are compared.",
        remedy="REFRESH MATERIALIZED VIEW as a part of the restore; pg_restore does it where data is restored.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.large-objects-equal",
        claim="Large objects come back with the database.",
        why="They lie outside of every table, so that a backup of tables has their numbers and not the objects.",
        how="Number, bytes and hashes of all large objects are compared.",
        remedy="Back up the whole database, or add --large-objects to a pg_dump of chosen tables.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.roles-and-grants",
        claim="Roles, memberships, owners and grants come back with the database.",
        why="A dump of one database has no roles: on a new server its grants fail, and the service can't sign in.",
        how="The second server has no roles but those that the restore itself signs in with; roles with their attributes, passwords and "
        "memberships, owners and grants are then compared.",
        remedy="Back up pg_dumpall --globals-only beside the database, and restore it first.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.settings-kept",
        claim="What ALTER DATABASE and ALTER ROLE have set is set after the restore.",
        why="A search_path or a timeout that was set there is lost by a restore without --create, and nobody misses it until the "
        "service behaves otherwise.",
        how="The settings of both databases and of their roles are compared, with encoding, locale and connection limit.",
        remedy="Restore with pg_restore --create, or set them by a migration or by what makes the server.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.damage-is-found",
        claim="A backup that is damaged does not restore unnoticed.",
        why="pg_restore puts the data of a flipped byte in an uncompressed dump into the table and exits 0; a restore that reads "
        "something else than the backup proves nothing about it.",
        how="A database of the gate's own is dumped as custom (plain and compressed) and directory format, one byte of each dump is "
        "flipped, one dump is cut off, and each must be found by pg_restore or by the comparison. Commands have to notice that "
        "their backup was cut in half.",
        remedy="Restore from the backup alone, in one transaction or with --exit-on-error, and compare afterwards.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
    Rule(
        id="backup.rpo",
        claim="A backup holds every write that was acknowledged before it began.",
        why="A stale copy, or a replica that lags, makes the recovery point older than anybody believes.",
        how="The service acknowledges a few writes, the backup begins, and the restored database is asked for each of them. Where it is "
        "declared how often production is backed up, that and the time that the backup took must stay within the objective.",
        remedy="Back up the primary, or wait until the replica has replayed; add WAL archiving where the objective is shorter than "
        "backups can be.",
        level=Level.MUST,
        checklist=CHECKLIST,
        needs=_RESTORED | {Needs.SERVICE, Needs.REQUESTS, Needs.WRITES},
        limits="[backup] rpo_writes, rpo_s, every_s",
    ),
    Rule(
        id="backup.rto",
        claim="A database of production's size would be restored within the objective.",
        why="A backup whose restore takes a day is no way back from an outage that may last an hour.",
        how="The schema is filled to three sizes with generated rows, each is dumped and restored several times, and the straight line "
        "through the times is followed to the declared size, with its uncertainty.",
        remedy="Restore with more jobs and in directory format, keep a standby or a physical backup, or take old rows out.",
        level=Level.SHOULD,
        checklist=CHECKLIST,
        needs=_RESTORED | {Needs.RTO},
        limits="[backup] rto_s, database_gb",
    ),
    Rule(
        id="backup.statistics-present",
        claim="After the restore the planner knows its tables.",
        why="Until autovacuum has come by, every plan is a guess, and a guess in the first minutes after an outage is the next one.",
        how="Tables with rows and without any statistics are counted after the restore.",
        remedy="End the restore with vacuumdb --analyze-in-stages, or dump statistics too (pg_dump --statistics of PostgreSQL 18).",
        level=Level.INFO,
        checklist=CHECKLIST,
        needs=_RESTORED,
    ),
)

RULES = (*LOGICAL, *backup_physical.RULES)
