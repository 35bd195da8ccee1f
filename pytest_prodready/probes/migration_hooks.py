"""Event triggers in a database of the gate's: they count what a migration defines, make it fail, or hold it.

Every tool meets them, whatever it is written in, since they are in the server. They are a superuser's, in a
schema of their own, and are removed before the catalogue is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from pytest_prodready.environment.database import Database

COME_WITHIN_S = 15.0  # programs of some languages take their time to start
MEET_WITHIN_S = 5.0  # once both are connected
# nextval is not taken back with a transaction, so that what failed has been counted too.
COUNT = "PERFORM nextval('prodready_gate.commands');"
FAIL = """
    IF nextval('prodready_gate.commands') >= {nth} THEN
        RAISE EXCEPTION 'no space left on device (made up by prodready)' USING ERRCODE = 'disk_full';
    END IF;
"""
# Who comes first waits until the other has come as well, stands behind a lock, or has left for now.
MEET = """
    IF current_setting('prodready.met', true) IS DISTINCT FROM 'yes' THEN
        PERFORM set_config('prodready.met', 'yes', false);
        PERFORM nextval('prodready_gate.commands');
        until := clock_timestamp() + interval '{come} seconds';
        WHILE clock_timestamp() < until LOOP
            EXIT WHEN (SELECT last_value FROM prodready_gate.commands) > 1
                   OR EXISTS (SELECT FROM pg_locks WHERE NOT granted);
            PERFORM pg_stat_clear_snapshot();
            EXIT WHEN other IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = other);
            IF other IS NULL THEN
                SELECT pid INTO other FROM pg_stat_activity WHERE datname = current_database()
                AND usename = session_user AND pid <> pg_backend_pid() LIMIT 1;
                IF FOUND THEN
                    until := clock_timestamp() + interval '{meet} seconds';
                END IF;
            END IF;
            PERFORM pg_sleep(0.01);
        END LOOP;
    END IF;
"""
MAKE = """
    CREATE SCHEMA prodready_gate;
    CREATE SEQUENCE prodready_gate.commands;
    CREATE FUNCTION prodready_gate.heed() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $heed$
    DECLARE until timestamptz; other int;
    BEGIN
        {body}
    END $heed$;
    CREATE EVENT TRIGGER prodready_gate ON ddl_command_start EXECUTE FUNCTION prodready_gate.heed();
"""
REMOVE = "DROP EVENT TRIGGER IF EXISTS prodready_gate; DROP SCHEMA IF EXISTS prodready_gate CASCADE"


class Count:
    """How many commands that define something were run, known afterwards."""

    commands = 0


@contextmanager
def counted(database: Database) -> Iterator[Count]:
    """Count the commands that define something."""
    count = Count()
    with _hooked(database, COUNT) as admin:
        yield count
        query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM prodready_gate.commands"
        row = admin.execute(query).fetchone()
        count.commands = int(row[0]) if row else 0


@contextmanager
def failing(database: Database, nth: int) -> Iterator[None]:
    """Let this command that defines something fail, as on a full disk, and all after it."""
    with _hooked(database, FAIL.format(nth=nth)):
        yield


@contextmanager
def meeting(database: Database) -> Iterator[None]:
    """Hold each session at the first thing that it defines until another one is there as well."""
    with _hooked(database, MEET.format(come=COME_WITHIN_S, meet=MEET_WITHIN_S)):
        yield


@contextmanager
def _hooked(database: Database, body: str) -> Iterator[psycopg.Connection[Any]]:
    with database.superuser(60.0) as admin:
        admin.execute(MAKE.format(body=body).encode())
        try:
            yield admin
        finally:
            _remove(admin)


def _remove(admin: psycopg.Connection[Any]) -> None:
    """Take the hooks out; who still runs a command of the migration holds them, and is ended."""
    admin.execute(
        sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
    )
    admin.execute(REMOVE)
